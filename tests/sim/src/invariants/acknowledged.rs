//! A write that was acknowledged is in the log, whatever was lost since, and is applied once.

use std::collections::BTreeMap;

use jaco_api::model::{AuditEvent, AuditKind};
use jaco_engine::testing::replay::Step;

use super::{Broken, Invariant};
use crate::world::World;

#[derive(Default)]
pub(super) struct Acknowledged {
    events: Vec<AuditEvent>,
    last: u64,
}

impl Invariant for Acknowledged {
    fn name(&self) -> &'static str {
        "acknowledged writes survive"
    }

    fn entry(&mut self, step: &Step) -> Result<(), Broken> {
        for event in step.after.audit_after(self.last) {
            if event.sequence != self.last + 1 {
                return Err(format!("audit event {} follows {}", event.sequence, self.last));
            }
            self.last = event.sequence;
            self.events.push(AuditEvent::clone(event));
        }
        Ok(())
    }

    fn end(&mut self, world: &World) -> Result<(), Broken> {
        let mut told = BTreeMap::new();
        for (at, fact) in &world.acks {
            let count = told.entry(fact).or_insert(0_usize);
            *count += 1;
            let found = self.events.iter().filter(|event| fact.is_told_by(event)).count();
            if found < *count {
                let at = at.as_secs_f64();
                return Err(format!("{fact:?} was acknowledged at {at:.3} s and is not there"));
            }
        }
        for (attempt, begun) in &world.attempts {
            let applied = self.events.iter().filter(|event| word(event) == *attempt).count();
            if applied as u64 > *begun {
                return Err(format!("{attempt} was applied {applied} times of {begun}"));
            }
        }
        Ok(())
    }
}

/// Kind and deployment of an event.
fn word(event: &AuditEvent) -> String {
    let deployment = event.payload.get("deployment").map_or("", String::as_str);
    match event.kind {
        AuditKind::Restart => format!("restart {deployment}"),
        AuditKind::Rollback => format!("rollback {deployment}"),
        _ => String::new(),
    }
}
