//! A service with what lives beside it: how a companion is judged, and how a pair is doing.
//!
//! In: the rows of leads and companions. Out: which companions stay, are replaced, are beside nothing; a
//! lead's progress, which is that of all that is beside it too.

use jaco_api::model::{Beside, Intent, Replica, ReplicaId, ServiceName};

use super::{
    input::{Outgoing, Service, monitor},
    pass::Pass,
    restart::{Progress, progress},
};
use crate::state::State;

impl<'a> Service<'a> {
    /// A companion has no place of its own: it is judged by what it is beside.
    pub(super) fn sort_in_companion(
        &mut self,
        state: &State,
        lead: &ServiceName,
        replica: &'a Replica,
    ) {
        if replica.intent == Intent::Remove {
            return self.leaving.push(replica);
        }
        let Some(beside) = replica.beside.as_ref().filter(|b| b.replica.service == *lead) else {
            return self.strays.push(replica);
        };
        match state.lead_of(replica) {
            None => self.strays.push(replica),
            Some(l) if l.generation != beside.generation => self.detached.push(replica),
            Some(_) if !self.made_by(replica) => {
                let node = state.node(replica.node);
                let lost = node.is_none_or(|n| !n.condition.holds_replicas());
                let (moves, outdated, forced) = (false, true, false);
                self.outgoing.push(Outgoing { replica, moves, outdated, forced, lost });
            }
            Some(_) => self.current.push(replica),
        }
    }

    /// How one of its replicas is doing with what lives beside it: a pair has settled when all of it
    /// has.
    pub(super) fn progress(&self, pass: &Pass<'_>, replica: &Replica) -> Progress {
        let state = pass.state;
        let timeout = state.settings().rollout_step_timeout;
        let of = |replica: &Replica, monitor| {
            let node = state.node(replica.node).map(|n| &**n);
            progress(replica, node, monitor, timeout, pass.now)
        };
        let mut found = of(replica, self.monitor());
        let services = self.revision.services.iter();
        for (name, planned) in
            services.filter(|(_, s)| s.schedule.beside.as_ref() == Some(self.name))
        {
            if found != Progress::Settled {
                break;
            }
            let id = ReplicaId { service: name.clone(), ..replica.id.clone() };
            found = match state.replica(&id) {
                Some(companion) => of(companion, monitor(planned, self.revision)),
                None => Progress::UnderWay(None),
            };
        }
        found
    }

    /// Companions that are going and whose leads are gone already.
    pub(super) fn left_behind(&self, state: &'a State) -> Vec<&'a Replica> {
        if !self.is_exclusive() {
            return Vec::new();
        }
        let name = &self.deployment.name;
        let services = self.revision.services.iter();
        let beside = services.filter(|(_, s)| s.schedule.beside.as_ref() == Some(self.name));
        let left = |r: &&Replica| {
            let gone = |b: &Beside| state.replica(&b.replica).is_none();
            r.intent == Intent::Remove && r.beside.as_ref().is_some_and(gone)
        };
        beside
            .flat_map(|(s, _)| state.replicas_of_service(name, s))
            .map(|r| &**r)
            .filter(left)
            .collect()
    }
}
