//! One host: a network namespace with its own engine.

use std::{
    fs,
    io::ErrorKind,
    net::Ipv4Addr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Engine, HarnessError, Patience, Process, Result, Signal,
    http::fetch,
    process::{alive, signal_pid, tail},
    run, until,
};

/// The facts a host is made from.
#[derive(Debug, Clone)]
pub(crate) struct HostRecord {
    pub(crate) rig: String,
    pub(crate) number: u8,
    pub(crate) address: Ipv4Addr,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) directory: PathBuf,
    pub(crate) resolv: PathBuf,
}

impl HostRecord {
    fn namespace(&self) -> String {
        format!("{}-{}", self.rig, self.number)
    }

    fn namespace_path(&self) -> PathBuf {
        Path::new("/run/netns").join(self.namespace())
    }

    fn link(&self) -> String {
        format!("{}v{}", self.rig, self.number)
    }

    /// Parent of the control groups of its containers.
    fn cgroup(&self) -> String {
        self.namespace()
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("docker.sock")
    }

    fn pid_file(&self) -> PathBuf {
        self.directory.join("docker.pid")
    }

    fn engine_log(&self) -> PathBuf {
        self.directory.join("docker.log")
    }
}

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
        // The daemon writes its own; a stale one of a killed engine would keep it from starting.
        let _ = fs::remove_file(self.record.pid_file());
        let directory = self.record.directory.display();
        let mut command = self.command("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c"]).arg(format!(
            "mount --bind {resolv} /etc/resolv.conf && exec dockerd -H unix://{socket} \
             --data-root {directory}/docker --exec-root {directory}/exec --pidfile {pid} \
             --bridge none --cgroup-parent /{cgroup} --insecure-registry {gateway}:5000",
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

    /// Fetches a page from inside the host's network.
    ///
    /// # Errors
    /// Nobody answers, or with an error.
    pub fn http_get(&self, url: &str) -> Result<String> {
        fetch(&self.record.namespace_path(), "GET", url, "")
    }

    /// Posts a text from inside the host's network.
    ///
    /// # Errors
    /// Nobody answers, or with an error.
    pub fn http_post(&self, url: &str, body: &str) -> Result<String> {
        fetch(&self.record.namespace_path(), "POST", url, body)
    }

    /// Cuts the cable between the host and the switch.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn cut(&self) -> Result<()> {
        run("ip", &["link", "set", &self.record.link(), "down"]).map(drop)
    }

    /// Mends the cable.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn heal(&self) -> Result<()> {
        run("ip", &["link", "set", &self.record.link(), "up"]).map(drop)
    }
}

/// Removes everything of a host, whatever of it exists.
pub(crate) fn remove(record: &HostRecord) -> Result<()> {
    let mut host = Host::open(record.clone());
    if host.dockerd.is_some() {
        host.engine.remove_everything();
    }
    let mut outcome = host.stop_engine();
    outcome = outcome.and(kill_rest(record));
    remove_cgroups(&record.cgroup());
    unmount_below(&record.directory);
    if record.namespace_path().exists() {
        outcome = outcome.and(run("ip", &["netns", "del", &record.namespace()]).map(drop));
    }
    outcome = outcome.and(remove_link(&record.link()));
    match fs::remove_dir_all(&record.directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            outcome.and(Err(HarnessError::file("remove", &record.directory)(error)))
        }
        _ => outcome,
    }
}

/// The kernel takes a link away by itself some time after the namespace of its other end.
pub(crate) fn remove_link(link: &str) -> Result<()> {
    let exists = || Path::new("/sys/class/net").join(link).exists();
    if !exists() {
        return Ok(());
    }
    match run("ip", &["link", "del", link]) {
        Err(error) if exists() => Err(error),
        _ => Ok(()),
    }
}

/// Kills what still lives in the host's network or in its containers' control groups.
fn kill_rest(record: &HostRecord) -> Result<()> {
    until(Patience::SHORT, "the host's processes to end", || {
        let left = processes(record);
        left.iter().for_each(|pid| signal_pid(*pid, Signal::KILL));
        if left.is_empty() { Ok(()) } else { Err(format!("still there: {left:?}")) }
    })
}

fn processes(record: &HostRecord) -> Vec<i32> {
    let namespace = fs::metadata(record.namespace_path()).map(|m| (m.dev(), m.ino())).ok();
    let cgroup = format!("/{}/", record.cgroup());
    let list = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = list.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let own = fs::metadata(format!("/proc/{pid}/ns/net")).map(|m| (m.dev(), m.ino())).ok();
        let inside = own.is_some() && own == namespace;
        let groups = || fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        (inside || groups().contains(&cgroup)) && alive(*pid)
    })
    .collect()
}

fn remove_cgroups(name: &str) {
    let roots = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let parents = roots.map(|root| root.path().join(name));
    for parent in parents.chain([Path::new("/sys/fs/cgroup").join(name)]) {
        remove_cgroup(&parent);
    }
}

/// Only empty directories go; a control group with processes in it cannot be removed.
fn remove_cgroup(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}

fn unmount_below(directory: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    let mut below: Vec<&Path> = points.filter(|point| point.starts_with(directory)).collect();
    below.sort();
    for point in below.into_iter().rev() {
        let _ = run("umount", &["-l".as_ref(), point.as_os_str()]);
    }
}
