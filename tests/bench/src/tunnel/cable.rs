//! Two network namespaces and what joins them.

use std::process::{Child, Command, Stdio};

use jaco_harness::{HarnessError, Patience, Result, Run as _, run, until};

use super::Traffic;

/// Where the far end is in the mesh.
pub(super) const FAR: &str = "10.243.0.2";
/// And on the cable.
pub(super) const FAR_ON_CABLE: &str = "10.99.0.2";
/// The largest packet of the mesh: the cable's, less what WireGuard adds.
pub(super) const MTU: &str = "1440";

/// Two namespaces with a cable between them; they go with it.
#[derive(Debug)]
pub struct Cable {
    near: String,
    far: String,
}

impl Cable {
    /// A new one.
    ///
    /// # Errors
    /// Not root, or no `ip`.
    pub fn plug() -> Result<Self> {
        let name = |end| format!("jmesh-bench-{}-{end}", std::process::id());
        let cable = Self { near: name("near"), far: name("far") };
        for end in [&cable.near, &cable.far] {
            run("ip", &["netns", "add", end])?;
        }
        let pair = ["type", "veth", "peer", "name", "eth0", "netns", &cable.far];
        run("ip", &[&["-n", &cable.near, "link", "add", "eth0"][..], &pair].concat())?;
        let far = format!("{FAR_ON_CABLE}/24");
        for (end, address) in [(&cable.near, "10.99.0.1/24"), (&cable.far, far.as_str())] {
            run("ip", &["-n", end, "addr", "add", address, "dev", "eth0"])?;
            run("ip", &["-n", end, "link", "set", "eth0", "up"])?;
            run("ip", &["-n", end, "link", "set", "lo", "up"])?;
        }
        Ok(cable)
    }

    /// The namespaces of its ends.
    #[must_use]
    pub fn ends(&self) -> [&str; 2] {
        [&self.near, &self.far]
    }

    /// What the cable carries without any tunnel: megabits per second.
    ///
    /// # Errors
    /// Nothing comes through.
    pub fn bare(&self, traffic: Traffic) -> Result<f64> {
        self.send(FAR_ON_CABLE, traffic)
    }

    pub(super) fn reaches(&self, address: &str) -> Result<()> {
        until(Patience::SHORT, "the far end to answer", || {
            let ping = ["ping", "-c1", "-W1", address];
            inside(&self.near, &ping).text().map(drop).map_err(|error| error.to_string())
        })
    }

    pub(super) fn send(&self, address: &str, traffic: Traffic) -> Result<f64> {
        let mut server = start(&mut inside(&self.far, &["iperf3", "-s", "-1", "-B", address]))?;
        let (streams, seconds) = (traffic.streams.to_string(), traffic.seconds.to_string());
        let client = ["iperf3", "-c", address, "-P", &streams, "-t", &seconds, "-J"];
        // The server may not listen yet, which the client reports and calls a success.
        let rate = until(Patience::SHORT, "a report of iperf3", || {
            let report = inside(&self.near, &client).text().map_err(|error| error.to_string())?;
            let parsed: serde_json::Value = serde_json::from_str(&report).unwrap_or_default();
            parsed["end"]["sum_received"]["bits_per_second"].as_f64().ok_or(report)
        });
        let _ = server.kill();
        let _ = server.wait();
        rate.map(|bits| bits / 1e6)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for end in [&self.near, &self.far] {
            let _ = run("ip", &["netns", "del", end]);
        }
    }
}

/// A command inside a namespace.
pub(super) fn inside(namespace: &str, command: &[&str]) -> Command {
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", namespace]).args(command);
    inside
}

/// Starts what runs until it is killed or its input ends.
pub(super) fn start(command: &mut Command) -> Result<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started.map_err(|source| HarnessError::Start { program, source })
}
