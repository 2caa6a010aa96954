//! The seam to what nodes tell of their load: the leader's memory of their signs of life, or a test.

use super::Sessions;
use crate::scheduler::rebalance::{Load, Samples};

/// Where the leader's tasks learn how loaded nodes and replicas are.
pub trait Sampler: Send + Sync + 'static {
    /// The newest sample of every node that is heard of, and of its replicas.
    fn samples(&self) -> Samples;
}

impl Sampler for Sessions {
    fn samples(&self) -> Samples {
        let mut samples = Samples::default();
        for (node, session) in self.all() {
            let load = session.load;
            samples.nodes.insert(node, Load { cpu: load.cpu, memory: load.memory });
            let replicas = load.replicas.into_iter().filter_map(|r| {
                Some((r.replica.parse().ok()?, Load { cpu: r.cpu, memory: r.memory }))
            });
            samples.replicas.extend(replicas);
        }
        samples
    }
}

#[cfg(test)]
mod tests {
    use jaco_api::{model::NodeId, pb};

    use super::*;

    #[tokio::test]
    async fn signs_of_life_are_samples() {
        let sessions = Sessions::default();
        let web = pb::ReplicaLoad { replica: "shop.web.1".to_owned(), cpu: 300, memory: 20 };
        let odd = pb::ReplicaLoad { replica: "no replica".to_owned(), ..web.clone() };
        let replicas = vec![web, odd];
        sessions.heard(
            NodeId(2),
            pb::NodeLoad {
                cpu: 700,
                memory: 50,
                stalled: None,
                replicas,
                networks: None,
                served: None,
            },
        );
        let samples = sessions.samples();
        assert_eq!(samples.nodes[&NodeId(2)].pressure(), 700);
        let known: Vec<_> =
            samples.replicas.iter().map(|(id, l)| (id.to_string(), l.cpu)).collect();
        assert_eq!(known, [("shop.web.1".to_owned(), 300)]);
    }
}
