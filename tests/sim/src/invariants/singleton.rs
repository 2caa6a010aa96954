//! A fenced singleton never runs twice: by the engines' containers, over the whole time.
//!
//! A node keeps this promise as long as it lives and its engine answers: a daemon that is dead, or an
//! engine that does not listen, kills nothing. A copy that ran on such a host is left out until the host
//! has been well for as long as it takes to notice and kill it.

use std::{collections::BTreeMap, time::Duration};

use jaco_engine::testing::engine::Act;

use super::{Broken, Invariant};
use crate::{
    scenario::Deployment,
    world::{
        World,
        eyes::{self, Copy, Sighting},
    },
};

/// How long a host that is well again has to kill what it must not run.
const RECOVERY: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(super) struct Singleton {
    /// When each host was last unable to kill.
    unwell: BTreeMap<String, Duration>,
}

impl Singleton {
    fn judge(&self, now: Duration, copies: &[Copy], world: &World) -> Result<(), Broken> {
        if !is_fenced(world) {
            return Ok(());
        }
        let well = |copy: &&Copy| {
            self.unwell.get(&copy.host).is_none_or(|at| now.saturating_sub(*at) > RECOVERY)
        };
        let counted: Vec<_> = copies.iter().filter(well).collect();
        match counted.as_slice() {
            [] | [_] => Ok(()),
            more => Err(format!("at {:.3} s these run at once: {more:?}", now.as_secs_f64())),
        }
    }
}

/// Whether the cluster knows that the service is a singleton.
fn is_fenced(world: &World) -> bool {
    let name = Deployment::Cron.name().parse().expect("our names are valid");
    let state = world.replay.newest();
    let revision = state.revision_in_force(&name);
    revision.is_some_and(|r| r.services.values().all(|s| s.schedule.singleton))
}

impl Invariant for Singleton {
    fn name(&self) -> &'static str {
        "a fenced singleton never runs twice"
    }

    fn act(&mut self, seen: &Sighting, world: &World) -> Result<(), Broken> {
        let cron = |copy: &&Copy| copy.replica.starts_with(Deployment::Cron.name());
        match &seen.act {
            Act::Start(_) if seen.copies.iter().any(|c| cron(&c)) => {
                self.judge(seen.at, &seen.copies, world)
            }
            _ => Ok(()),
        }
    }

    fn notice(&mut self, world: &World) {
        for (at, host) in world.cluster.hosts().iter().enumerate() {
            if !world.can_kill(at) {
                self.unwell.insert(host.name().to_string(), world.now());
            }
        }
    }

    fn look(&mut self, world: &World) -> Result<(), Broken> {
        self.notice(world);
        let now = world.now();
        let mut copies = Vec::new();
        for host in world.cluster.hosts() {
            let there = eyes::copies(host.name().as_str(), host.engine());
            let cron = there.into_iter().filter(|((d, _), _)| d == Deployment::Cron.name());
            copies.extend(cron.map(|(_, copy)| copy));
        }
        self.judge(now, &copies, world)
    }
}
