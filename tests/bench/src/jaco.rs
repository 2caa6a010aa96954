//! JACO, through its command line.

use jaco_harness::{
    Binaries, HarnessError, Node, NodeOptions, Patience, Result, Rig, Stack, until,
};

use crate::{
    Contender,
    contender::{IMAGE, SCRIPT},
};

/// One daemon on each host.
#[derive(Debug)]
pub struct Jaco {
    binaries: Binaries,
    nodes: Vec<Node>,
    rounds: u32,
}

impl Jaco {
    /// Made of these programs.
    #[must_use]
    pub fn of(binaries: Binaries) -> Self {
        Self { binaries, nodes: Vec::new(), rounds: 0 }
    }
}

impl Contender for Jaco {
    fn name(&self) -> &'static str {
        "JACO"
    }

    fn form(&mut self, rig: &Rig) -> Result<()> {
        self.rounds += 1;
        for (n, host) in rig.hosts().iter().enumerate() {
            let name = format!("bench{}-{}", self.rounds, n + 1);
            let mut node = Node::prepare(host, &name, &self.binaries, &NodeOptions::default())?;
            node.start()?;
            self.nodes.push(node);
        }
        let first = self.nodes[0].cli();
        first.run(&["cluster", "init"])?;
        for node in &self.nodes[1..] {
            let issued = first.json(&["node", "issue-join-token"])?;
            let token = issued["token"].as_str().unwrap_or_default();
            let peer = self.nodes[0].server();
            node.cli().run(&["node", "join", "--peer", peer, "--token", token])?;
        }
        self.whole(rig)
    }

    fn deploy(&mut self, rig: &Rig, replicas: usize) -> Result<()> {
        let script = SCRIPT.replace('$', "$$");
        let compose = format!(
            "services:\n  app:\n    image: {IMAGE}\n    pull_policy: never\n    \
             stop_grace_period: 1s\n    command: [\"sh\", \"-c\", {script:?}]\n    deploy:\n      \
             replicas: {replicas}\n"
        );
        let stack = Stack::write(rig.directory().join("bench"), "deployment: bench\n", &compose)?;
        self.nodes[0].cli().run(&["apply", &stack.manifest()]).map(drop)
    }

    fn label(&self) -> &'static str {
        "jaco.deployment=bench"
    }

    fn expendable(&self, _: &Rig) -> Result<usize> {
        let status = self.nodes[0].cli().json(&["cluster", "status"])?;
        let leads = |node: &Node| status["leader"] == node.name();
        let follower = self.nodes.iter().rposition(|node| !leads(node));
        follower.ok_or_else(|| HarnessError::UnknownNode { name: "that does not lead".to_owned() })
    }

    fn whole(&self, _: &Rig) -> Result<()> {
        until(Patience::LONG, "every node to be ready", || {
            let status =
                self.nodes[0].cli().json(&["cluster", "status"]).map_err(|e| e.to_string())?;
            let members = status["members"].as_array().map_or(&[][..], Vec::as_slice);
            let ready = members.iter().filter(|member| member["status"] == "ready").count();
            if ready == self.nodes.len() { Ok(()) } else { Err(status.to_string()) }
        })
    }

    fn leave(&mut self, _: &Rig) -> Result<()> {
        self.nodes[0].cli().run(&["delete", "bench", "--wait=2m"])?;
        self.nodes.iter_mut().try_for_each(|node| node.stop().map(drop))?;
        self.nodes.clear();
        Ok(())
    }
}
