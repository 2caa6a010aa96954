//! Commands in containers.

use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::{Bench, PATIENCE};
use crate::container::{ContainerRuntime, Exec, ExecCommand, RuntimeError, Signal, TerminalSize};

pub(super) async fn all(engine: &dyn ContainerRuntime, image: &str) {
    let bench = |case| Bench { engine, image, case };
    output_and_exit_code_come_through(bench("exec-output")).await;
    input_is_read_to_its_end(bench("exec-input")).await;
    it_runs_where_and_with_what_it_is_told(bench("exec-environment")).await;
    a_terminal_has_a_size_and_one_output(bench("exec-terminal")).await;
    what_cannot_be_executed_is_told_from_what_fails(bench("exec-refused")).await;
    only_a_running_container_runs_commands(bench("exec-stopped")).await;
    a_command_ends_with_its_container(bench("exec-end")).await;
    a_signal_ends_a_command(bench("exec-signal")).await;
}

fn command(words: &[&str]) -> ExecCommand {
    let command = words.iter().map(|w| (*w).to_owned()).collect();
    ExecCommand { command, ..ExecCommand::default() }
}

fn script(text: &str) -> ExecCommand {
    command(&["sh", "-c", text])
}

/// What a command wrote to its two outputs, and how it ended.
#[derive(Debug)]
struct Ended {
    out: String,
    err: String,
    end: Result<i64, RuntimeError>,
}

async fn to_the_end(mut exec: Exec) -> Ended {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let read = async {
        while let Some(piece) = exec.output.next().await {
            let piece = piece.expect("output");
            let to = if piece.stderr { &mut err } else { &mut out };
            to.extend_from_slice(&piece.bytes);
        }
        exec.control.wait().await
    };
    let end = tokio::time::timeout(PATIENCE, read).await.expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended { out: text(out), err: text(err), end }
}

/// Reads until the output holds `text`.
async fn until_written(exec: &mut Exec, text: &str) -> String {
    let mut seen = String::new();
    let read = async {
        while !seen.contains(text) {
            let piece = exec.output.next().await.expect("the output goes on").expect("output");
            seen.push_str(&String::from_utf8_lossy(&piece.bytes));
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, read).await.is_ok();
    assert!(in_time, "{text:?} was not written, but {seen:?}");
    seen
}

impl Bench<'_> {
    /// A container that runs.
    async fn host(&self) -> String {
        self.run(&self.request("c", "sleep 1000")).await
    }
    async fn exec(&self, id: &str, request: &ExecCommand) -> Exec {
        self.engine.exec(id, request).await.expect("exec")
    }
    async fn gone(&self, id: &str) {
        self.engine.remove(id).await.expect("remove");
    }
}

async fn output_and_exit_code_come_through(b: Bench<'_>) {
    let id = b.host().await;
    let all = to_the_end(b.exec(&id, &script("echo out; echo err >&2; exit 3")).await).await;
    assert_eq!((all.out.as_str(), all.err.as_str()), ("out\n", "err\n"));
    assert_eq!(all.end.expect("it ended"), 3);
    let silent = to_the_end(b.exec(&id, &command(&["true"])).await).await;
    assert_eq!((silent.out.as_str(), silent.end.expect("it ended")), ("", 0));
    b.gone(&id).await;
}

async fn input_is_read_to_its_end(b: Bench<'_>) {
    let id = b.host().await;
    let mut exec = b.exec(&id, &ExecCommand { stdin: true, ..command(&["cat"]) }).await;
    // More than all buffers on the way hold, so reading and writing go on at the same time.
    let long = "0123456789abcdef\n".repeat(40_000);
    let mut input = exec.input;
    exec.input = Box::pin(tokio::io::sink());
    let written = async {
        input.write_all(long.as_bytes()).await.expect("it reads");
        input.shutdown().await.expect("it is told the end");
    };
    let (all, ()) = tokio::join!(to_the_end(exec), written);
    assert!(all.out == long, "{} of {} bytes", all.out.len(), long.len());
    assert_eq!(all.end.expect("it ended"), 0);
    let nothing = to_the_end(b.exec(&id, &command(&["cat"])).await).await;
    assert_eq!((nothing.out.as_str(), nothing.end.expect("it ended")), ("", 0));
    b.gone(&id).await;
}

async fn it_runs_where_and_with_what_it_is_told(b: Bench<'_>) {
    let id = b.host().await;
    let request = ExecCommand {
        environment: [("GREETING".to_owned(), "hello = world".to_owned())].into(),
        working_dir: Some("/tmp".to_owned()),
        ..script("mkdir -p /tmp; echo $GREETING; pwd")
    };
    // The image may have no such directory yet.
    to_the_end(b.exec(&id, &command(&["mkdir", "-p", "/tmp"])).await).await;
    let all = to_the_end(b.exec(&id, &request).await).await;
    assert_eq!((all.out.as_str(), all.err.as_str()), ("hello = world\n/tmp\n", ""));
    b.gone(&id).await;
}

async fn a_terminal_has_a_size_and_one_output(b: Bench<'_>) {
    let id = b.host().await;
    let size = |rows, columns| TerminalSize { rows, columns };
    let request = ExecCommand {
        terminal: Some(size(33, 101)),
        stdin: true,
        ..script("read a; stty size; echo err >&2; read b; stty size; exit 4")
    };
    let mut exec = b.exec(&id, &request).await;
    exec.input.write_all(b"\r").await.expect("it reads");
    let seen = until_written(&mut exec, "err\r\n").await;
    assert!(seen.contains("33 101\r\n"), "{seen:?}");
    exec.control.resize(size(40, 120)).await.expect("resize");
    exec.input.write_all(b"\r").await.expect("it reads");
    let all = to_the_end(exec).await;
    assert!(all.out.contains("40 120\r\n") && all.err.is_empty(), "{all:?}");
    assert_eq!(all.end.expect("it ended"), 4);

    // Bytes that look like a frame of output, and Ctrl-C.
    let request = ExecCommand { terminal: Some(size(24, 80)), stdin: true, ..command(&["cat"]) };
    let mut exec = b.exec(&id, &request).await;
    exec.input.write_all(b"\x01\x02\x01 typed\r").await.expect("it reads");
    until_written(&mut exec, "typed").await;
    exec.input.write_all(b"\x03").await.expect("it reads");
    assert_eq!(to_the_end(exec).await.end.expect("it ended"), 130);
    b.gone(&id).await;
}

async fn what_cannot_be_executed_is_told_from_what_fails(b: Bench<'_>) {
    let id = b.host().await;
    let missing = "/nonexistent/program";
    for terminal in [None, Some(TerminalSize { rows: 24, columns: 80 })] {
        let request = ExecCommand { terminal, ..command(&[missing]) };
        let all = to_the_end(b.exec(&id, &request).await).await;
        assert_eq!((all.out.as_str(), all.err.as_str()), ("", ""), "it never ran");
        match all.end {
            Err(RuntimeError::CannotExecute { exit_code: 126 | 127, message }) => {
                assert!(message.contains(missing), "the engine's words: {message}");
            }
            other => panic!("{other:?}"),
        }
    }
    // A shell that cannot find a program is a command that ran.
    for code in [126, 127] {
        let all = to_the_end(b.exec(&id, &script(&format!("echo no; exit {code}"))).await).await;
        assert_eq!((all.out.as_str(), all.end.expect("it ran")), ("no\n", code));
    }
    b.gone(&id).await;
}

async fn only_a_running_container_runs_commands(b: Bench<'_>) {
    let request = b.request("c", "sleep 1000");
    let id = b.engine.create(&request).await.expect("create");
    let refused = async || b.engine.exec(&id, &command(&["true"])).await.expect_err("it is down");
    let error = refused().await;
    assert!(matches!(error, RuntimeError::NotRunning { .. }), "{error:?}");
    b.engine.start(&id).await.expect("start");
    assert_eq!(to_the_end(b.exec(&id, &command(&["true"])).await).await.end.expect("it ended"), 0);
    b.engine.stop(&id).await.expect("stop");
    let error = refused().await;
    assert!(matches!(error, RuntimeError::NotRunning { .. }), "{error:?}");
    b.gone(&id).await;
    assert!(refused().await.is_not_found());
}

async fn a_command_ends_with_its_container(b: Bench<'_>) {
    let id = b.host().await;
    let mut exec = b.exec(&id, &script("echo here; sleep 1000")).await;
    until_written(&mut exec, "here").await;
    b.engine.stop(&id).await.expect("stop");
    let end = to_the_end(exec).await.end;
    assert!(matches!(end, Ok(137)), "{end:?}");

    b.engine.start(&id).await.expect("start");
    let mut exec = b.exec(&id, &script("echo here; sleep 1000")).await;
    until_written(&mut exec, "here").await;
    b.gone(&id).await;
    let end = to_the_end(exec).await.end;
    assert!(matches!(end, Ok(137) | Err(RuntimeError::NotRunning { .. })), "{end:?}");
}

async fn a_signal_ends_a_command(b: Bench<'_>) {
    let id = b.host().await;
    for (signal, code) in [(Signal::Terminate, 143), (Signal::Interrupt, 130), (Signal::Kill, 137)]
    {
        let exec = b.exec(&id, &command(&["sleep", "1000"])).await;
        exec.control.signal(signal).await.expect("signal");
        let control = std::sync::Arc::clone(&exec.control);
        assert_eq!(to_the_end(exec).await.end.expect("it ended"), code);
        control.signal(signal).await.expect("what has ended hears nothing");
    }
    assert!(b.inspect(&id).await.status.is_alive(), "the container is not meant");
    b.gone(&id).await;
}
