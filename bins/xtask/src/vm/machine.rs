//! The machine: started, listened to, judged.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use super::root::Root;
use crate::{
    error::{Result, TaskError},
    say,
};

/// A machine that runs longer hangs: in software, booting takes seconds and the tests a minute or two.
const DEADLINE: Duration = Duration::from_secs(900);
/// How the machine says how it went; the code follows.
const VERDICT: &str = "JACO-VM-EXIT";

pub(super) struct Machine {
    kernel: PathBuf,
    archive: PathBuf,
}

impl Machine {
    /// One that runs a command and goes.
    pub(super) fn new(root: Root, command: &str) -> Result<Self> {
        let load = |name: &String| format!("insmod /lib/modules/{name}\n");
        let modules: String = root.loaded().iter().map(load).collect();
        root.script(
            "/init",
            &format!(
                "#!/bin/sh\nexport PATH=/bin\nmount -t proc proc /proc\nmount -t sysfs sys /sys\n\
                 mount -t devtmpfs dev /dev\n{modules}{command}\necho {VERDICT} $?\npoweroff -f\n"
            ),
        )?;
        let (kernel, archive) = root.pack()?;
        Ok(Self { kernel, archive })
    }

    /// Runs it, showing what it writes; the code with which its command ended.
    pub(super) fn run(&self) -> Result<i32> {
        let program = "qemu-system-x86_64".to_owned();
        let mut child = self
            .command(&program)
            .spawn()
            .map_err(|source| TaskError::Start { program, source })?;
        let verdict = listen(&mut child);
        // Whatever became of it, it must not stay.
        let _ = child.kill();
        let _ = child.wait();
        verdict
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // In software: where this runs is often a virtual machine itself, and nested ones fail in many ways.
        command.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"]);
        command.args(["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]);
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.archive);
        command.args(["-append", "console=ttyS0 panic=-1 quiet"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }
}

fn listen(child: &mut Child) -> Result<i32> {
    let Some(serial) = child.stdout.take() else {
        return Err(TaskError::Check { what: "the machine has no serial line".to_owned() });
    };
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(serial).split(b'\n').map_while(std::io::Result::ok);
        lines.map(|line| send.send(line)).take_while(std::result::Result::is_ok).for_each(drop);
    });
    let started = Instant::now();
    loop {
        let left = DEADLINE.saturating_sub(started.elapsed());
        let failed = |what: &str| Err(TaskError::Check { what: what.to_owned() });
        match lines.recv_timeout(left) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end();
                say::note(&format!("  | {line}"));
                if let Some((_, code)) = line.split_once(VERDICT) {
                    return Ok(code.trim().parse().unwrap_or(-1));
                }
            }
            Err(RecvTimeoutError::Timeout) => return failed("the machine did not end in time"),
            Err(RecvTimeoutError::Disconnected) => {
                return failed("the machine went without a word");
            }
        }
    }
}
