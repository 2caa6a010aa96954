//! From a reading to the text that Prometheus reads (OpenMetrics). Pure.
//!
//! The names are those of `docs/operations/metrics.md`.

use std::fmt;

use jaco_api::model::MeshStatus;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text::encode},
    metrics::{MetricType, counter::ConstCounter},
    registry::{Registry, Unit},
};

use super::{MemberReading, Reading};

/// The text of a reading.
pub(super) fn text(reading: Reading) -> String {
    let mut registry = Registry::with_prefix("jaco");
    registry.register_collector(Box::new(reading));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes whatever is written to it");
    text
}

impl Collector for Reading {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Page(encoder);
        out.info("build", "The version that runs", &[("version", self.version)])?;
        out.gauge("node_ready", "Whether the node does its work", i64::from(self.ready))?;
        out.counter("firewall_repairs", "Times that others had changed the rules", self.repairs)?;
        let queries = self.queries.iter().map(|(outcome, count)| (*outcome, *count));
        out.counters("dns_queries", "Questions of containers", None, "outcome", queries)?;
        out.routes(self)?;
        if let Some(mesh) = &self.mesh {
            out.mesh(mesh)?;
        }
        self.member.as_ref().map_or(Ok(()), |member| out.member(member))
    }
}

/// What is written so far.
pub(super) struct Page<'e>(pub(super) DescriptorEncoder<'e>);

impl Page<'_> {
    fn mesh(&mut self, mesh: &MeshStatus) -> fmt::Result {
        let device = [("device", mesh.device.as_str())];
        self.info("mesh", "How the tunnels of this node are made", &device)?;
        let ages = mesh.peers.iter().filter_map(|peer| {
            let age = std::time::Duration::from_millis(peer.handshake_ms?);
            Some((peer.node.as_str(), age.as_secs_f64()))
        });
        let help = "Time since keys were last agreed on with a peer; absent if never";
        let mut family = self.0.encode_descriptor(
            "mesh_handshake_age",
            help,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (peer, age) in ages {
            family.encode_family(&[("peer", peer)])?.encode_gauge(&age)?;
        }
        let received = mesh.peers.iter().map(|peer| (peer.node.as_str(), peer.received));
        let help = "Bytes that came from a peer, with WireGuard's own";
        self.counters("mesh_received", help, Some(&Unit::Bytes), "peer", received)?;
        let sent = mesh.peers.iter().map(|peer| (peer.node.as_str(), peer.sent));
        let help = "Bytes that went to a peer, with WireGuard's own";
        self.counters("mesh_sent", help, Some(&Unit::Bytes), "peer", sent)
    }

    fn member(&mut self, member: &MemberReading) -> fmt::Result {
        self.gauge("raft_term", "The term", number(member.term))?;
        self.gauge("raft_is_leader", "Whether this node leads", i64::from(member.leads))?;
        let help = "Last entry known here to be committed";
        self.gauge("raft_commit_index", help, number(member.commit))?;
        self.gauge("raft_applied_index", "Last entry applied here", number(member.applied))?;
        let help = "From the proposal of a command on this node until its state shows it";
        let commits = &member.commits;
        let encoder = self.0.encode_descriptor(
            "raft_commit_duration",
            help,
            Some(&Unit::Seconds),
            commits.metric_type(),
        )?;
        commits.encode(encoder)?;
        let help = "Replicas that the cluster has given to this node, by their state";
        let mut family = self.0.encode_descriptor("replicas", help, None, MetricType::Gauge)?;
        for (state, count) in &member.replicas {
            family.encode_family(&[("state", *state)])?.encode_gauge(&number(*count))?;
        }
        self.certificates(member.certificates.iter())
    }

    fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str); 1]) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(labels)
    }

    fn gauge(&mut self, name: &str, help: &str, value: i64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.0.encode_descriptor(
            name,
            help,
            None,
            MetricType::Counter,
        )?)
    }

    fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        label: &str,
        values: impl Iterator<Item = (&'l str, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (value, count) in values {
            ConstCounter::new(count).encode(family.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }
}

/// A gauge takes no more.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jaco_api::model::{MeshKey, MeshKind, MeshPeerStatus};
    use jaco_ingress::proxy::{RouteKey, RouteStats};
    use jaco_net::dns::QueryOutcome;

    use super::*;
    use crate::submit::commit_times;

    fn reading() -> Reading {
        Reading {
            version: "0.1.0",
            ready: false,
            repairs: 0,
            queries: QueryOutcome::ALL.map(|outcome| (outcome.as_str(), 0)).into(),
            routes: BTreeMap::new(),
            mesh: None,
            member: None,
        }
    }

    fn routes() -> BTreeMap<RouteKey, RouteStats> {
        let key = RouteKey {
            domain: "shop.example".to_owned(),
            path: "/".to_owned(),
            deployment: "shop".parse().unwrap(),
            service: "web".parse().unwrap(),
        };
        let mut stats = RouteStats { answers: [0, 3, 0, 1, 0], retries: 1, ..Default::default() };
        (stats.durations[1], stats.durations[12]) = (3, 1);
        (stats.duration_sum, stats.upstream_errors) = (std::time::Duration::from_millis(31_005), 2);
        [(key, stats)].into()
    }

    #[test]
    fn a_node_without_a_cluster_has_little_to_tell() {
        insta::assert_snapshot!(text(reading()));
    }

    #[test]
    fn a_member_tells_everything_by_the_names_of_its_peers() {
        let peer = |node: &str, handshake_ms| MeshPeerStatus {
            node: node.parse().unwrap(),
            public_key: MeshKey([2; 32]),
            endpoint: None,
            handshake_ms,
            received: 1_000,
            sent: 2_000,
        };
        let commits = commit_times();
        [0.003, 0.02, 7.0].into_iter().for_each(|seconds| commits.observe(seconds));
        let member = MemberReading {
            term: 3,
            commit: 41,
            applied: 40,
            leads: true,
            commits,
            replicas: BTreeMap::from([("failed", 1), ("running", 4)]),
            certificates: [("shop.example".to_owned(), 1_800_000_000)].into(),
        };
        let mesh = MeshStatus {
            device: MeshKind::Userspace,
            reason: None,
            interface: "jaco0".to_owned(),
            public_key: MeshKey([1; 32]),
            listen_port: 51_820,
            address: None,
            peers: vec![peer("node-b", Some(1_500)), peer("node-c", None)],
        };
        let told = Reading {
            ready: true,
            repairs: 2,
            routes: routes(),
            mesh: Some(mesh),
            member: Some(member),
            ..reading()
        };
        insta::assert_snapshot!(text(told));
    }

    /// The documentation lists exactly the names there are.
    #[test]
    fn every_metric_is_documented() {
        let page = include_str!("../../../../docs/operations/metrics.md");
        let member = MemberReading {
            term: 0,
            commit: 0,
            applied: 0,
            leads: false,
            commits: commit_times(),
            replicas: BTreeMap::new(),
            certificates: BTreeMap::new(),
        };
        let mesh = MeshStatus {
            device: MeshKind::Fake,
            reason: None,
            interface: String::new(),
            public_key: MeshKey([1; 32]),
            listen_port: 0,
            address: None,
            peers: Vec::new(),
        };
        let told = text(Reading { mesh: Some(mesh), member: Some(member), ..reading() });
        let names = told.lines().filter_map(|line| {
            let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            Some(match kind {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.to_owned(),
            })
        });
        let names: Vec<_> = names.collect();
        let documented: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `jaco_")?.split('`').next())
            .collect();
        let documented: Vec<_> = documented.iter().map(|name| format!("jaco_{name}")).collect();
        assert_eq!(names, documented);
    }
}
