//! One `jacod` on a host.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::{
    Binaries, Cli, HarnessError, Host, Patience, Process, Result, Signal,
    clock::{self, Skew},
    process::{alive, tail},
    until,
};

/// Holds the process id of a node's daemon, in the node's directory.
pub(crate) const PID_FILE: &str = "jacod.pid";

/// What a node is made of.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Ports of the operator API and of raft.
    pub ports: (u16, u16),
    /// Data directory; by default one of its own below the host's.
    pub data_dir: Option<PathBuf>,
    /// Further lines of jacod.yaml.
    pub config: String,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { ports: (7000, 7001), data_dir: None, config: String::new() }
    }
}

/// A daemon with its configuration and data.
#[derive(Debug)]
pub struct Node {
    name: String,
    directory: PathBuf,
    data_dir: PathBuf,
    config: PathBuf,
    programs: Option<PathBuf>,
    enter: Vec<String>,
    server: String,
    binaries: Binaries,
    process: Option<Process>,
}

impl Node {
    /// Prepares a node called `name` on `host` without starting it: configuration and directories.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn prepare(
        host: &Host,
        name: &str,
        binaries: &Binaries,
        options: &NodeOptions,
    ) -> Result<Self> {
        let node = Self::at(host, name, binaries, options);
        fs::create_dir_all(node.directory.join("home"))
            .map_err(HarnessError::file("create", &node.directory))?;
        let mut text = format!("node_name: {name}\ndata_dir: {}\n", node.data_dir.display());
        let _ = write!(
            text,
            "unix_socket: {directory}/jaco.sock\nlisten_addr: 0.0.0.0:{api}\n\
             cluster_addr: 0.0.0.0:{raft}\nengine_socket: {engine}\nfiles_dir: {files}\n\
             log_level: debug\n{quiet}{further}",
            // There is no way to a CA from here, but to one that the further lines name.
            quiet = if options.config.contains("acme_") { "" } else { "acme_enabled: false\n" },
            directory = node.directory.display(),
            api = options.ports.0,
            raft = options.ports.1,
            engine = host.engine().url(),
            files = host.memory().join(name).display(),
            further = options.config
        );
        fs::write(&node.config, text).map_err(HarnessError::file("write", &node.config))?;
        Ok(node)
    }

    /// A node that another run of the harness prepared, with its daemon if that still runs.
    ///
    /// # Errors
    /// There is none of this name on the host.
    pub fn open(host: &Host, name: &str, binaries: &Binaries) -> Result<Self> {
        let mut node = Self::at(host, name, binaries, &NodeOptions::default());
        if !node.config.is_file() {
            let name = format!("{name} on {}", host.name());
            return Err(HarnessError::UnknownNode { name });
        }
        let pid = fs::read_to_string(node.pid_file()).ok().and_then(|p| p.trim().parse().ok());
        node.process = pid.filter(|pid| alive(*pid)).map(|pid| {
            let mut process = Process::adopt(pid, &node.log());
            process.litters(clock::litter(pid));
            process
        });
        Ok(node)
    }

    fn at(host: &Host, name: &str, binaries: &Binaries, options: &NodeOptions) -> Self {
        let directory = host.directory().join(name);
        // The command that enters the host's network; the daemon follows as its last words.
        let enter = host.command("");
        let enter = enter.get_args().map(|a| a.to_string_lossy().into_owned());
        Self {
            name: name.to_owned(),
            data_dir: options.data_dir.clone().unwrap_or_else(|| directory.join("data")),
            config: directory.join("jacod.yaml"),
            programs: None,
            enter: enter.filter(|word| !word.is_empty()).collect(),
            server: format!("{}:{}", host.address(), options.ports.0),
            directory,
            binaries: binaries.clone(),
            process: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its files: configuration, socket, log.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("jaco.sock")
    }

    /// Where it takes calls over TLS.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Its log file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join("jacod.log")
    }

    fn pid_file(&self) -> PathBuf {
        self.directory.join(PID_FILE)
    }

    /// `jaco` over its socket.
    #[must_use]
    pub fn cli(&self) -> Cli {
        let home = self.directory.join("home");
        Cli::over_socket(self.binaries.jaco.clone(), &self.socket(), home)
    }

    /// The programs it is made of; a changed daemon counts from the next start.
    pub fn binaries_mut(&mut self) -> &mut Binaries {
        &mut self.binaries
    }

    /// Where the daemon finds the programs that it runs, from its next start on; `None` is where everybody
    /// does.
    pub fn finds_programs_in(&mut self, directory: Option<&Path>) {
        self.programs = directory.map(Path::to_owned);
    }

    /// Starts the daemon without waiting for it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        let mut command = std::process::Command::new("/usr/bin/nsenter");
        command.args(&self.enter).arg(&self.binaries.jacod);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JACO_")) {
            command.env_remove(name);
        }
        command.env("JACO_CONFIG", &self.config).env("RUST_BACKTRACE", "1");
        if let Some(programs) = &self.programs {
            command.env("PATH", programs);
        }
        clock::skewed(&mut command, &self.skew_file())?;
        let mut process = Process::start(&mut command, &self.log())?;
        process.litters(clock::litter(process.pid()));
        let file = self.pid_file();
        // Its own process id: `nsenter` becomes the daemon.
        fs::write(&file, process.pid().to_string()).map_err(HarnessError::file("write", file))?;
        self.process = Some(process);
        Ok(())
    }

    fn skew_file(&self) -> PathBuf {
        self.directory.join("skew")
    }

    /// Sets the daemon's idea of the time of day apart from everybody else's. Time spans stay right, as
    /// they do on a host whose clock is wrong. A running daemon that has never been skewed is started
    /// again; any other follows within two seconds.
    ///
    /// # Errors
    /// The file that the daemon's clock follows cannot be written, or the daemon not be started again.
    pub fn skew(&mut self, skew: Skew) -> Result<()> {
        let file = self.skew_file();
        let follows = file.exists();
        clock::set(skew, &file)?;
        if follows || self.process.is_none() {
            return Ok(());
        }
        self.stop()?;
        self.start()
    }

    /// Starts the daemon and waits until it answers on its socket.
    ///
    /// # Errors
    /// It ends, or does not answer in time; the report holds its last log lines.
    pub fn start(&mut self) -> Result<()> {
        self.spawn()?;
        let cli = self.cli();
        let process = self.process.as_mut().expect("it was spawned above");
        let mut ended = false;
        let answer = until(Patience::NORMAL, "jacod to answer", || {
            ended = !process.alive();
            if ended {
                return Ok(());
            }
            match cli.try_run(&["cluster", "status"]) {
                Ok(output) if output.code == 0 => Ok(()),
                Ok(output) => Err(format!("{}\n{}", output.stderr, process.tail(20))),
                Err(error) => Err(error.to_string()),
            }
        });
        if ended {
            return Err(HarnessError::Command {
                line: "jacod".to_owned(),
                status: format!("{:?}", process.exit_code()),
                output: process.tail(20),
            });
        }
        answer
    }

    /// The daemon, while it was started and not stopped.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Lets the daemon live on after this process.
    pub fn detach(&mut self) {
        if let Some(process) = &mut self.process {
            process.detach();
        }
    }

    /// Asks the daemon to end and returns how long that took.
    ///
    /// # Errors
    /// It does not end within ten seconds.
    pub fn stop(&mut self) -> Result<Duration> {
        let started = std::time::Instant::now();
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::TERM);
            process.wait(Patience::SHORT)?;
        }
        Ok(started.elapsed())
    }

    /// Kills the daemon.
    ///
    /// # Errors
    /// It is still there after ten seconds.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Removes everything from the data directory but what is cached there. The daemon does not run.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn forget_state(&self) -> Result<()> {
        let error = || HarnessError::file("empty", &self.data_dir);
        for entry in fs::read_dir(&self.data_dir).map_err(error())? {
            let path = entry.map_err(error())?.path();
            if path.file_name().is_some_and(|name| name == "cache") {
                continue;
            }
            let removed = match path.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
            removed.map_err(error())?;
        }
        Ok(())
    }

    /// The last lines of its log.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        tail(&self.log(), lines)
    }

    /// Status and last log lines: what a failed test prints.
    #[must_use]
    pub fn report(&self) -> String {
        let status = match self.cli().try_run(&["status"]) {
            Ok(output) => format!("{}{}", output.stdout, output.stderr),
            Err(error) => error.to_string(),
        };
        let rule = "-".repeat(20);
        format!("{rule} status of {}\n{status}\n{rule} its log\n{}\n", self.name, self.tail(40))
    }

    /// Looks at `jaco … -o json` until `holds` accepts the document, and returns that.
    ///
    /// # Errors
    /// It never does; the report holds the last document, the status and the last log lines.
    pub fn wait_for(
        &self,
        patience: Patience,
        what: &str,
        arguments: &[&str],
        mut holds: impl FnMut(&Value) -> bool,
    ) -> Result<Value> {
        let cli = self.cli();
        let looked = until(patience, what, || {
            let document = cli.json(arguments).map_err(|error| error.to_string())?;
            if holds(&document) { Ok(document) } else { Err(document.to_string()) }
        });
        looked.map_err(|error| match error {
            HarnessError::Timeout { what, waited, report } => {
                let report = format!("{report}\n{}", self.report());
                HarnessError::Timeout { what, waited, report }
            }
            other => other,
        })
    }
}
