//! What must hold whatever happens, one file each.
//!
//! In: every committed entry with the states around it, every act of a node on its engine, and the
//! cluster as it is at each step. Out: the first promise that was broken.

mod acknowledged;
mod addresses;
mod beside;
mod caught_up;
mod cron;
mod equal;
mod floor;
mod idle;
mod indexes;
mod owners;
mod revisions;
mod singleton;
mod snapshots;
mod strangers;
mod voters;

use jaco_engine::testing::replay::Step;

use crate::world::{World, eyes::Sighting};

/// Why an invariant does not hold.
pub type Broken = String;

/// One promise.
pub trait Invariant {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Something has happened to the cluster, and nobody has reacted yet.
    fn notice(&mut self, _world: &World) {}
    /// An entry was committed.
    ///
    /// # Errors
    /// What it breaks.
    fn entry(&mut self, _step: &Step) -> Result<(), Broken> {
        Ok(())
    }
    /// A node acted on its engine.
    ///
    /// # Errors
    /// What it breaks.
    fn act(&mut self, _seen: &Sighting, _world: &World) -> Result<(), Broken> {
        Ok(())
    }
    /// Some time has passed.
    ///
    /// # Errors
    /// What is broken.
    fn look(&mut self, _world: &World) -> Result<(), Broken> {
        Ok(())
    }
    /// The cluster has converged; nothing is done or happens from now on.
    fn rest(&mut self, _world: &World) {}
    /// The run is over.
    ///
    /// # Errors
    /// What is broken.
    fn end(&mut self, _world: &World) -> Result<(), Broken> {
        Ok(())
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// How.
    pub what: Broken,
}

/// All of them.
pub struct Invariants {
    all: Vec<Box<dyn Invariant>>,
}

impl Default for Invariants {
    fn default() -> Self {
        Self {
            all: vec![
                Box::new(acknowledged::Acknowledged::default()),
                Box::new(addresses::Addresses::default()),
                Box::new(beside::Beside),
                Box::new(caught_up::CaughtUp),
                Box::new(cron::Cron::default()),
                Box::new(equal::Equal::default()),
                Box::new(floor::Floor),
                Box::new(idle::Idle::default()),
                Box::new(indexes::Indexes::default()),
                Box::new(owners::Owners::default()),
                Box::new(revisions::Revisions::default()),
                Box::new(singleton::Singleton::default()),
                Box::new(snapshots::Snapshots::default()),
                Box::new(strangers::Strangers),
                Box::new(voters::Voters),
            ],
        }
    }
}

impl Invariants {
    /// Something has happened to the cluster.
    pub fn notice(&mut self, world: &World) {
        self.all.iter_mut().for_each(|i| i.notice(world));
    }

    /// Some time has passed in which this was committed and done.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn check(
        &mut self,
        world: &World,
        steps: &[Step],
        sightings: &[Sighting],
    ) -> Result<(), Violation> {
        for step in steps {
            self.each(|i| i.entry(step))?;
        }
        for seen in sightings {
            self.each(|i| i.act(seen, world))?;
        }
        self.each(|i| i.look(world))
    }

    /// The cluster has converged.
    pub fn rest(&mut self, world: &World) {
        self.all.iter_mut().for_each(|i| i.rest(world));
    }

    /// The run is over.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn end(&mut self, world: &World) -> Result<(), Violation> {
        self.each(|i| i.end(world))
    }

    fn each(
        &mut self,
        mut check: impl FnMut(&mut dyn Invariant) -> Result<(), Broken>,
    ) -> Result<(), Violation> {
        self.all.iter_mut().try_for_each(|i| {
            let invariant = i.name();
            check(&mut **i).map_err(|what| Violation { invariant, what })
        })
    }
}
