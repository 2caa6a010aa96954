//! One host: a network namespace with its own engine.

mod network;
mod record;
mod removal;

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Engine, HarnessError, Patience, Process, Result, Signal,
    http::fetch,
    process::{alive, signal_pid, tail},
    run, until,
};

pub use network::Direction;
pub(crate) use record::HostRecord;
pub(crate) use removal::{remove, remove_link};

/// A host: its own network and its own engine on the machine's kernel.
#[derive(Debug)]
pub struct Host {
    record: HostRecord,
    engine: Engine,
    dockerd: Option<Process>,
}

impl Host {
    pub(crate) fn create(record: HostRecord) -> Result<Self> {
        let (namespace, link) = (record.namespace(), record.link());
        run("ip", &["netns", "add", &namespace])?;
        let peer = ["type", "veth", "peer", "name", "eth0", "netns", &namespace];
        run("ip", &[&["link", "add", &link][..], &peer[..]].concat())?;
        run("ip", &["link", "set", &link, "master", &format!("{}sw", record.rig), "up"])?;
        let inside = |arguments: &[&str]| run("ip", &[&["-n", &namespace][..], arguments].concat());
        inside(&["addr", "add", &format!("{}/24", record.address), "dev", "eth0"])?;
        inside(&["link", "set", "eth0", "up"])?;
        inside(&["link", "set", "lo", "up"])?;
        inside(&["route", "add", "default", "via", &record.gateway.to_string()])?;
        fs::create_dir_all(&record.directory)
            .map_err(HarnessError::file("create", &record.directory))?;
        // Like /run of a host, and made before the engine sees its own mounts alone.
        let memory = record.memory();
        fs::create_dir_all(&memory).map_err(HarnessError::file("create", &memory))?;
        run("mount", &["-t".as_ref(), "tmpfs".as_ref(), "jaco-rig".as_ref(), memory.as_os_str()])?;
        Ok(Self::open(record))
    }

    pub(crate) fn open(record: HostRecord) -> Self {
        let engine = Engine::at(record.socket());
        let pid = fs::read_to_string(record.pid_file()).ok().and_then(|p| p.trim().parse().ok());
        let dockerd = pid.filter(|p| alive(*p)).map(|p| Process::adopt(p, &record.engine_log()));
        Self { record, engine, dockerd }
    }

    pub(crate) fn detach(&mut self) {
        if let Some(dockerd) = &mut self.dockerd {
            dockerd.detach();
        }
    }

    /// Its name: that of its namespace.
    #[must_use]
    pub fn name(&self) -> String {
        self.record.namespace()
    }

    pub(crate) fn namespace(&self) -> PathBuf {
        self.record.namespace_path()
    }

    /// Its address on the switch.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.record.address
    }

    /// Its files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.record.directory
    }

    /// A directory in memory that its engine sees as well.
    #[must_use]
    pub fn memory(&self) -> PathBuf {
        self.record.memory()
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A command that runs inside its network.
    ///
    /// `nsenter` rather than `ip netns exec`, which would mount another /sys and hide the control
    /// groups.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.record.namespace_path().display())).arg(program);
        command
    }

    /// Starts the engine without waiting for it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_engine(&mut self) -> Result<()> {
        self.start_engine_with("")
    }

    /// Starts the engine with further flags, without waiting for it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_engine_with(&mut self, flags: &str) -> Result<()> {
        // The daemon writes its own; a stale one of a killed engine would keep it from starting.
        let _ = fs::remove_file(self.record.pid_file());
        let directory = self.record.directory.display();
        let mut command = self.command("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c"]).arg(format!(
            "mount --bind {resolv} /etc/resolv.conf && exec dockerd -H unix://{socket} \
             --data-root {directory}/docker --exec-root {directory}/exec --pidfile {pid} \
             --bridge none --cgroup-parent /{cgroup} --insecure-registry {gateway}:5000 {flags}",
            resolv = self.record.resolv.display(),
            socket = self.record.socket().display(),
            pid = self.record.pid_file().display(),
            cgroup = self.record.cgroup(),
            gateway = self.record.gateway,
        ));
        self.dockerd = Some(Process::start(&mut command, &self.record.engine_log())?);
        Ok(())
    }

    /// Waits until the engine answers.
    ///
    /// # Errors
    /// It does not; the report holds its last log lines.
    pub fn wait_for_engine(&self) -> Result<()> {
        until(Patience::LONG, "the engine to answer", || {
            let seen = |e: HarnessError| format!("{e}\n{}", tail(&self.record.engine_log(), 15));
            self.engine.docker(&["version", "--format", "{{.Server.Version}}"]).map_err(seen)
        })
        .map(drop)
    }

    /// Removes every container, network and volume. What the engine does not let go of, as sometimes a network whose
    /// containers are gone, goes when it is started anew.
    ///
    /// # Errors
    /// The engine does not answer, or does not come back.
    pub fn clear_engine(&mut self) -> Result<()> {
        self.engine.remove_everything();
        if self.engine.everything()?.is_empty() {
            return Ok(());
        }
        self.stop_engine()?;
        self.start_engine()?;
        self.wait_for_engine()?;
        self.engine.remove_everything();
        Ok(())
    }

    /// Stops the engine as a reboot would: containers stop too, unless it restores them live.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop_engine(&mut self) -> Result<()> {
        self.dockerd.take().map_or(Ok(()), |mut dockerd| dockerd.stop(Patience::NORMAL))
    }

    /// Kills the engine and its containerd, as lack of memory might; containers run on.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill_engine(&mut self) -> Result<()> {
        self.dockerd.take().map_or(Ok(()), |mut dockerd| dockerd.kill())?;
        let state = self.record.directory.join("exec/containerd");
        let file = state.join("containerd.pid");
        let pid = fs::read_to_string(&file).ok().and_then(|pid| pid.trim().parse().ok());
        if let Some(pid) = pid.filter(|pid| alive(*pid)) {
            signal_pid(pid, Signal::KILL);
        }
        let _ = fs::remove_file(file);
        let _ = fs::remove_file(state.join("containerd.sock"));
        Ok(())
    }

    /// Ends everything on the host at once, as a power cut does: its processes, its containers, and what is in
    /// memory of networks and files. Only the cable is left.
    ///
    /// # Errors
    /// Something cannot be ended.
    pub fn power_off(&mut self) -> Result<()> {
        self.kill_engine()?;
        removal::kill_rest(&self.record)?;
        removal::unmount_below(&self.record.directory.join("docker"));
        removal::empty(&self.record.memory());
        self.forget_network()
    }

    /// Fetches a page from inside the host's network.
    ///
    /// # Errors
    /// Nobody answers, or with an error.
    pub fn http_get(&self, url: &str) -> Result<String> {
        fetch(&self.record.namespace_path(), ("GET", None), url, "")
    }

    /// Fetches a page of the site `name` from inside the host's network.
    ///
    /// # Errors
    /// Nobody answers, or with an error.
    pub fn http_get_of(&self, name: &str, url: &str) -> Result<String> {
        fetch(&self.record.namespace_path(), ("GET", Some(name)), url, "")
    }

    /// Posts a text from inside the host's network.
    ///
    /// # Errors
    /// Nobody answers, or with an error.
    pub fn http_post(&self, url: &str, body: &str) -> Result<String> {
        fetch(&self.record.namespace_path(), ("POST", None), url, body)
    }
}
