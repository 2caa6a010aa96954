//! From the engine's frames of output to lines.

use std::{collections::VecDeque, mem};

use bollard::{
    container::LogOutput,
    query_parameters::{InspectContainerOptions, LogsOptionsBuilder},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use jaco_api::model::Timestamp;

use super::{DockerRuntime, error, error::Engine as _};
use crate::container::{LogLine, LogQuery, LogStream, RuntimeError};

/// A line without an end is cut here.
const LONGEST: usize = 64 * 1024;

/// Puts frames together to lines, for each of the two streams.
#[derive(Default)]
struct Lines {
    partial: [Option<(Timestamp, Vec<u8>)>; 2],
    ready: VecDeque<LogLine>,
}

impl Lines {
    fn frame(&mut self, frame: LogOutput) {
        let (stderr, message) = match frame {
            LogOutput::StdErr { message } => (true, message),
            LogOutput::StdOut { message }
            | LogOutput::Console { message }
            | LogOutput::StdIn { message } => (false, message),
        };
        // A frame is one entry of the engine's log: its time, then a line or a part of one.
        let (at, text) = split_time(&message);
        let (begun, mut line) =
            self.partial[usize::from(stderr)].take().unwrap_or((at, Vec::new()));
        line.extend_from_slice(text);
        if line.ends_with(b"\n") || line.len() >= LONGEST {
            self.push(begun, stderr, &line);
        } else {
            self.partial[usize::from(stderr)] = Some((begun, line));
        }
    }

    fn end(&mut self) {
        for (stderr, partial) in mem::take(&mut self.partial).into_iter().enumerate() {
            if let Some((at, line)) = partial {
                self.push(at, stderr == 1, &line);
            }
        }
    }

    fn push(&mut self, at: Timestamp, stderr: bool, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = String::from_utf8_lossy(line).into_owned();
        self.ready.push_back(LogLine { at, stderr, text });
    }
}

fn split_time(message: &Bytes) -> (Timestamp, &[u8]) {
    let space = message.iter().position(|b| *b == b' ');
    let time = space.and_then(|end| std::str::from_utf8(&message[..end]).ok()?.parse().ok());
    match (time, space) {
        (Some(at), Some(end)) => (at, &message[end + 1..]),
        _ => (Timestamp::default(), message),
    }
}

fn lines<E: Send + 'static>(
    frames: impl Stream<Item = Result<LogOutput, E>> + Send + 'static,
) -> impl Stream<Item = Result<LogLine, E>> + Send {
    let state = (Box::pin(frames), Lines::default(), false);
    stream::unfold(state, |(mut frames, mut lines, mut over)| async move {
        loop {
            if let Some(line) = lines.ready.pop_front() {
                return Some((Ok(line), (frames, lines, over)));
            }
            if over {
                return None;
            }
            match frames.next().await {
                Some(Ok(frame)) => lines.frame(frame),
                Some(Err(error)) => return Some((Err(error), (frames, lines, true))),
                None => {
                    lines.end();
                    over = true;
                }
            }
        }
    })
}

impl DockerRuntime {
    pub(super) async fn read_logs(
        &self,
        id: &str,
        query: &LogQuery,
    ) -> Result<LogStream, RuntimeError> {
        let client = self.client().await?;
        // The stream is lazy: this is where a container that does not exist is found out.
        let found = client.inspect_container(id, None::<InspectContainerOptions>).await;
        found.engine(self, "inspect")?;
        let since = query.since.unwrap_or_default();
        let options = LogsOptionsBuilder::default()
            .follow(query.follow)
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .since(i32::try_from(since.0 / 1000).unwrap_or(i32::MAX))
            .tail(&query.tail.map_or_else(|| "all".to_owned(), |n| n.to_string()))
            .build();
        let frames = client.logs(id, Some(options));
        let runtime = self.clone();
        // The engine's own `since` has whole seconds only.
        Ok(lines(frames)
            .map(move |line| line.map_err(|e| error::from(e, &runtime, "logs")))
            .filter(move |line| {
                futures::future::ready(line.as_ref().map_or(true, |line| line.at >= since))
            })
            .boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str) -> Result<LogOutput, ()> {
        Ok(LogOutput::StdOut { message: Bytes::copy_from_slice(text.as_bytes()) })
    }
    fn err(text: &str) -> Result<LogOutput, ()> {
        Ok(LogOutput::StdErr { message: Bytes::copy_from_slice(text.as_bytes()) })
    }

    #[tokio::test]
    async fn parts_of_a_line_are_joined_per_stream_and_the_last_needs_no_end() {
        const AT: &str = "2026-01-02T03:04:05.006000000Z";
        let frames = [
            out(&format!("{AT} one ")),
            err(&format!("{AT} oops\r\n")),
            out(&format!("{AT} line\n")),
            out(&format!("{AT} last")),
        ];
        let got: Vec<LogLine> = lines(stream::iter(frames)).map(Result::unwrap).collect().await;
        let at = AT.parse().unwrap();
        let line = |stderr, text: &str| LogLine { at, stderr, text: text.into() };
        assert_eq!(got, [line(true, "oops"), line(false, "one line"), line(false, "last")]);
    }
}
