//! Connections that the engine turns from HTTP into bare streams of bytes.
//!
//! The client library reads such a stream by guessing from its first bytes whether it is framed,
//! and waits for ever when a terminal's output happens to look like a frame. Here the caller says
//! which of the two it is.

use std::{io, path::Path, pin::Pin};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{Request, StatusCode, header};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio_util::codec::Decoder;

use super::error;
use crate::container::{ExecOutput, RuntimeError};

/// A stream of bytes to and from the engine.
pub(super) type Raw = TokioIo<hyper::upgrade::Upgraded>;

/// Posts `body` to `path` and takes the connection over.
pub(super) async fn hijack(
    socket: &Path,
    path: &str,
    body: String,
    operation: &'static str,
) -> Result<Raw, RuntimeError> {
    let lost = |source: Box<dyn std::error::Error + Send + Sync>| RuntimeError::Unreachable {
        endpoint: socket.display().to_string(),
        source,
    };
    let stream = UnixStream::connect(socket).await.map_err(|e| lost(e.into()))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| lost(e.into()))?;
    // Ends with the connection, or when that is taken over.
    tokio::spawn(connection.with_upgrades());
    let request = Request::post(path)
        .header(header::HOST, "docker")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "tcp")
        .body(body)
        .map_err(|e| RuntimeError::NotUnderstood { operation, source: e.into() })?;
    let response = sender.send_request(request).await.map_err(|e| lost(e.into()))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status().as_u16();
        return Err(error::answer(status, message(response.into_body()).await));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(|e| lost(e.into()))?;
    Ok(TokioIo::new(upgraded))
}

/// The engine's words in the body of a refusal.
async fn message(mut body: Incoming) -> String {
    let mut text = Vec::new();
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        text.extend_from_slice(frame.data_ref().map_or(&[][..], Bytes::as_ref));
    }
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    match parsed.as_ref().and_then(|v| v["message"].as_str()) {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(&text).trim().to_owned(),
    }
}

/// Takes the engine's frames of output apart: eight bytes of stream and length, then so many bytes.
/// What has come of a frame is passed on at once.
#[derive(Debug, Default)]
pub(super) struct Frames {
    stderr: bool,
    left: usize,
}

const HEADER: usize = 8;

impl Decoder for Frames {
    type Item = ExecOutput;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<ExecOutput>> {
        while self.left == 0 {
            let Some(header) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
            let [stream, _, _, _, length @ ..] = *header;
            if stream > 2 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no frame of output"));
            }
            self.stderr = stream == 2;
            self.left = u32::from_be_bytes(length) as usize;
            bytes.advance(HEADER);
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let piece = bytes.split_to(self.left.min(bytes.len())).freeze();
        self.left -= piece.len();
        Ok(Some(ExecOutput { stderr: self.stderr, bytes: piece }))
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> io::Result<Option<ExecOutput>> {
        match self.decode(bytes)? {
            None if self.left > 0 || !bytes.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            other => Ok(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], text.as_bytes()].concat()
    }

    #[test]
    fn frames_come_apart_wherever_they_are_cut() {
        let all =
            [frame(1, "out"), frame(2, ""), frame(2, "\u{1}\u{2}err"), frame(0, "x")].concat();
        for cut in 0..=all.len() {
            let (mut frames, mut bytes) = (Frames::default(), BytesMut::new());
            let (mut out, mut err) = (Vec::new(), Vec::new());
            for part in [&all[..cut], &all[cut..]] {
                bytes.extend_from_slice(part);
                while let Some(piece) = frames.decode(&mut bytes).unwrap() {
                    let to = if piece.stderr { &mut err } else { &mut out };
                    to.extend_from_slice(&piece.bytes);
                }
            }
            assert!(frames.decode_eof(&mut bytes).unwrap().is_none());
            assert_eq!((out, err), (b"outx".to_vec(), b"\x01\x02err".to_vec()), "cut at {cut}");
        }
    }

    #[test]
    fn a_stream_that_is_cut_in_a_frame_is_an_error() {
        let mut bytes = BytesMut::from(&frame(1, "out")[..9]);
        let mut frames = Frames::default();
        assert!(frames.decode_eof(&mut bytes).unwrap().is_some());
        assert!(frames.decode_eof(&mut bytes).is_err());
    }
}
