//! One daemon on each host of a rig, made into a cluster through the command line.
//!
//! Waits are bounded, and what one reports when it runs out is the status and the last log lines of
//! every node.

use std::{fs, time::Duration};

use serde_json::Value;

use crate::{Binaries, Cli, HarnessError, Node, NodeOptions, Patience, Result, Rig, wait::until};

/// What joining came to.
#[derive(Debug, Clone)]
pub struct Joined {
    /// What `jaco node join` printed.
    pub answer: Value,
    /// How long `jaco node join` took.
    pub took: Duration,
}

/// A rig with its daemons. Nodes are called `node1`, `node2`, …, and counted from 0.
#[derive(Debug)]
pub struct Cluster {
    rig: Rig,
    binaries: Binaries,
    nodes: Vec<Node>,
}

impl Cluster {
    /// A cluster to be on this rig; no daemon is prepared yet.
    #[must_use]
    pub fn on(rig: Rig, binaries: Binaries) -> Self {
        Self { rig, binaries, nodes: Vec::new() }
    }

    /// The cluster of a rig that was made to be kept, with the daemons that still run.
    ///
    /// # Errors
    /// There is no such rig, or it has no daemons.
    pub fn open(rig: &str, binaries: Binaries) -> Result<Self> {
        let rig = Rig::open(rig)?;
        let open = |(n, host)| Node::open(host, &name(n), &binaries);
        let nodes = rig.hosts().iter().enumerate().map(open).collect::<Result<_>>()?;
        Ok(Self { rig, binaries, nodes })
    }

    /// The rig.
    #[must_use]
    pub fn rig(&self) -> &Rig {
        &self.rig
    }

    /// The rig, to stop and start its engines.
    #[must_use]
    pub fn rig_mut(&mut self) -> &mut Rig {
        &mut self.rig
    }

    /// The programs that the daemons are made of.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes, to change them.
    #[must_use]
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// A node.
    ///
    /// # Panics
    /// There are fewer.
    #[must_use]
    pub fn node(&self, n: usize) -> &Node {
        &self.nodes[n]
    }

    /// A node, to stop and start it.
    ///
    /// # Panics
    /// There are fewer.
    #[must_use]
    pub fn node_mut(&mut self, n: usize) -> &mut Node {
        &mut self.nodes[n]
    }

    /// `jaco` over the socket of a node.
    ///
    /// # Panics
    /// There are fewer nodes.
    #[must_use]
    pub fn cli(&self, n: usize) -> Cli {
        self.node(n).cli()
    }

    /// The place of the node of this name.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name() == name)
    }

    /// Kills the daemons.
    pub fn clear(&mut self) {
        self.nodes.clear();
    }

    /// Replaces the daemons by fresh ones with empty data directories, without starting them.
    ///
    /// # Errors
    /// An old one does not end, or the files of a new one cannot be written.
    pub fn prepare(&mut self, options: &NodeOptions) -> Result<()> {
        self.nodes.clear();
        for n in 0..self.rig.hosts().len() {
            self.renew(n, options)?;
        }
        Ok(())
    }

    /// Puts a fresh daemon in the place of one, or of the next that is missing.
    ///
    /// # Errors
    /// The files cannot be written.
    ///
    /// # Panics
    /// There is no host for it.
    pub fn renew(&mut self, n: usize, options: &NodeOptions) -> Result<()> {
        let host = self.rig.host(n);
        let directory = host.directory().join(name(n));
        // A dropped node is a killed one, so nobody writes there any more.
        let old = (n < self.nodes.len()).then(|| self.nodes.remove(n));
        drop(old);
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(HarnessError::file("remove", directory)(error));
            }
            _ => self.nodes.insert(n, Node::prepare(host, &name(n), &self.binaries, options)?),
        }
        Ok(())
    }

    /// Starts every daemon and waits until each answers on its socket.
    ///
    /// # Errors
    /// One does not.
    pub fn start(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::start)
    }

    /// Founds a cluster on the first node; returns what `cluster init` printed.
    ///
    /// # Errors
    /// The node refuses.
    pub fn init(&self) -> Result<Value> {
        self.cli(0).json(&["cluster", "init"])
    }

    /// A new join token, issued through a member.
    ///
    /// # Errors
    /// The member refuses.
    pub fn token(&self, member: usize) -> Result<String> {
        let issued = self.cli(member).json(&["node", "issue-join-token"])?;
        let text = issued["token"].as_str().map(str::to_owned);
        text.ok_or_else(|| HarnessError::Command {
            line: "jaco node issue-join-token".to_owned(),
            status: "an answer without a token".to_owned(),
            output: issued.to_string(),
        })
    }

    /// Joins a node through a member, with a token that is issued for it.
    ///
    /// # Errors
    /// Either of them refuses.
    pub fn join(&self, n: usize, member: usize) -> Result<Joined> {
        let token = self.token(member)?;
        let peer = self.node(member).server();
        let started = std::time::Instant::now();
        let answer = self.cli(n).json(&["node", "join", "--peer", peer, "--token", &token])?;
        Ok(Joined { answer, took: started.elapsed() })
    }

    /// Founds a cluster and joins every other node to it; returns when all are ready in the eyes of all,
    /// and as many vote as should.
    ///
    /// # Errors
    /// A node refuses or does not become ready; the report is that of every node.
    pub fn form(&self) -> Result<Value> {
        let init = self.init().map_err(|error| self.explained(error))?;
        let others = 1..self.nodes.len();
        others
            .map(|n| self.join(n, 0))
            .collect::<Result<Vec<_>>>()
            .map_err(|e| self.explained(e))?;
        self.ready(Patience::NORMAL)?;
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        // An odd number, and at most seven.
        self.voters(&all, Patience::NORMAL, (self.nodes.len().min(7) - 1) / 2 * 2 + 1)?;
        Ok(init)
    }

    /// Waits until that many vote, in the eyes of these nodes.
    ///
    /// # Errors
    /// One never sees that many, with the report of every node.
    pub fn voters(&self, witnesses: &[usize], patience: Patience, count: usize) -> Result<()> {
        let what = format!("{count} to vote");
        self.everywhere(witnesses, patience, &what, &["cluster", "status"], |status| {
            let rows = status["members"].as_array().map_or(&[][..], Vec::as_slice);
            let votes = |row: &&Value| row["role"] == "voter" || row["role"] == "leader";
            rows.iter().filter(votes).count() == count
        })
    }

    /// Waits until every node says that every node is ready.
    ///
    /// # Errors
    /// One does not, with the report of every node.
    pub fn ready(&self, patience: Patience) -> Result<()> {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.ready_among(&all, patience)
    }

    /// Waits until these nodes say that they are the members and ready.
    ///
    /// # Errors
    /// One does not, with the report of every node.
    pub fn ready_among(&self, members: &[usize], patience: Patience) -> Result<()> {
        let mut names: Vec<&str> = members.iter().map(|n| self.node(*n).name()).collect();
        names.sort_unstable();
        let what = format!("{} to be ready", names.join(", "));
        self.everywhere(members, patience, &what, &["cluster", "status"], |status| {
            let rows = status["members"].as_array().map_or(&[][..], Vec::as_slice);
            let mut ready: Vec<&str> = rows.iter().filter_map(|m| m["name"].as_str()).collect();
            ready.sort_unstable();
            ready == names && rows.iter().all(|member| member["status"] == "ready")
        })
    }

    /// Looks at `jaco … -o json` on each of these nodes until `holds` accepts what every one says.
    ///
    /// # Errors
    /// One never does; the report holds its last document, and status and log of every node.
    pub fn everywhere(
        &self,
        witnesses: &[usize],
        patience: Patience,
        what: &str,
        arguments: &[&str],
        mut holds: impl FnMut(&Value) -> bool,
    ) -> Result<()> {
        self.until(patience, what, || {
            witnesses.iter().map(|n| self.node(*n)).try_for_each(|node| {
                let seen = |what: String| format!("{}: {what}", node.name());
                let document = node.cli().json(arguments).map_err(|e| seen(e.to_string()))?;
                if holds(&document) { Ok(()) } else { Err(seen(document.to_string())) }
            })
        })
    }

    /// Waits like [`until`], and adds status and log of every node to the report.
    ///
    /// # Errors
    /// It never comes true.
    pub fn until<T>(
        &self,
        patience: Patience,
        what: &str,
        look: impl FnMut() -> Result<T, String>,
    ) -> Result<T> {
        until(patience, what, look).map_err(|error| self.explained(error))
    }

    fn explained(&self, error: HarnessError) -> HarnessError {
        HarnessError::Cluster { source: Box::new(error), report: self.report() }
    }

    /// The node that leads, as the first of `witnesses` says that knows.
    ///
    /// # Errors
    /// None of them knows in time, with the report of every node.
    pub fn leader(&self, witnesses: &[usize]) -> Result<usize> {
        self.until(Patience::SHORT, "a leader", || {
            let mut said = Vec::new();
            for n in witnesses {
                match self.cli(*n).json(&["cluster", "status"]) {
                    Ok(status) => {
                        let leader = status["leader"].as_str().and_then(|name| self.place(name));
                        if let Some(leader) = leader {
                            return Ok(leader);
                        }
                        said.push(status.to_string());
                    }
                    Err(error) => said.push(error.to_string()),
                }
            }
            Err(said.join("\n"))
        })
    }

    /// Status and last log lines of every node.
    #[must_use]
    pub fn report(&self) -> String {
        self.nodes.iter().map(Node::report).collect()
    }

    /// Lets daemons and engines live on after this process.
    pub fn detach(&mut self) {
        self.nodes.iter_mut().for_each(Node::detach);
        self.rig.detach();
    }

    /// Ends the daemons and removes the rig.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn down(self) -> Result<()> {
        let Self { rig, nodes, .. } = self;
        drop(nodes);
        rig.down()
    }
}

fn name(n: usize) -> String {
    format!("node{}", n + 1)
}
