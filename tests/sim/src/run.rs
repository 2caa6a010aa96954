//! One run of one seed: form, work under faults, heal, converge, rest.

use std::{path::Path, time::Duration};

use jaco_api::model::Timestamp;

use crate::{
    invariants::{Invariants, Violation},
    sabotage::Sabotage,
    scenario::{Event, Scenario},
    trace::Trace,
    world::{World, WorldError, manifest::PERIOD},
};

/// Time between two looks at everything.
const TICK: Duration = Duration::from_millis(200);
/// How long a cluster that was healed may take to be as it is wanted.
const CONVERGENCE: Duration = Duration::from_secs(300);
/// Between two things that operators do after a bad day.
const CALM: Duration = Duration::from_secs(15);
/// How long it must be so to count.
const QUIET: Duration = Duration::from_secs(5);
/// How far clocks are off at most.
const AHEAD: Duration = Duration::from_secs(35);
/// How long what runs at times does so before it is suspended.
const TICKING: Duration = Duration::from_secs(62);
/// How long it then rests.
const REST: Duration = Duration::from_secs(180);

/// What is wanted of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Its seed.
    pub seed: u64,
    /// Prints what happens.
    pub trace: bool,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// The promise that was broken.
    pub violation: Option<Violation>,
    /// When the run ended, by its own clock.
    pub ended: Duration,
    /// How long the cluster took to converge.
    pub converged: Duration,
    /// Entries that were committed.
    pub entries: u64,
    /// What happened.
    pub trace: Trace,
}

/// Runs a seed. Everything happens on this thread, in paused time.
///
/// # Errors
/// [`WorldError`] when the run itself breaks.
pub fn run(options: Options) -> Result<Report, WorldError> {
    let directory = scratch();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime without threads needs nothing");
    runtime.block_on(Run::execute(directory.path(), options))
}

/// In memory where there is such a place: nodes flush their keys and certificates.
fn scratch() -> tempfile::TempDir {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    made.expect("a temporary directory can be made")
}

struct Run {
    world: World,
    invariants: Invariants,
    converged: Duration,
}

/// Why a run ends early.
enum Stop {
    Violation(Violation),
    Broken(WorldError),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}
impl From<WorldError> for Stop {
    fn from(error: WorldError) -> Self {
        Self::Broken(error)
    }
}

impl Run {
    async fn execute(root: &Path, options: Options) -> Result<Report, WorldError> {
        let scenario = Scenario::of(options.seed);
        let trace = Trace::new(options.trace);
        let world = World::of(root, &scenario, options.sabotage, trace).await?;
        let invariants = Invariants::default();
        let mut run = Self { world, invariants, converged: Duration::ZERO };
        let violation = match run.all(&scenario, options.sabotage).await {
            Ok(()) => None,
            Err(Stop::Violation(violation)) => Some(violation),
            Err(Stop::Broken(error)) => return Err(error),
        };
        let ended = run.world.now();
        if let Some(violation) = &violation {
            let Violation { invariant, what } = violation;
            run.world.note(format_args!("BROKEN {invariant}: {what}"));
        }
        let entries = run.world.replay.next();
        let World { trace, .. } = run.world;
        Ok(Report { violation, ended, converged: run.converged, entries, trace })
    }

    async fn all(&mut self, scenario: &Scenario, sabotage: Option<Sabotage>) -> Result<(), Stop> {
        self.trouble(scenario, sabotage).await?;
        self.heal().await?;
        self.tick().await?;
        self.invariants.rest(&self.world);
        self.pass(REST).await?;
        self.invariants.end(&self.world)?;
        Ok(())
    }

    /// All is well: what runs at times runs at each of them. Then it is suspended.
    async fn tick(&mut self) -> Result<(), Stop> {
        // A clock that was ahead may have used up ticks to come.
        self.pass(AHEAD).await?;
        let Some(before) = self.world.ticks() else { return Ok(()) };
        self.pass(TICKING).await?;
        let ticks = self.world.ticks().unwrap_or_default();
        let period = u64::try_from(PERIOD.as_millis()).unwrap_or(u64::MAX);
        let due = self.world.true_time().0 / period * period;
        let expected = (before.last.0 / period + 1..=due / period).map(|n| n * period);
        let lost: Vec<_> =
            expected.map(Timestamp).filter(|tick| ticks.run(*tick).is_none()).collect();
        if !lost.is_empty() {
            let what = format!("{lost:?} were due, and {ticks:?} is what was decided");
            return Err(Violation { invariant: "no tick is lost while all is well", what }.into());
        }
        self.world.suspend();
        let suspended = self.world.now();
        let mut settled_since = None;
        loop {
            self.pass(TICK).await?;
            let now = self.world.now();
            if self.world.ticks().is_some()
                || !self.world.runs_have_ended()
                || !self.world.unsettled().is_empty()
            {
                settled_since = None;
            } else if now - *settled_since.get_or_insert(now) >= QUIET {
                return Ok(());
            }
            if now - suspended > CONVERGENCE {
                let what = format!("{:?}", self.world.ticks());
                return Err(Violation { invariant: "runs end when they are stopped", what }.into());
            }
        }
    }

    /// The events of the scenario, at their times.
    async fn trouble(
        &mut self,
        scenario: &Scenario,
        sabotage: Option<Sabotage>,
    ) -> Result<(), Stop> {
        let began = self.world.now();
        for (at, event) in &scenario.events {
            let due = began + *at;
            self.pass(due.saturating_sub(self.world.now())).await?;
            match event {
                Event::Operate(operation, through) => self.world.operate(*operation, *through),
                Event::Strike(fault) => self.world.strike(*fault).await?,
            }
            if sabotage == Some(Sabotage::SecondOwner) {
                self.world.copy_a_container().await;
            }
            self.invariants.notice(&self.world);
        }
        self.pass((began + scenario.length).saturating_sub(self.world.now())).await
    }

    /// Lets time pass, and looks at everything on the way.
    async fn pass(&mut self, time: Duration) -> Result<(), Stop> {
        let until = self.world.now() + time;
        loop {
            let left = until.saturating_sub(self.world.now());
            self.world.pass(left.min(TICK)).await;
            self.look().await?;
            if left <= TICK {
                return Ok(());
            }
        }
    }

    async fn look(&mut self) -> Result<(), Stop> {
        self.world.end_faults().await?;
        self.world.recognise();
        self.world.hear();
        let steps = self.world.follow()?;
        let sightings = self.world.sightings();
        self.world.show_progress(&steps);
        Ok(self.invariants.check(&self.world, &steps, &sightings)?)
    }

    /// Everything ends that was wrong, and then the cluster must become what is wanted of it.
    async fn heal(&mut self) -> Result<(), Stop> {
        self.world.end_all_faults().await?;
        self.world.note(format_args!("--- everything is healed"));
        let healed = self.world.now();
        // What operators began to do goes on for a while.
        self.pass(CALM).await?;
        let (mut round, mut next, mut repaired) = (0, self.world.now(), None);
        let mut settled_since = None;
        loop {
            self.pass(TICK).await?;
            let now = self.world.now();
            if now >= next {
                next = now + CALM;
                let tidy = self.world.tidy_up().await?;
                if tidy && repaired.is_none_or(|at| now - at > CALM * 4) {
                    round += 1;
                    repaired = Some(now);
                    self.world.repair_deployments(round);
                }
            }
            let left = self.world.unsettled();
            if !left.is_empty() || repaired.is_none_or(|at| now - at < CALM / 3) {
                settled_since = None;
            } else if now - *settled_since.get_or_insert(now) >= QUIET {
                self.converged = now - healed;
                self.world.note(format_args!("--- converged"));
                return Ok(());
            }
            if now - healed > CONVERGENCE {
                let what = left.join("; ");
                let invariant = "observed follows desired within a bound after healing";
                return Err(Violation { invariant, what }.into());
            }
        }
    }
}
