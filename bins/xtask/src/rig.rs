//! `rig`: hosts for trying things out by hand.

use std::os::unix::process::CommandExt;

use clap::Subcommand;
use jaco_harness::{
    Binaries, HarnessError, Node, NodeOptions, RigOptions, busybox_image, shop_image,
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
    },
    /// Runs a command inside a host's network, with its engine and daemon in the environment
    Exec {
        /// Which host, from 1
        host: usize,
        /// The command
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Removes the hosts, and whatever any other rig left behind
    Down,
}

impl Rig {
    pub(crate) fn run(&self) -> Result<()> {
        if !is_root() {
            return Err(TaskError::NotRoot { what: "the rig" });
        }
        match self {
            Self::Up { hosts } => up(*hosts),
            Self::Exec { host, command } => exec(*host, command),
            Self::Down => down(),
        }
    }
}

fn up(hosts: u8) -> Result<()> {
    setup::install()?;
    let (_, binaries) = build::binaries()?;
    let rig = kept(NAME, hosts, &binaries)?;
    for host in rig.hosts() {
        let mut node = Node::prepare(host, &host.name(), &binaries, &NodeOptions::default())?;
        node.start()?;
        node.detach();
        let socket = node.socket();
        say::data(&format!("{}\t{}\t--socket {}", host.name(), host.address(), socket.display()));
    }
    say::note(
        "cargo xtask rig exec 1 -- jaco cluster init     # for example; then: cargo xtask rig down",
    );
    Ok(())
}

/// A rig that outlives this process, with the images of the examples.
pub(crate) fn kept(name: &str, hosts: u8, binaries: &Binaries) -> Result<jaco_harness::Rig> {
    say::step(&format!("Starting {hosts} host(s), each with its own engine"));
    let options = RigOptions { hosts, name: Some(name.to_owned()), keep: true };
    let rig = jaco_harness::Rig::up(&options)?;
    load_images(&rig, binaries)?;
    Ok(rig)
}

/// Loads the images of the examples into every engine.
pub(crate) fn load_images(rig: &jaco_harness::Rig, binaries: &Binaries) -> Result<()> {
    let shop = shop_image(&binaries.shop_app, &rig.directory())?;
    rig.load_image(&shop, "shop-app:1", &["ENTRYPOINT [\"/shop-app\"]"])?;
    let busybox = busybox_image(&rig.directory())?;
    rig.load_image(&busybox, "busybox:rig", &["ENV PATH=/bin", "CMD [\"sh\"]"])?;
    Ok(())
}

fn exec(host: usize, command: &[String]) -> Result<()> {
    let rig = jaco_harness::Rig::open(NAME)?;
    let unknown = || HarnessError::UnknownRig { name: format!("{NAME}, host {host}") };
    let host = host.checked_sub(1).and_then(|i| rig.hosts().get(i)).ok_or_else(unknown)?;
    let socket = host.directory().join(host.name()).join("jaco.sock");
    let path = std::env::var("PATH").unwrap_or_default();
    let binaries = crate::machine::target().join("rig-bin");
    let mut inside = host.command(&command[0]);
    inside.args(&command[1..]);
    inside.env("DOCKER_HOST", host.engine().url()).env("JACO_SOCKET", socket);
    inside.env("PATH", format!("{}:{path}", binaries.display()));
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
