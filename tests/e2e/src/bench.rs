//! What a scenario works with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jaco_harness::{
    Binaries, Cli, Container, Engine, Host, Node, NodeOptions, Patience, Rig, RigOptions, Stack,
    until,
};
use serde_json::Value;

use crate::{Outcome, Stage, images};

/// One host with an engine and the images, and the node of the present scenario.
#[derive(Debug)]
pub struct Bench {
    rig: Rig,
    binaries: Binaries,
    node: Option<Node>,
    scenario: String,
    stacks: u32,
}

impl Stage for Bench {
    fn build() -> Outcome<Self> {
        let binaries = Binaries::from_environment()?;
        let rig = Rig::up(&RigOptions::default())?;
        images::load(&rig, &binaries)?;
        Ok(Self { rig, binaries, node: None, scenario: String::new(), stacks: 0 })
    }

    fn begin(&mut self, scenario: &str) -> Outcome {
        self.node = None;
        scenario.clone_into(&mut self.scenario);
        self.host_mut().heal()?;
        if self.engine().docker(&["version"]).is_err() {
            self.host_mut().start_engine()?;
            self.host().wait_for_engine()?;
        }
        Ok(self.host_mut().clear_engine()?)
    }

    fn report(&self) -> String {
        self.node.as_ref().map(Node::report).unwrap_or_default()
    }

    fn end(self) -> Outcome {
        let Self { rig, node, .. } = self;
        drop(node);
        Ok(rig.down()?)
    }
}

impl Bench {
    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        self.rig.host(0)
    }

    /// The host, to stop and start its engine.
    #[must_use]
    pub fn host_mut(&mut self) -> &mut Host {
        self.rig.host_mut(0)
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.host().engine().clone()
    }

    /// The node of this scenario.
    ///
    /// # Panics
    /// The scenario has prepared none.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("the scenario prepares its node first")
    }

    /// The node of this scenario, to stop and start it.
    ///
    /// # Panics
    /// The scenario has prepared none.
    #[must_use]
    pub fn node_mut(&mut self) -> &mut Node {
        self.node.as_mut().expect("the scenario prepares its node first")
    }

    /// `jaco` over the node's socket.
    #[must_use]
    pub fn cli(&self) -> Cli {
        self.node().cli()
    }

    /// A directory of this scenario.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn scratch(&self) -> Outcome<PathBuf> {
        let directory = self.rig.directory().join("scratch").join(&self.scenario);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// Prepares a node with an empty data directory, without starting it.
    ///
    /// # Errors
    /// Its files cannot be written.
    pub fn prepare(&mut self, options: &NodeOptions) -> Outcome<&mut Node> {
        self.node = None;
        // Named after the scenario, so that data of different scenarios lives apart.
        let name = self.scenario.replace('_', "-");
        let node = Node::prepare(self.rig.host(0), &name, &self.binaries, options)?;
        Ok(self.node.insert(node))
    }

    /// Starts a fresh node and forms a cluster of one; returns what `cluster init` printed as JSON.
    ///
    /// # Errors
    /// The daemon does not start, or refuses.
    pub fn cluster(&mut self) -> Outcome<Value> {
        self.prepare(&NodeOptions::default())?.start()?;
        let init = self.cli().json(&["cluster", "init"])?;
        // Ready once the engine was looked at and the leader has written what a leader writes.
        self.node().wait_for(Patience::NORMAL, "a ready node", &["cluster", "status"], |s| {
            s["members"][0]["status"] == "ready"
        })?;
        Ok(init)
    }

    /// Writes a stack.
    ///
    /// # Errors
    /// Its files cannot be written.
    pub fn stack(&mut self, jaco: &str, compose: &str) -> Outcome<Stack> {
        self.stacks += 1;
        Ok(Stack::write(self.scratch()?.join(format!("stack{}", self.stacks)), jaco, compose)?)
    }

    /// A copy of an example stack, to be edited.
    ///
    /// # Errors
    /// Its files cannot be copied.
    pub fn example(&mut self, name: &str) -> Outcome<Stack> {
        self.stacks += 1;
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/stacks").join(name);
        Ok(Stack::copy(&from, self.scratch()?.join(format!("stack{}", self.stacks)))?)
    }

    /// The containers of a service as the engine sees them.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn containers(&self, service: &str) -> Outcome<Vec<Container>> {
        Ok(self.engine().containers(Some(&format!("jaco.service={service}")))?)
    }

    /// Waits until every container, network and, with `volumes`, every volume is gone.
    ///
    /// # Errors
    /// Something is left; the report names it.
    pub fn nothing_left(&self, volumes: bool) -> Outcome {
        let engine = self.engine();
        let looked = until(Patience::NORMAL, "the engine to be empty", || {
            let text = |error: jaco_harness::HarnessError| error.to_string();
            let containers = engine.containers(None).map_err(text)?;
            let mut left: Vec<String> = containers.into_iter().map(|c| c.name).collect();
            left.extend(engine.networks().map_err(text)?);
            if volumes {
                left.extend(engine.volumes().map_err(text)?);
            }
            if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
        });
        Ok(looked?)
    }

    /// Waits until the deployment is active.
    ///
    /// # Errors
    /// It does not become active in time.
    pub fn active(&self, deployment: &str) -> Outcome<Value> {
        let what = format!("{deployment} to be active");
        let arguments = ["get", "deployments"];
        let list = self.node().wait_for(Patience::LONG, &what, &arguments, |list| {
            find(list, "name", deployment).is_some_and(|d| d["state"] == "active")
        })?;
        Ok(find(&list, "name", deployment).cloned().unwrap_or_default())
    }

    /// Waits until a replica holds what is asked for.
    ///
    /// # Errors
    /// It never does.
    pub fn replica(
        &self,
        patience: Patience,
        id: &str,
        what: &str,
        mut holds: impl FnMut(&Value) -> bool,
    ) -> Outcome<Value> {
        let list = self.node().wait_for(patience, what, &["get", "replicas"], |list| {
            find(list, "id", id).is_some_and(&mut holds)
        })?;
        Ok(find(&list, "id", id).cloned().unwrap_or_default())
    }

    /// Prints a measured number, so that it is in the log of the run.
    pub fn measured(&self, what: &str, value: impl std::fmt::Display) {
        crate::run::say(&format!("    {}: {what}: {value}", self.scenario));
    }
}

/// The row of a list whose `key` is `value`.
fn find<'a>(list: &'a Value, key: &str, value: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|row| row[key] == value)
}
