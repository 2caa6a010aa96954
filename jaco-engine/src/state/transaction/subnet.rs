//! Blocks of addresses: kept while a replica needs them, then in quarantine.

use std::sync::Arc;

use jaco_api::model::{AuditKind, BlockCount, NodeId, Replica, Subnet, SubnetKey};

use super::{Transaction, payload};
use crate::state::subnets::by_node;

/// Shares of all blocks, in hundredths, from which on the audit log warns.
const WARNINGS: [u64; 2] = [75, 90];

impl Transaction<'_> {
    /// Adds or replaces a block.
    pub(crate) fn put_subnet(&mut self, row: Subnet) {
        self.remove_subnet(&row.key);
        let key = row.key.clone();
        self.state.count_block(row.prefix, row.released.is_some(), true);
        self.state.subnets_by_address.insert(row.prefix, key.clone());
        self.state.subnets_by_node.insert(by_node(&key));
        if let Some(released) = row.released {
            self.state.quarantine.insert((released, key.clone()));
        }
        self.state.subnets.put(key, Arc::new(row));
    }

    /// Takes a block out: its addresses may be given to anybody.
    pub(crate) fn remove_subnet(&mut self, key: &SubnetKey) {
        let Some(old) = self.state.subnets.remove(key) else { return };
        self.state.subnets_by_address.remove(&old.prefix);
        self.state.subnets_by_node.remove(&by_node(key));
        if let Some(released) = old.released {
            self.state.quarantine.remove(&(released, key.clone()));
        }
        self.state.count_block(old.prefix, old.released.is_some(), false);
    }

    /// A replica was another, or is gone: what it needed may be needed no more.
    pub(super) fn unsettle_subnets(&mut self, old: &Replica, new: Option<&Replica>) {
        let needs =
            |r: &Replica| (r.node, r.container, r.preparation.as_ref().map(|p| p.container));
        if new.map(needs) != Some(needs(old)) {
            self.unsettled.insert((old.id.deployment.clone(), old.node));
        }
    }

    /// A node is no member any more: nothing of it is needed.
    pub(super) fn unsettle_subnets_on(&mut self, node: NodeId) {
        let there = self.state.subnets_on(node).map(|s| (s.key.deployment.clone(), node));
        self.unsettled.extend(there.collect::<Vec<_>>());
    }

    /// Puts the blocks that nothing needs any more into quarantine.
    pub(super) fn settle_subnets(&mut self) {
        for (deployment, node) in std::mem::take(&mut self.unsettled) {
            let mut idle = self.state.subnets_of_on(&deployment, node).peekable();
            if idle.peek().is_none() {
                continue;
            }
            let Some(needed) = self.state.needed_networks(&deployment, node) else { continue };
            let idle = idle.filter(|s| s.released.is_none() && !needed.contains(&s.key.network));
            for row in idle.cloned().collect::<Vec<_>>() {
                self.audit_subnet(AuditKind::SubnetReleased, &row);
                let released = Some(self.state.index);
                self.put_subnet(Subnet { released, ..Subnet::clone(&row) });
            }
        }
    }

    /// Notes in the audit log what becomes of a block.
    pub(crate) fn audit_subnet(&mut self, kind: AuditKind, row: &Subnet) {
        let facts = payload([
            ("deployment", row.key.deployment.to_string()),
            ("network", row.key.network.to_string()),
            ("node", self.node_name(row.key.node).to_string()),
            ("subnet", row.prefix.to_string()),
        ]);
        self.audit(kind, facts);
    }

    /// Warns once when the share of blocks that are taken has come to one of [`WARNINGS`].
    pub(super) fn warn_of_few_blocks(&mut self) {
        let (before, now) = (self.blocks_before, self.state.blocks());
        let crossed = |at: &&u64| before.percent() < **at && now.percent() >= **at;
        let Some(at) = WARNINGS.iter().rev().find(crossed) else { return };
        let BlockCount { capacity, taken, quarantined, .. } = now;
        let facts = payload([
            ("percent", at.to_string()),
            ("taken", taken.to_string()),
            ("quarantined", quarantined.to_string()),
            ("capacity", capacity.to_string()),
        ]);
        self.audit(AuditKind::SubnetPoolLow, facts);
    }
}
