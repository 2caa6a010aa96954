//! A second look at a plan, written independently of the planner: what no plan may ever hold.
//!
//! In: a state and a plan made from it. Out: one sentence per violation. Used in tests and, in
//! debug builds, on every plan. It never changes a plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jaco_api::model::{
    Deployment, DeploymentPhase, Intent, NodeId, NodeName, NodeStatus, Replica, ReplicaId,
    ServiceName, Timestamp,
};

use super::Plan;
use crate::{
    command::{Action, Reconcile, RolloutEnd},
    state::{State, is_cut_off},
};

/// What is wrong with a plan; nothing, if it is sound.
#[must_use]
pub fn violations(state: &State, plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for batch in &plan.batches {
        if !seen.insert(&batch.deployment) {
            found.push(format!("{}: two batches", batch.deployment));
        }
        match state.deployment(&batch.deployment) {
            None => found.push(format!("{}: no such deployment", batch.deployment)),
            Some(deployment) => {
                let mut batch = Batch::new(state, deployment, batch, &mut found);
                batch.check_actions();
                batch.check_companions_apart();
                batch.check_floors();
            }
        }
    }
    found
}

/// One batch under inspection.
struct Batch<'a> {
    state: &'a State,
    deployment: &'a Deployment,
    batch: &'a Reconcile,
    found: &'a mut Vec<String>,
    acted_on: BTreeSet<&'a ReplicaId>,
    /// Running replicas that this batch stops, by service.
    stopped: BTreeMap<&'a ServiceName, Vec<&'a Replica>>,
    slots: BTreeSet<(&'a ServiceName, &'a NodeName)>,
}

impl<'a> Batch<'a> {
    fn new(
        state: &'a State,
        deployment: &'a Deployment,
        batch: &'a Reconcile,
        found: &'a mut Vec<String>,
    ) -> Self {
        let (acted_on, stopped, slots) = Default::default();
        Self { state, deployment, batch, found, acted_on, stopped, slots }
    }

    fn report(&mut self, what: impl std::fmt::Display) {
        self.found.push(format!("{}: {what}", self.deployment.name));
    }

    fn check_actions(&mut self) {
        let batch = self.batch;
        if batch.actions.is_empty() {
            self.report("an empty batch");
        }
        if batch.version != self.deployment.version {
            self.report("planned from another version");
        }
        let last = batch.actions.len().saturating_sub(1);
        for (at, action) in batch.actions.iter().enumerate() {
            match action {
                Action::Create { service, node, slot } => {
                    self.check_create(service, *node, slot.as_ref());
                }
                Action::Address { service } => self.check_addresses(service),
                Action::Accompany { service, lead } => self.check_companion(service, lead),
                Action::Prepare { replica } | Action::Advance { replica } => {
                    self.check_replacement(replica, matches!(action, Action::Advance { .. }));
                }
                Action::Remove { replica } => {
                    if let Some(row) = self.owned(replica)
                        && row.is_running()
                        && row.tick.is_none()
                    {
                        self.stopped.entry(&row.id.service).or_default().push(row);
                    }
                }
                Action::Move { replica, to, .. } => {
                    self.owned(replica);
                    self.check_create(&replica.service, *to, None);
                }
                Action::Unplaced { service, reason } => {
                    if self.deployment.unplaced.get(service) == reason.as_ref() {
                        self.report(format!("{service}: the reason is written already"));
                    }
                }
                Action::CountFailure { .. } => {
                    if self.deployment.rollout.is_none() {
                        self.report("a failure is counted without a rollout");
                    }
                }
                Action::EndRollout(end) => self.check_end(end, at == last),
                Action::StartRun { service, tick, node } => {
                    self.check_create(service, *node, None);
                    self.check_run(service, *tick, true);
                }
                Action::CancelRun { service, tick, .. } => self.check_run(service, *tick, true),
                Action::DropRun { service, tick } => self.check_run(service, *tick, false),
            }
        }
    }

    /// The row of a replica that is acted on, once and only while it is to run.
    fn owned(&mut self, id: &'a ReplicaId) -> Option<&'a Replica> {
        if !self.acted_on.insert(id) {
            self.report(format!("two actions on {id}"));
            return None;
        }
        match self.state.replica(id) {
            Some(row) if row.id.deployment == self.deployment.name && row.intent == Intent::Run => {
                Some(row)
            }
            _ => {
                self.report(format!("{id} is not there to be acted on"));
                None
            }
        }
    }

    fn check_create(&mut self, service: &'a ServiceName, node: NodeId, slot: Option<&'a NodeName>) {
        let Some(planned) = self.state.service(&self.deployment.name, service) else {
            return self.report(format!("{service} is no service of the revision in force"));
        };
        if self.deployment.phase != DeploymentPhase::Running {
            self.report(format!("{service} is created though nothing is to run"));
        }
        let Some(row) = self.state.node(node) else {
            return self.report(format!("node {node} is no member"));
        };
        if row.status != NodeStatus::Ready {
            self.report(format!("{} takes no new work", row.name));
        }
        if planned.schedule.beside.is_some() {
            self.report(format!("{service} is created without its lead"));
        }
        if planned.schedule.is_global() != slot.is_some() || slot.is_some_and(|s| *s != row.name) {
            self.report(format!("{service} is given the wrong slot"));
        }
        if slot.is_some_and(|slot| !self.slots.insert((service, slot))) {
            self.report(format!("{service} is created twice on {}", row.name));
        }
        let tied = |v: &String| self.state.volume(v).is_some_and(|v| v.node != node);
        if slot.is_none() && planned.schedule.volumes.iter().any(tied) {
            self.report(format!("{service} is created away from its volume"));
        }
        let may_run = |r: &&Arc<Replica>| !is_cut_off(self.state, r.node);
        let mut others = self.state.replicas_of_service(&self.deployment.name, service);
        if planned.schedule.singleton
            && let Some(other) = others.find(may_run)
        {
            self.report(format!("{service} is started beside {}", other.id));
        }
    }

    /// What is given addresses is there, and lacks some.
    fn check_addresses(&mut self, service: &ServiceName) {
        let name = &self.deployment.name;
        let Some(planned) = self.state.service(name, service) else {
            return self.report(format!("{service} is no service of the revision in force"));
        };
        if self.state.lacking_addresses(name, service, &planned.schedule).next().is_none() {
            self.report(format!("{service} has its addresses already"));
        }
        if self.state.replicas_of_service(name, service).next().is_none() {
            self.report(format!("{service} is given addresses and is not there"));
        }
    }

    /// A companion is created beside a replica that stays, where there is none.
    fn check_companion(&mut self, service: &ServiceName, lead: &ReplicaId) {
        let planned = self.state.service(&self.deployment.name, service);
        if planned.and_then(|p| p.schedule.beside.as_ref()) != Some(&lead.service) {
            self.report(format!("{service} does not live beside {lead}"));
        }
        if self.state.replica(lead).is_none_or(|l| l.intent == Intent::Remove) {
            self.report(format!("{lead} is accompanied and goes"));
        }
        let id = ReplicaId { service: service.clone(), ..lead.clone() };
        if self.state.replica(&id).is_some() {
            self.report(format!("{id} is there already"));
        }
    }

    /// What is done to a lead is done to its companions by `apply`.
    fn check_companions_apart(&mut self) {
        let state = self.state;
        for action in &self.batch.actions {
            let (Action::Remove { replica } | Action::Advance { replica }) = action else {
                continue;
            };
            let removed = matches!(action, Action::Remove { .. });
            for companion in state.followers(replica) {
                // A container without a service any more is left where it is.
                let ReplicaId { deployment, service, .. } = &companion.id;
                let follows = removed || state.service(deployment, service).is_some();
                if follows && self.acted_on.contains(&companion.id) {
                    self.report(format!("{} is acted on with {replica}", companion.id));
                }
            }
        }
    }

    /// A run that is started or given up has not ended; one that is dropped has.
    fn check_run(&mut self, service: &ServiceName, tick: Timestamp, open: bool) {
        let run = self.deployment.ticks.get(service).and_then(|t| t.run(tick));
        match run {
            None => self.report(format!("{service}: there is no run of {tick}")),
            Some(run) if self.state.is_open(run) != open => {
                self.report(format!("{service}: the run of {tick} is not to be acted on"));
            }
            Some(_) => {}
        }
    }

    fn check_replacement(&mut self, id: &'a ReplicaId, advance: bool) {
        let Some(row) = self.owned(id) else { return };
        let lead = self.state.lead_of(row);
        let detached =
            row.beside.as_ref().is_some_and(|b| lead.is_some_and(|l| l.generation != b.generation));
        if self.state.is_current(row) && !detached {
            self.report(format!("{id} is current and is replaced"));
        }
        let Some(planned) = self.state.service(&id.deployment, &id.service) else {
            return self.report(format!("{id} is of no service of the revision in force"));
        };
        let prepared = row.preparation.as_ref().filter(|p| p.container == planned.container);
        if advance && row.is_running() && !detached {
            if prepared.is_none_or(|p| p.result != Some(Ok(()))) {
                self.report(format!("{id} stops before its image is there"));
            }
            self.stopped.entry(&row.id.service).or_default().push(row);
        }
        if !advance && prepared.is_some() {
            self.report(format!("{id} is prepared twice"));
        }
    }

    fn check_end(&mut self, end: &RolloutEnd, last: bool) {
        if self.deployment.rollout.is_none() {
            self.report("a rollout ends that there is not");
        }
        if !last {
            self.report("steps are planned after the end of a rollout");
        }
        if matches!(end, RolloutEnd::RolledBack { .. }) && !self.acted_on.is_empty() {
            self.report("steps are planned with a change of the revision");
        }
    }

    /// No service goes below its floor. One that is dropped or stopped has none; a global service
    /// also leaves nodes it may not stay on; what operators give up with a node is not held.
    fn check_floors(&mut self) {
        if self.deployment.phase != DeploymentPhase::Running {
            return;
        }
        for (service, stopped) in std::mem::take(&mut self.stopped) {
            let name = &self.deployment.name;
            let (Some(planned), Some(revision)) =
                (self.state.service(name, service), self.state.revision_in_force(name))
            else {
                continue;
            };
            // That of companions counts what they are beside; `apply` has the same.
            if planned.schedule.is_global() || planned.schedule.beside.is_some() {
                continue;
            }
            let running = self
                .state
                .replicas_of_service(&self.deployment.name, service)
                .filter(|r| r.is_running() && r.tick.is_none())
                .count();
            let given_up =
                |r: &&&Replica| self.state.node(r.node).is_some_and(|n| n.gives_up_replicas());
            let held = stopped.iter().filter(|r| !given_up(r)).count();
            let left = running - stopped.len().min(running);
            let floor = planned.schedule.floor(planned.schedule.replicas, revision.origin);
            if left < floor as usize && held > 0 {
                self.report(format!("{service} goes to {left} running, below its {floor}"));
            }
        }
    }
}
