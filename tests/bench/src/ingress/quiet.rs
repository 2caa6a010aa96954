//! A machine on which an answer waits for nothing but who makes it.

use std::{process::Command, thread::available_parallelism};

use jaco_harness::{Process, Result, Run as _};

use super::{Gateway, Stage, pinned, stop, usage};

/// Nobody waits for another's slice of time, and no processor is put to sleep: waking one can take milliseconds where it is
/// a virtual one. Those that were named run in real time, and something of no importance is always to be done beside
/// them. Ends when it is dropped.
#[derive(Debug)]
pub struct Quiet {
    urgent: Vec<String>,
    awake: Vec<Process>,
}

impl Quiet {
    /// Makes it so for the upstream and the proxies.
    ///
    /// # Errors
    /// The kernel does not let this user.
    pub fn set(stage: &Stage, gateways: &[Gateway]) -> Result<Self> {
        let groups = gateways.iter().map(|gateway| gateway.process.pid());
        let groups = groups.chain([stage.upstream.pid()]);
        let urgent = groups.flat_map(usage::processes).collect();
        let mut quiet = Self { urgent, awake: Vec::new() };
        for process in &quiet.urgent {
            Command::new("chrt").args(["-a", "-f", "-p", "1", process]).text()?;
        }
        for processor in 0..available_parallelism().map_or(1, usize::from) {
            let mut idle = pinned(&processor.to_string(), "chrt");
            idle.args(["-i", "0", "sh", "-c", "while :; do :; done"]);
            quiet.awake.push(Process::start(&mut idle, &stage.directory.join("awake.log"))?);
        }
        Ok(quiet)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.awake.iter_mut().for_each(stop);
        for process in &self.urgent {
            // One that has ended needs nothing.
            let _ = Command::new("chrt").args(["-a", "-o", "-p", "0", process]).text();
        }
    }
}
