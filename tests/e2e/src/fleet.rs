//! What a scenario of many hosts works with.

use std::{fs, path::PathBuf};

use jaco_harness::{
    Binaries, Cli, Cluster, Container, Engine, HarnessError, NodeOptions, Patience, Rig,
    RigOptions, Stack,
};
use serde_json::Value;

use crate::{Outcome, Stage, images, run::say};

const HOSTS: u8 = 3;

/// Three hosts with engines and images, and the daemons of the present scenario.
#[derive(Debug)]
pub struct Fleet {
    cluster: Cluster,
    scenario: String,
    stacks: u32,
}

/// A replica as `jaco get replicas` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Identifier.
    pub id: String,
    /// Name of its node.
    pub node: String,
    /// State, in lowercase.
    pub state: String,
    /// Verdict of the health check, in lowercase.
    pub health: String,
    /// Generation.
    pub generation: u64,
    /// Id of its container, once there is one.
    pub container: Option<String>,
}

impl Stage for Fleet {
    fn build() -> Outcome<Self> {
        let binaries = Binaries::from_environment()?;
        let rig = Rig::up(&RigOptions { hosts: HOSTS, ..Default::default() })?;
        images::load(&rig, &binaries)?;
        Ok(Self { cluster: Cluster::on(rig, binaries), scenario: String::new(), stacks: 0 })
    }

    fn begin(&mut self, scenario: &str) -> Outcome {
        scenario.clone_into(&mut self.scenario);
        self.cluster.clear();
        self.clean()
    }

    fn report(&self) -> String {
        self.cluster.report()
    }

    fn end(self) -> Outcome {
        Ok(self.cluster.down()?)
    }
}

fn engines(cluster: &Cluster) -> Vec<Engine> {
    cluster.rig().hosts().iter().map(|host| host.engine().clone()).collect()
}

impl Fleet {
    /// Leaves nothing of a cluster on the hosts but files.
    fn clean(&mut self) -> Outcome {
        let rig = self.cluster.rig_mut();
        rig.hosts().iter().try_for_each(jaco_harness::Host::heal)?;
        rig.hosts().iter().try_for_each(jaco_harness::Host::forget_cluster)?;
        rig.revive()?;
        Ok(rig.clear_engines()?)
    }

    /// Kills the daemons and takes from them all that they know, but for their caches.
    ///
    /// # Errors
    /// A file cannot be removed, or an engine does not come back.
    pub fn lose_state(&mut self) -> Outcome {
        for node in self.cluster.nodes_mut() {
            node.kill()?;
            node.forget_state()?;
        }
        self.clean()
    }

    /// The daemons, and the hosts below them.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The daemons, to stop and start them.
    #[must_use]
    pub fn cluster_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// `jaco` over the socket of a node, counted from 0.
    ///
    /// # Panics
    /// There are fewer nodes.
    #[must_use]
    pub fn cli(&self, n: usize) -> Cli {
        self.cluster.cli(n)
    }

    /// The engines, in the order of the nodes.
    #[must_use]
    pub fn engines(&self) -> Vec<Engine> {
        engines(&self.cluster)
    }

    /// The engine of a node.
    ///
    /// # Panics
    /// There are fewer.
    #[must_use]
    pub fn engine(&self, n: usize) -> Engine {
        self.cluster.rig().host(n).engine().clone()
    }

    /// Starts fresh daemons that belong to no cluster.
    ///
    /// # Errors
    /// One does not start.
    pub fn daemons(&mut self) -> Outcome {
        self.cluster.prepare(&NodeOptions::default())?;
        Ok(self.cluster.start()?)
    }

    /// Forms a cluster of fresh daemons on every host; returns what `cluster init` printed.
    ///
    /// # Errors
    /// A daemon does not start, or refuses.
    pub fn form(&mut self) -> Outcome<Value> {
        self.daemons()?;
        Ok(self.cluster.form()?)
    }

    /// As [`Fleet::form`], with further lines of jacod.yaml for every daemon.
    ///
    /// # Errors
    /// A daemon does not start, or refuses.
    pub fn form_with(&mut self, config: &str) -> Outcome<Value> {
        let options = NodeOptions { config: config.to_owned(), ..NodeOptions::default() };
        self.cluster.prepare(&options)?;
        self.cluster.start()?;
        Ok(self.cluster.form()?)
    }

    /// A directory of this scenario.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn scratch(&self) -> Outcome<PathBuf> {
        let directory = self.cluster.rig().directory().join("scratch").join(&self.scenario);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// Writes a stack.
    ///
    /// # Errors
    /// Its files cannot be written.
    pub fn stack(&mut self, jaco: &str, compose: &str) -> Outcome<Stack> {
        self.stacks += 1;
        Ok(Stack::write(self.scratch()?.join(format!("stack{}", self.stacks)), jaco, compose)?)
    }

    /// The containers of a service on each host, as the engines see them.
    ///
    /// # Errors
    /// An engine does not answer.
    pub fn containers(&self, service: &str) -> Outcome<Vec<Vec<Container>>> {
        let label = format!("jaco.service={service}");
        let all = self.engines().into_iter().map(|engine| engine.containers(Some(&label)));
        Ok(all.collect::<Result<_, HarnessError>>()?)
    }

    /// How many containers of a service run on each host.
    ///
    /// # Errors
    /// An engine does not answer.
    pub fn running(&self, service: &str) -> Outcome<Vec<usize>> {
        let all = self.containers(service)?;
        let running = |list: &Vec<Container>| list.iter().filter(|c| c.status == "running").count();
        Ok(all.iter().map(running).collect())
    }

    /// Every replica, as node `n` knows it.
    ///
    /// # Errors
    /// The node does not answer.
    pub fn replicas(&self, n: usize) -> Outcome<Vec<Replica>> {
        let rows = self.cli(n).json(&["get", "replicas"])?;
        let text = |row: &Value, key: &str| row[key].as_str().map(str::to_owned);
        let replica = |row: &Value| Replica {
            id: text(row, "id").unwrap_or_default(),
            node: text(row, "node").unwrap_or_default(),
            state: text(row, "state").unwrap_or_default(),
            health: text(row, "health").unwrap_or_default(),
            generation: row["generation"].as_u64().unwrap_or_default(),
            container: text(row, "container"),
        };
        Ok(rows.as_array().into_iter().flatten().map(replica).collect())
    }

    /// Waits until the replicas that node `n` knows are as asked for.
    ///
    /// # Errors
    /// They never are; the report holds them and that of every node.
    pub fn until_replicas(
        &self,
        n: usize,
        patience: Patience,
        what: &str,
        mut holds: impl FnMut(&[Replica]) -> bool,
    ) -> Outcome<Vec<Replica>> {
        Ok(self.cluster.until(patience, what, || {
            let rows = self.replicas(n).map_err(|error| error.to_string())?;
            if holds(&rows) { Ok(rows) } else { Err(format!("{rows:#?}")) }
        })?)
    }

    /// Waits until node `n` says that a deployment is active, and returns its row.
    ///
    /// # Errors
    /// It does not become active in time.
    pub fn active(&self, n: usize, deployment: &str) -> Outcome<Value> {
        let what = format!("{deployment} to be active");
        Ok(self.cluster.until(Patience::LONG, &what, || {
            let list = self.cli(n).json(&["get", "deployments"]).map_err(|e| e.to_string())?;
            let rows = list.as_array().into_iter().flatten();
            let row = rows.into_iter().find(|row| row["name"] == deployment);
            row.filter(|row| row["state"] == "active").cloned().ok_or_else(|| list.to_string())
        })?)
    }

    /// Prints a measured number, so that it is in the log of the run.
    pub fn measured(&self, what: &str, value: impl std::fmt::Display) {
        say(&format!("    {}: {what}: {value}", self.scenario));
    }
}
