//! Docker Swarm, through the engine's own command line.
//!
//! Services are found by DNS (`dnsrr`) over an overlay network and publish no port: the virtual
//! addresses of Swarm need IPVS, which not every kernel has. Every host is a manager, as every node of
//! JACO may be a voter.

use jaco_harness::{Patience, Result, Rig, until};

use crate::{
    Contender,
    contender::{IMAGE, SCRIPT},
};

const SERVICE: &str = "bench";
const NETWORK: &str = "bench";

/// The swarm mode of each host's engine.
#[derive(Debug, Default)]
pub struct Swarm {
    nodes: Vec<String>,
}

impl Contender for Swarm {
    fn name(&self) -> &'static str {
        "Docker Swarm"
    }

    fn form(&mut self, rig: &Rig) -> Result<()> {
        let first = rig.host(0);
        let address = first.address().to_string();
        first.engine().docker(&["swarm", "init", "--advertise-addr", &address])?;
        let token = first.engine().docker(&["swarm", "join-token", "-q", "manager"])?;
        for host in &rig.hosts()[1..] {
            let own = host.address().to_string();
            let peer = format!("{address}:2377");
            let join = ["swarm", "join", "--advertise-addr", &own, "--token", token.trim(), &peer];
            host.engine().docker(&join)?;
        }
        let id = |host: &jaco_harness::Host| {
            host.engine().docker(&["info", "--format", "{{.Swarm.NodeID}}"])
        };
        self.nodes = rig.hosts().iter().map(id).collect::<Result<_>>()?;
        first.engine().docker(&["network", "create", "-d", "overlay", NETWORK])?;
        self.whole(rig)
    }

    fn deploy(&mut self, rig: &Rig, replicas: usize) -> Result<()> {
        let replicas = replicas.to_string();
        let create = ["service", "create", "-d", "--name", SERVICE, "--network", NETWORK];
        let how = ["--endpoint-mode", "dnsrr", "--no-resolve-image", "--stop-grace-period", "1s"];
        let what = ["--replicas", &replicas, IMAGE, "sh", "-c", SCRIPT];
        rig.host(0).engine().docker(&[&create[..], &how, &what].concat()).map(drop)
    }

    fn label(&self) -> &'static str {
        "com.docker.swarm.service.name=bench"
    }

    fn expendable(&self, rig: &Rig) -> Result<usize> {
        let list = ["node", "ls", "--format", "{{.ID}} {{.ManagerStatus}}"];
        let list = rig.host(0).engine().docker(&list)?;
        let leader = list.lines().find(|line| line.ends_with("Leader")).unwrap_or_default();
        Ok(self.nodes.iter().rposition(|id| !leader.starts_with(id.as_str())).unwrap_or(0))
    }

    fn whole(&self, rig: &Rig) -> Result<()> {
        until(Patience::LONG, "every engine to be in the swarm", || {
            let list = ["node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}"];
            let list = rig.host(0).engine().docker(&list).map_err(|error| error.to_string())?;
            let up = list.lines().filter(|line| {
                line.starts_with("Ready")
                    && (line.ends_with("Leader") || line.ends_with("Reachable"))
            });
            if up.count() == rig.hosts().len() { Ok(()) } else { Err(list) }
        })
    }

    fn leave(&mut self, rig: &Rig) -> Result<()> {
        rig.host(0).engine().docker(&["service", "rm", SERVICE])?;
        until(Patience::LONG, "the containers of the swarm to be gone", || {
            let filter = format!("label={}", self.label());
            let left: Vec<String> = rig
                .hosts()
                .iter()
                .map(|host| host.engine().docker(&["ps", "-aq", "--filter", &filter]))
                .collect::<Result<_>>()
                .map_err(|error| error.to_string())?;
            let left: usize = left.iter().map(|list| list.lines().count()).sum();
            if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
        })?;
        // The last managers cannot ask each other any more.
        rig.hosts()
            .iter()
            .rev()
            .try_for_each(|host| host.engine().docker(&["swarm", "leave", "--force"]).map(drop))
    }
}
