//! `rig`: hosts for trying things out by hand.

use std::os::unix::process::CommandExt;

use clap::Subcommand;
use jaco_harness::{
    Binaries, Cluster, HarnessError, NodeOptions, RigOptions, Skew, busybox_image, shop_image,
};

use crate::{
    build,
    error::{Result, TaskError},
    machine::is_root,
    say, setup,
};

const NAME: &str = "jrig";

#[derive(Subcommand)]
pub(crate) enum Rig {
    /// Starts hosts with an engine and a daemon each
    Up {
        /// How many
        #[arg(default_value_t = 1)]
        hosts: u8,
        /// Makes a cluster of them
        #[arg(long)]
        form: bool,
    },
    /// Runs a command inside a host's network, with its engine and daemon in the environment
    Exec {
        /// Which host, from 1
        host: usize,
        /// The command
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Cuts the cable between a host and the switch
    Cut {
        /// Which host, from 1
        host: usize,
    },
    /// Mends the cable
    Heal {
        /// Which host, from 1
        host: usize,
    },
    /// Kills a host's daemon with SIGKILL
    Kill {
        /// Which host, from 1
        host: usize,
        /// Kills its engine instead; containers run on
        #[arg(long)]
        engine: bool,
    },
    /// Starts what was killed
    Start {
        /// Which host, from 1
        host: usize,
    },
    /// Sets the clock of a host's daemon apart, without touching the machine's
    Skew {
        /// Which host, from 1
        host: usize,
        /// Seconds ahead; negative is behind
        #[arg(allow_negative_numbers = true)]
        seconds: i64,
    },
    /// Removes the hosts, the demo's too, and what killed runs left behind
    Down,
}

impl Rig {
    pub(crate) fn run(&self) -> Result<()> {
        if !is_root() {
            return Err(TaskError::NotRoot { what: "the rig" });
        }
        match self {
            Self::Up { hosts, form } => up(*hosts, *form),
            Self::Exec { host, command } => exec(*host, command),
            Self::Cut { host } => on(*host, |cluster, n| cluster.rig().host(n).cut()),
            Self::Heal { host } => on(*host, |cluster, n| cluster.rig().host(n).heal()),
            Self::Kill { host, engine: false } => {
                on(*host, |cluster, n| cluster.node_mut(n).kill())
            }
            Self::Kill { host, engine: true } => {
                on(*host, |cluster, n| cluster.rig_mut().host_mut(n).kill_engine())
            }
            Self::Start { host } => on(*host, start),
            Self::Skew { host, seconds } => {
                on(*host, |cluster, n| cluster.node_mut(n).skew(Skew(*seconds)))
            }
            Self::Down => down(),
        }
    }
}

fn up(hosts: u8, form: bool) -> Result<()> {
    setup::install()?;
    let (_, binaries) = build::binaries()?;
    let mut cluster = kept(NAME, hosts, binaries)?;
    cluster.start()?;
    cluster.detach();
    if form {
        say::step("Forming a cluster");
        cluster.form()?;
        say::data(cluster.cli(0).run(&["node", "list"])?.stdout.trim_end());
    }
    for (host, node) in cluster.rig().hosts().iter().zip(cluster.nodes()) {
        let socket = node.socket();
        say::data(&format!("{}\t{}\t--socket {}", node.name(), host.address(), socket.display()));
    }
    say::note(
        "cargo xtask rig exec 1 -- jaco cluster status     # for example; then: cargo xtask rig down",
    );
    Ok(())
}

/// Daemons, not started, on a rig that outlives this process, with the images of the examples.
pub(crate) fn kept(name: &str, hosts: u8, binaries: Binaries) -> Result<Cluster> {
    say::step(&format!("Starting {hosts} host(s), each with its own engine"));
    let options = RigOptions { hosts, name: Some(name.to_owned()), keep: true };
    prepared(&options, binaries)
}

/// Daemons, not started, on a rig with the images of the examples.
pub(crate) fn prepared(options: &RigOptions, binaries: Binaries) -> Result<Cluster> {
    let rig = jaco_harness::Rig::up(options)?;
    load_images(&rig, &binaries)?;
    let mut cluster = Cluster::on(rig, binaries);
    cluster.prepare(&NodeOptions::default())?;
    Ok(cluster)
}

/// Loads the images of the examples into every engine.
pub(crate) fn load_images(rig: &jaco_harness::Rig, binaries: &Binaries) -> Result<()> {
    let shop = shop_image(&binaries.shop_app, &rig.directory())?;
    rig.load_image(&shop, "shop-app:1", &["ENTRYPOINT [\"/shop-app\"]"])?;
    let busybox = busybox_image(&rig.directory())?;
    rig.load_image(&busybox, "busybox:rig", &["ENV PATH=/bin", "CMD [\"sh\"]"])?;
    Ok(())
}

/// The rig that is up, and which of its hosts is meant.
fn opened(host: usize) -> Result<(Cluster, usize)> {
    let binaries = Binaries::in_directory(&build::shelf())?;
    let cluster = Cluster::open(NAME, binaries)?;
    let unknown = || HarnessError::UnknownRig { name: format!("{NAME}, host {host}") };
    let n = host.checked_sub(1).filter(|n| *n < cluster.nodes().len()).ok_or_else(unknown)?;
    Ok((cluster, n))
}

/// Does something to a host of the rig that is up, and leaves everything running.
fn on(
    host: usize,
    work: impl FnOnce(&mut Cluster, usize) -> jaco_harness::Result<()>,
) -> Result<()> {
    let (mut cluster, n) = opened(host)?;
    let outcome = work(&mut cluster, n);
    cluster.detach();
    Ok(outcome?)
}

fn start(cluster: &mut Cluster, n: usize) -> jaco_harness::Result<()> {
    let host = cluster.rig_mut().host_mut(n);
    if host.engine().docker(&["version"]).is_err() {
        host.start_engine()?;
        host.wait_for_engine()?;
    }
    let node = cluster.node_mut(n);
    if node.process().is_none() { node.start() } else { Ok(()) }
}

fn exec(host: usize, command: &[String]) -> Result<()> {
    let (cluster, n) = opened(host)?;
    let (host, node) = (cluster.rig().host(n), cluster.node(n));
    let path = std::env::var("PATH").unwrap_or_default();
    let mut inside = host.command(&command[0]);
    inside.args(&command[1..]);
    inside.env("DOCKER_HOST", host.engine().url()).env("JACO_SOCKET", node.socket());
    inside.env("PATH", format!("{}:{path}", build::shelf().display()));
    let source = inside.exec();
    Err(TaskError::Start { program: command[0].clone(), source })
}

fn down() -> Result<()> {
    jaco_harness::Rig::sweep()?;
    for name in jaco_harness::Rig::list() {
        say::note(&format!("removing {name}"));
        jaco_harness::Rig::open(&name)?.down()?;
    }
    Ok(())
}
