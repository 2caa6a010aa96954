//! Long-running programs: started with a log file, signalled by process id, never by name.

use std::{
    fs::{self, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{HarnessError, Patience, Result, shell::start_error, wait::until};

pub use rustix::process::Signal;

/// A long-running program. Dropping it kills it, unless it was let go.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    /// Absent for a process that another run of the harness started.
    child: Option<Child>,
    log: PathBuf,
    detached: bool,
    litter: Vec<PathBuf>,
}

impl Process {
    /// Starts `command` in a process group of its own, its output appended to `log`.
    ///
    /// # Errors
    /// The log cannot be opened or the program not started.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let open = || OpenOptions::new().create(true).append(true).open(log);
        let out = open().map_err(HarnessError::file("open", log))?;
        let err = open().map_err(HarnessError::file("open", log))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let child = command.spawn().map_err(|source| start_error(command, source))?;
        let pid = i32::try_from(child.id()).expect("the kernel numbers processes below 2^22");
        Ok(Self {
            pid,
            child: Some(child),
            log: log.to_owned(),
            detached: false,
            litter: Vec::new(),
        })
    }

    /// A process that another run of the harness started.
    pub(crate) fn adopt(pid: i32, log: &Path) -> Self {
        Self { pid, child: None, log: log.to_owned(), detached: true, litter: Vec::new() }
    }

    /// Lets the process live on when this value is dropped.
    pub(crate) fn detach(&mut self) {
        self.detached = true;
    }

    /// Names files that it leaves behind when it is killed; they are removed once it has ended.
    pub(crate) fn litters(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.litter.extend(files);
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its log file.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => alive(self.pid),
        }
    }

    /// How it ended; `None` while it runs, or when another run of the harness started it.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.as_mut()?.try_wait().ok()??.code()
    }

    /// Sends a signal. A process that is gone already is no error.
    pub fn signal(&mut self, signal: Signal) {
        if self.alive() {
            signal_pid(self.pid, signal);
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// It still runs when patience is over; the report holds its last log lines.
    pub fn wait(&mut self, patience: Patience) -> Result<()> {
        let what = format!("process {} to end", self.pid);
        until(patience, &what, || if self.alive() { Err(self.tail(20)) } else { Ok(()) })?;
        self.litter.iter().for_each(|file| drop(fs::remove_file(file)));
        Ok(())
    }

    /// Asks it to end and waits; kills it when it does not listen.
    ///
    /// # Errors
    /// Not even SIGKILL ended it in time.
    pub fn stop(&mut self, patience: Patience) -> Result<()> {
        self.signal(Signal::TERM);
        if self.wait(patience).is_err() {
            self.kill()?;
        }
        Ok(())
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    /// It is still there after ten seconds.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL);
        self.wait(Patience::SHORT)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.detached {
            // Nobody is left to tell; the rig's sweep finds what survives this.
            let _ = self.kill();
        }
    }
}

/// Whether a process of this id exists and is no zombie.
pub(crate) fn alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(crate) fn signal_pid(pid: i32, signal: Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        // It may have ended since it was looked at.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The last lines of a file; empty when it cannot be read.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
