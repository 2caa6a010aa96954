//! `demo`: the shop on a real engine, in one command.

use clap::Args;
use jaco_harness::{Host, Node, NodeOptions, Patience, Rig, RigOptions, Stack, until};

use crate::{
    build,
    error::{Result, TaskError},
    machine::{is_root, workspace},
    rig::{kept, load_images},
    say, setup,
};

const NAME: &str = "jdemo";
const GREETING: &str = "Welcome to the shop";

#[derive(Args)]
pub(crate) struct Demo {
    /// Removes the demo
    #[arg(long)]
    down: bool,
    /// Runs it unattended, checks what it sees, and removes it
    #[arg(long, conflicts_with = "down")]
    check: bool,
}

impl Demo {
    pub(crate) fn run(&self) -> Result<()> {
        if !is_root() {
            return Err(TaskError::NotRoot { what: "the demo" });
        }
        if self.down {
            return Ok(Rig::open(NAME)?.down()?);
        }
        setup::install()?;
        let (_, binaries) = build::binaries()?;
        if self.check {
            say::step("Starting one host with its own engine");
            let options = RigOptions { name: Some("jdcheck".to_owned()), ..Default::default() };
            let rig = Rig::up(&options)?;
            load_images(&rig, &binaries)?;
            let mut node = Node::prepare(rig.host(0), "demo", &binaries, &NodeOptions::default())?;
            let checked = shop(rig.host(0), &mut node).and_then(|()| removal(rig.host(0), &node));
            if checked.is_err() {
                say::note(&node.report());
            }
            let stopped = node.stop().map(drop);
            drop(node);
            rig.down()?;
            checked?;
            stopped?;
            say::note("demo: every check passed");
            return Ok(());
        }
        let rig = kept(NAME, 1, &binaries)?;
        let mut node = Node::prepare(rig.host(0), "demo", &binaries, &NodeOptions::default())?;
        shop(rig.host(0), &mut node).inspect_err(|_| say::note(&node.report()))?;
        node.detach();
        farewell(&node);
        Ok(())
    }
}

/// From nothing to an answering page.
fn shop(host: &Host, node: &mut Node) -> Result<()> {
    say::step("Starting jacod and forming a cluster of one");
    node.start()?;
    let cli = node.cli();
    say::data(&cli.run(&["cluster", "init"])?.stdout);

    say::step("Applying examples/stacks/shop");
    let stack =
        Stack::copy(&workspace().join("examples/stacks/shop"), host.directory().join("shop"))?;
    let applied = cli.run(&["apply", &stack.manifest(), "--wait=90s"])?;
    say::data(&applied.stdout);
    say::data(&cli.run(&["status"])?.stdout);

    say::step("Ordering a teapot");
    let web = web_address(host)?;
    let page = until(Patience::NORMAL, "the page to answer", || {
        host.http_get(&format!("http://{web}:8080/")).map_err(|error| error.to_string())
    })?;
    if !page.contains(GREETING) {
        return Err(TaskError::Check { what: format!("the page does not greet:\n{page}") });
    }
    host.http_post(&format!("http://{web}:8080/orders"), "teapot")?;
    let page = until(Patience::NORMAL, "the worker to pack the teapot", || {
        let page = host.http_get(&format!("http://{web}:8080/")).map_err(|e| e.to_string())?;
        if page.contains("packed teapot") { Ok(page) } else { Err(page) }
    })?;
    say::data(&page);
    Ok(())
}

/// The address of a web container, as its engine knows it.
fn web_address(host: &Host) -> Result<String> {
    let containers = host.engine().containers(Some("jaco.service=web"))?;
    let running = containers.iter().filter(|container| container.status == "running");
    let mut addresses = running.flat_map(|container| container.addresses.values());
    let none =
        || TaskError::Check { what: format!("no web container has an address: {containers:?}") };
    addresses.find(|address| !address.is_empty()).cloned().ok_or_else(none)
}

/// From the running shop back to nothing.
fn removal(host: &Host, node: &Node) -> Result<()> {
    say::step("Deleting the shop");
    let cli = node.cli();
    say::data(&cli.run(&["delete", "shop", "--volumes", "--wait"])?.stdout);
    let engine = host.engine();
    let seen = until(Patience::NORMAL, "nothing to be left", || {
        let containers = engine.containers(None).map_err(|error| error.to_string())?;
        let names: Vec<String> = containers.into_iter().map(|c| c.name).collect();
        let networks = engine.networks().map_err(|error| error.to_string())?;
        let volumes = engine.volumes().map_err(|error| error.to_string())?;
        let left = [names, networks, volumes].concat();
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    });
    Ok(seen?)
}

fn farewell(node: &Node) {
    let socket = node.socket();
    let socket = socket.display();
    say::step("It runs. Look around:");
    say::note(&format!(
        "  export JACO_SOCKET={socket} PATH={bin}:$PATH\n\
         \x20 jaco status\n  jaco logs shop/worker -f\n  jaco scale shop/web=4\n  jaco history shop\n\
         \n  cargo xtask demo --down     # removes everything\n",
        bin = crate::machine::target().join("rig-bin").display(),
    ));
}
