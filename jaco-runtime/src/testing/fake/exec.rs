//! Commands in containers in memory.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream},
    sync::{mpsc, watch},
};

use super::{
    FakeRuntime, Op,
    shell::{Shell, cooked},
};
use crate::container::{
    Exec, ExecCommand, ExecControl, ExecOutput, RuntimeError, Signal, TerminalSize,
};

/// Bytes and pieces that wait for a reader.
const PIPE: usize = 16 << 10;
const PIECES: usize = 4;

/// How a command ended: its exit code, or the code and words of why it was not started.
type End = Result<i64, (i64, String)>;

/// The handles of a command.
struct Process {
    engine: FakeRuntime,
    container: String,
    size: watch::Sender<TerminalSize>,
    signals: mpsc::UnboundedSender<Signal>,
    end: watch::Receiver<Option<End>>,
}

#[async_trait]
impl ExecControl for Process {
    async fn resize(&self, size: TerminalSize) -> Result<(), RuntimeError> {
        self.size.send_replace(size);
        Ok(())
    }
    async fn signal(&self, signal: Signal) -> Result<(), RuntimeError> {
        self.engine.request(Op::Signal, &self.container).await?;
        // One that has ended hears nothing.
        let _ = self.signals.send(signal);
        Ok(())
    }
    async fn wait(&self) -> Result<i64, RuntimeError> {
        let mut end = self.end.clone();
        let gone = || RuntimeError::NotRunning { message: "the engine has ended".to_owned() };
        let end = end.wait_for(Option::is_some).await.map_err(|_| gone())?.clone();
        match end.ok_or_else(gone)? {
            Ok(code) => Ok(code),
            Err((exit_code, message)) => Err(RuntimeError::CannotExecute { exit_code, message }),
        }
    }
}

impl FakeRuntime {
    pub(super) fn execute(&self, id: &str, request: &ExecCommand) -> Result<Exec, RuntimeError> {
        let (container, run, environment, directory, script) = {
            let mut world = self.lock();
            let script = Shell::script(&world.programs, &request.command);
            let fake = world.container(id)?;
            if !fake.seen.status.is_alive() {
                let message = format!("Container {} is not running", fake.seen.id);
                return Err(RuntimeError::NotRunning { message });
            }
            let spec = &fake.request.spec;
            let own = spec.environment.iter();
            let own = own.filter_map(|(k, v)| Some((k.clone(), v.clone()?)));
            let environment: BTreeMap<_, _> = own.chain(request.environment.clone()).collect();
            let directory = request.working_dir.clone().or_else(|| spec.working_dir.clone());
            let directory = directory.unwrap_or_else(|| "/".to_owned());
            (fake.seen.id.clone(), fake.run, environment, directory, script)
        };
        let (typed, input) = tokio::io::duplex(PIPE);
        let (output, written) = mpsc::channel(PIECES);
        let (signals, heard) = mpsc::unbounded_channel();
        let first = request.terminal.unwrap_or(TerminalSize { rows: 0, columns: 0 });
        let (size, sized) = watch::channel(first);
        let (ended, end) = watch::channel(None);
        let input = match (request.stdin, request.terminal) {
            (false, _) => tokio::io::duplex(1).0,
            (true, None) => input,
            (true, Some(_)) => self.discipline(input, signals.clone(), output.clone()),
        };
        let shell = Shell {
            engine: self.clone(),
            container: container.clone(),
            environment,
            directory,
            input: BufReader::new(input),
            output,
            terminal: request.terminal.map(|_| sized),
        };
        let (engine, held) = (self.clone(), container.clone());
        tokio::spawn(async move {
            let end = match script {
                Ok(script) => Ok(engine.attend(shell, script, &held, run, heard).await),
                Err(refusal) => Err(refusal),
            };
            ended.send_replace(Some(end));
        });
        let output = stream::unfold(written, |mut written| async move {
            let piece: ExecOutput = written.recv().await?;
            Some((Ok(piece), written))
        });
        Ok(Exec {
            input: Box::pin(typed),
            output: output.boxed(),
            control: Arc::new(Process { engine: self.clone(), container, size, signals, end }),
        })
    }

    /// Runs a command until it ends, is told to, or its container ends.
    async fn attend(
        &self,
        shell: Shell,
        script: String,
        container: &str,
        run: u64,
        mut heard: mpsc::UnboundedReceiver<Signal>,
    ) -> i64 {
        let told = async {
            match heard.recv().await {
                Some(signal) => signal,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            code = shell.run(&script) => code,
            signal = told => 128 + i64::from(signal.number()),
            () = self.until_ended(container, run) => 137,
        }
    }

    /// Waits until a run of a container is over.
    pub(super) async fn until_ended(&self, container: &str, run: u64) {
        let mut changes = self.output.subscribe();
        loop {
            changes.mark_unchanged();
            let lives = self.lock().find_mut(container).is_some_and(|f| f.run == run);
            if !lives || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// What a terminal does with what is typed: shows it, ends lines, sends signals.
    fn discipline(
        &self,
        mut typed: DuplexStream,
        signals: mpsc::UnboundedSender<Signal>,
        output: mpsc::Sender<ExecOutput>,
    ) -> DuplexStream {
        const END: u8 = 4;
        let (mut lines, input) = tokio::io::duplex(PIPE);
        let output = output.downgrade();
        tokio::spawn(async move {
            let mut bytes = vec![0; 1024];
            while let Ok(n @ 1..) = typed.read(&mut bytes).await {
                let mut text = Vec::new();
                for byte in &bytes[..n] {
                    match byte {
                        3 => drop(signals.send(Signal::Interrupt)),
                        28 => drop(signals.send(Signal::Quit)),
                        &END => return,
                        b'\r' => text.push(b'\n'),
                        byte => text.push(*byte),
                    }
                }
                if let Some(output) = output.upgrade() {
                    let shown = ExecOutput { stderr: false, bytes: cooked(&text) };
                    // Nobody may be looking.
                    let _ = output.send(shown).await;
                }
                if lines.write_all(&text).await.is_err() {
                    return;
                }
            }
        });
        input
    }
}
