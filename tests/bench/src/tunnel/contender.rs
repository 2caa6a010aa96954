//! What is compared: tunnels of WireGuard that a process serves.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Child, Stdio},
};

use jaco_harness::{HarnessError, Patience, Result, run, until};

use super::cable::{Cable, FAR, FAR_ON_CABLE, MTU, inside, start};

/// A tunnel between the ends of a cable.
pub trait Tunnel {
    /// What the table calls it.
    fn name(&self) -> &'static str;

    /// Joins the ends, as 10.243.0.1 and .2.
    ///
    /// # Errors
    /// It cannot be started.
    fn up(&mut self, cable: &Cable) -> Result<()>;

    /// Takes the tunnel away.
    ///
    /// # Errors
    /// Something cannot be removed.
    fn down(&mut self, cable: &Cable) -> Result<()>;
}

/// The device of `jaco-net`, in a process at each end.
#[derive(Debug)]
pub struct JacoMesh {
    program: PathBuf,
    ends: Vec<Child>,
}

impl JacoMesh {
    /// By this program, `mesh-node`.
    #[must_use]
    pub fn of(program: PathBuf) -> Self {
        Self { program, ends: Vec::new() }
    }
}

impl Tunnel for JacoMesh {
    fn name(&self) -> &'static str {
        "JACO"
    }

    fn up(&mut self, cable: &Cable) -> Result<()> {
        let program = self.program.to_string_lossy();
        let [near, far] = cable.ends();
        let endpoint = format!("{FAR_ON_CABLE}:51820");
        self.ends.push(start(&mut inside(far, &[&program, "2", "1", MTU]))?);
        self.ends.push(start(&mut inside(near, &[&program, "1", "2", MTU, &endpoint]))?);
        Ok(())
    }

    fn down(&mut self, _: &Cable) -> Result<()> {
        for mut end in self.ends.drain(..) {
            // Its input ends.
            drop(end.stdin.take());
            let _ = end.wait();
        }
        Ok(())
    }
}

/// wireguard-go, as its users run it.
#[derive(Debug, Default)]
pub struct WireguardGo {
    ends: Vec<Child>,
}

impl Tunnel for WireguardGo {
    fn name(&self) -> &'static str {
        "wireguard-go"
    }

    fn up(&mut self, cable: &Cable) -> Result<()> {
        let keys: Vec<String> = (0..2).map(|_| run("wg", &["genkey"])).collect::<Result<_>>()?;
        let public: Vec<String> =
            keys.iter().map(|key| fed(&["wg", "pubkey"], key)).collect::<Result<_>>()?;
        for (end, namespace) in cable.ends().into_iter().enumerate() {
            let name = interface(end);
            self.ends.push(start(&mut inside(namespace, &["wireguard-go", "-f", &name]))?);
            // Its control socket has a path, which namespaces of the network do not divide.
            until(Patience::SHORT, "wireguard-go", || {
                run("wg", &["show", &name]).map(drop).map_err(|error| error.to_string())
            })?;
            let other = 1 - end;
            let allowed = format!("10.243.0.{}/32", other + 1);
            let (public, endpoint) = (public[other].trim(), format!("{FAR_ON_CABLE}:51820"));
            let own = ["wg", "set", &name, "private-key", "/dev/stdin", "listen-port", "51820"];
            let peer = ["peer", public, "persistent-keepalive", "25", "allowed-ips", &allowed];
            let known = if end == 0 { &["endpoint", &endpoint][..] } else { &[] };
            fed(&[&own[..], &peer, known].concat(), &keys[end])?;
            let address = format!("10.243.0.{}/32", end + 1);
            run("ip", &["-n", namespace, "addr", "add", &address, "dev", &name])?;
            run("ip", &["-n", namespace, "link", "set", &name, "mtu", MTU, "up"])?;
            run("ip", &["-n", namespace, "route", "add", &allowed, "dev", &name])?;
        }
        debug_assert!(FAR.ends_with(".2"), "the far end is the second");
        Ok(())
    }

    fn down(&mut self, cable: &Cable) -> Result<()> {
        for (end, namespace) in cable.ends().into_iter().enumerate().take(self.ends.len()) {
            // It ends with its interface.
            run("ip", &["-n", namespace, "link", "del", &interface(end)])?;
        }
        for mut end in self.ends.drain(..) {
            let _ = end.kill();
            let _ = end.wait();
        }
        Ok(())
    }
}

fn interface(end: usize) -> String {
    format!("jbench{end}")
}

/// Runs a command that is given its input; what it prints.
fn fed(command: &[&str], input: &str) -> Result<String> {
    let mut program = std::process::Command::new(command[0]);
    program.args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let failed = |source| HarnessError::Start { program: command.join(" "), source };
    let mut child = program.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(HarnessError::Command {
        line: command.join(" "),
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}
