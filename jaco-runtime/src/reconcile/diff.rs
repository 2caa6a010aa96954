//! What an assignment changes for the workers. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jaco_api::model::{AssignedReplica, Assignment, ClusterId, Observation};

/// What one worker is to bring about.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// Whether anything may be done.
    pub(crate) caught_up: bool,
    /// The replica; none when it is not assigned here.
    pub(crate) replica: Option<Arc<AssignedReplica>>,
}

impl Order {
    /// Whether a worker that has this order must look again when it gets the other.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let essence = |order: &Self| {
            order
                .replica
                .as_deref()
                .map(|r| AssignedReplica { observed: Observation::default(), ..r.clone() })
        };
        (self.cluster, self.caught_up) != (other.cluster, other.caught_up)
            || essence(self) != essence(other)
    }
}

/// The orders of all replicas that are assigned or have containers, by the text of their id.
pub(crate) fn orders(
    assignment: &Assignment,
    actual: &BTreeSet<String>,
) -> BTreeMap<String, Order> {
    let order = |replica: Option<Arc<AssignedReplica>>| Order {
        cluster: assignment.cluster,
        caught_up: assignment.caught_up,
        replica,
    };
    let mut orders: BTreeMap<String, Order> =
        actual.iter().map(|id| (id.clone(), order(None))).collect();
    for (id, replica) in &assignment.replicas {
        orders.insert(id.to_string(), order(Some(Arc::new(replica.clone()))));
    }
    orders
}
