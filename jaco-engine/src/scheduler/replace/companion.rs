//! Companions: one beside each replica of the lead, its next generation in place.
//!
//! What is created, replaced or removed of the lead takes its companions along when it is applied; here
//! is what is left: a companion that is missing beside a replica that stays, one of old content beside
//! a container that stays, and what is beside nothing.

use std::{collections::BTreeSet, sync::Arc};

use jaco_api::model::{Intent, Preparation, Replica, ReplicaId, ServiceName};

use super::{super::pass::Pass, Steps, count};
use crate::command::Action;

/// The replicas of a batch whose companions follow them.
#[derive(Default)]
pub(super) struct Followed {
    removed: BTreeSet<ReplicaId>,
    advanced: BTreeSet<ReplicaId>,
    prepared: BTreeSet<ReplicaId>,
}

impl Followed {
    /// What the actions so far do to leads.
    pub(super) fn of(actions: &[Action]) -> Self {
        let mut followed = Self::default();
        for action in actions {
            match action {
                Action::Remove { replica } => followed.removed.insert(replica.clone()),
                Action::Advance { replica } => followed.advanced.insert(replica.clone()),
                Action::Prepare { replica } => followed.prepared.insert(replica.clone()),
                _ => false,
            };
        }
        followed
    }

    fn contains(&self, lead: &ReplicaId) -> bool {
        self.removed.contains(lead) || self.advanced.contains(lead)
    }

    /// Whether a companion goes with its lead.
    pub(super) fn removes(&self, replica: &Replica) -> bool {
        replica.beside.as_ref().is_some_and(|b| self.removed.contains(&b.replica))
    }
}

impl<'a> Steps<'_, 'a> {
    pub(super) fn follow(&mut self, pass: &mut Pass<'a>, lead: &ServiceName) {
        self.drop_strays();
        self.accompany(pass, lead);
        self.rejoin();
        self.replace_in_place(pass);
        // Nothing of it looks for a place by itself.
        self.looked = true;
    }

    /// What is beside nothing goes; what was beside nothing before it became a companion as far as
    /// enough others run.
    fn drop_strays(&mut self) {
        let service = self.service;
        let running = service.present().chain(service.strays.iter().copied());
        let running = count(running.filter(|r| r.is_running() && !self.follows(r)).count());
        let mut spare = running.saturating_sub(service.floor(self.desired));
        for replica in &service.strays {
            if replica.is_running() && replica.beside.is_none() {
                if spare == 0 {
                    self.waiting = true;
                    continue;
                }
                spare -= 1;
            }
            self.remove(&replica.id);
        }
    }

    /// Creates what is missing beside replicas that stay as they are.
    fn accompany(&mut self, pass: &Pass<'a>, lead: &ServiceName) {
        let service = self.service;
        let stays = |r: &&Arc<Replica>| {
            r.intent == Intent::Run
                && r.tick.is_none()
                && !self.followed.contains(&r.id)
                && pass.state.node(r.node).is_some()
                && pass.state.is_current(r)
        };
        let name = &service.deployment.name;
        let leads: Vec<_> = pass.state.replicas_of_service(name, lead).filter(stays).collect();
        for replica in leads {
            let id = ReplicaId { service: service.name.clone(), ..replica.id.clone() };
            match pass.state.replica(&id) {
                None => self.actions.push(Action::Accompany {
                    service: service.name.clone(),
                    lead: replica.id.clone(),
                }),
                // Another one of this name has to go first.
                Some(other) => {
                    self.waiting |= other.beside.is_none() || other.intent == Intent::Remove
                }
            }
        }
    }

    /// Containers beside one that is gone are made anew.
    fn rejoin(&mut self) {
        for replica in &self.service.detached {
            if !self.follows(replica) {
                self.actions.push(Action::Advance { replica: replica.id.clone() });
            }
        }
    }

    /// Whether this batch does to its lead what it follows.
    pub(super) fn follows(&self, replica: &Replica) -> bool {
        replica.beside.as_ref().is_some_and(|b| self.followed.contains(&b.replica))
    }

    /// Whether its lead is going to be replaced, so that its own turn comes with that one's.
    pub(super) fn goes_with_its_lead(&self, pass: &Pass<'_>, replica: &Replica) -> bool {
        let outdated = |lead: &Arc<Replica>| !pass.state.is_current(lead);
        self.service.may_roll() && pass.state.lead_of(replica).is_some_and(outdated)
    }

    /// Fetches the image for a companion whose lead is about to be replaced in place.
    pub(super) fn prepare_with_its_lead(&mut self, pass: &Pass<'_>, replica: &Replica) {
        let fails = |r: &Replica| r.preparation.as_ref().is_some_and(is_failed);
        let begins = |l: &Arc<Replica>| {
            (l.preparation.is_some() && !fails(l)) || self.followed.prepared.contains(&l.id)
        };
        if !pass.state.lead_of(replica).is_some_and(begins) || !replica.is_running() {
            return;
        }
        let wanted = self.service.planned.container;
        let begun = replica.preparation.as_ref().filter(|p| p.container == wanted);
        if begun.is_none() {
            self.actions.push(Action::Prepare { replica: replica.id.clone() });
        }
        self.waiting |= !begun.is_some_and(is_failed);
    }
}

fn is_failed(preparation: &Preparation) -> bool {
    matches!(preparation.result, Some(Err(_)))
}
