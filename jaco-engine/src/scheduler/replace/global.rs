//! Global services: one replica on every node they belong on, named after the node.

use std::collections::BTreeMap;

use jaco_api::model::{Node, Replica, Slot};

use super::{
    super::{
        filter::{explain, refuses},
        input::active_rollout,
        pass::Pass,
    },
    Steps, count, covers, has_node_slot,
};
use crate::command::Action;

impl<'a> Steps<'_, 'a> {
    /// A global service: one replica on every node that may take it, none elsewhere.
    pub(super) fn cover_nodes(&mut self, pass: &mut Pass<'a>) {
        let service = self.service;
        let nodes = service.global_nodes(pass.state);
        self.looked = true;
        let mut misplaced: Vec<_> = service.present().filter(|r| !on_its_node(r, &nodes)).collect();
        misplaced.sort_by_key(|r| (r.is_running(), r.id.slot.clone()));
        let mut covered = count(service.present().filter(|r| covers(pass.state, r)).count());
        let mut running = count(service.present().filter(|r| r.is_running()).count());
        for replica in misplaced {
            let covered_then = covered - u32::from(covers(pass.state, replica));
            let given_up = pass.state.node(replica.node).is_some_and(|n| n.gives_up_replicas());
            if replica.is_running() {
                if !given_up && running - 1 < self.floor_of_leaving(replica, covered_then) {
                    continue;
                }
                running -= 1;
            }
            covered = covered_then;
            self.left -= u32::from(service.outgoing.iter().any(|o| o.replica.id == replica.id));
            self.remove(&replica.id);
        }
        let mut refused = BTreeMap::new();
        for node in &nodes {
            let taken = |r: &&Replica| r.id.slot == Slot::Node(node.name.clone());
            let vacant = !service.present().any(|r| taken(&r))
                && !service.leaving.iter().chain(&service.given_up).any(taken);
            if !vacant {
                continue;
            }
            if let Some(refusal) = pass.blocks.refuse(pass.state, service, node.id) {
                *refused.entry(refusal).or_default() += 1;
            } else {
                pass.blocks.promise(pass.state, service, node.id);
                pass.note_placed(service.planned, node.id);
                self.actions.push(Action::Create {
                    service: service.name.clone(),
                    node: node.id,
                    slot: Some(node.name.clone()),
                });
            }
        }
        if !refused.is_empty() {
            self.unplaced = Some(explain(&refused));
        }
        if nodes.is_empty() {
            let ask = service.ask(&[]);
            let mut refusals = BTreeMap::new();
            for refusal in pass.state.nodes().filter_map(|n| refuses(&ask, n)) {
                *refusals.entry(refusal).or_default() += 1;
            }
            self.unplaced = Some(explain(&refusals));
        }
    }

    /// How many must run without a global service's replica that leaves its node: one that is
    /// numbered, from before the service became global, serves until the others do.
    fn floor_of_leaving(&self, replica: &Replica, covered: u32) -> u32 {
        let rolling = active_rollout(self.service.deployment).is_some();
        let of_rollout = if rolling { self.service.floor(covered) } else { 0 };
        if has_node_slot(replica) {
            of_rollout
        } else {
            of_rollout.max(self.service.floor(self.desired))
        }
    }
}

/// Whether a global service's replica is the one of a node it belongs on.
fn on_its_node(replica: &Replica, nodes: &[&Node]) -> bool {
    nodes.iter().any(|n| n.id == replica.node && replica.id.slot == Slot::Node(n.name.clone()))
}
