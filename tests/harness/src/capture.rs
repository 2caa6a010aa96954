//! Everything that passes the switch of a rig, written down by `tcpdump`.

use std::{fs, path::PathBuf, process::Command};

use memchr::memmem;

use crate::{HarnessError, Patience, Process, Result, Rig, Run as _, Signal, Traffic, until};

/// What is sent last of all.
const LAST: &str = "this capture ends here";

/// A capture under way. Dropping it ends it and keeps the file.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Process,
    file: PathBuf,
}

impl Capture {
    /// Starts writing down what passes the switch, whole packets.
    ///
    /// # Errors
    /// `tcpdump` is not installed or does not begin.
    pub fn start(rig: &Rig, name: &str) -> Result<Self> {
        let file = rig.directory().join(format!("{name}.pcap"));
        let log = rig.directory().join(format!("{name}.log"));
        // Its "listening" of an earlier capture is not that of this one.
        let _ = fs::remove_file(&log);
        let mut command = Command::new("tcpdump");
        command.args([
            "-i",
            &rig.switch(),
            "-n",
            "-U",
            "--immediate-mode",
            "-s",
            "0",
            "-B",
            "16384",
            "-Z",
            "root",
        ]);
        command.arg("-w").arg(&file);
        let tcpdump = Process::start(&mut command, &log)?;
        until(Patience::SHORT, "tcpdump to listen", || {
            let said = tcpdump.tail(5);
            if said.contains("listening on") { Ok(()) } else { Err(said) }
        })?;
        Ok(Self { tcpdump, file })
    }

    /// Ends the capture and reads it. All that has passed the switch of this rig until now is in it.
    ///
    /// # Errors
    /// `tcpdump` does not catch up, does not end, lost packets, or wrote something else than it should.
    pub fn finish(mut self, rig: &Rig) -> Result<Traffic> {
        self.catch_up(rig)?;
        self.tcpdump.signal(Signal::INT);
        self.tcpdump.wait(Patience::SHORT)?;
        let said = self.tcpdump.tail(5);
        if !said.contains("\n0 packets dropped by kernel") {
            let status = "an incomplete capture".to_owned();
            return Err(HarnessError::Command { line: "tcpdump".to_owned(), status, output: said });
        }
        let bytes = fs::read(&self.file).map_err(HarnessError::file("read", &self.file))?;
        Traffic::parse(bytes).ok_or(HarnessError::BadCapture { path: self.file.clone() })
    }

    /// Waits until what has passed so far is written: what the kernel still holds when `tcpdump` is told to end is lost.
    fn catch_up(&self, rig: &Rig) -> Result<()> {
        let send = format!("echo {LAST} > /dev/udp/{}/9", rig.host(1).address());
        until(Patience::NORMAL, "the capture to be written", || {
            rig.host(0).command("bash").args(["-c", &send]).text().map_err(|e| e.to_string())?;
            let written = fs::read(&self.file).map_err(|e| e.to_string())?;
            let last = memmem::find(&written, LAST.as_bytes());
            last.map(|_| ()).ok_or_else(|| format!("{} bytes", written.len()))
        })
    }
}
