//! A service of which two copies must never run, while cables are cut and clocks are wrong.
//!
//! The witness is the container itself: it says the time the machine is up, which no clock setting
//! changes and which is the same on every host of the rig. What the engines say is compared with it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use jaco_e2e::{Fleet, Outcome, times};
use jaco_harness::{Happening, Moment, Patience, Process, Skew, Timeline};

use crate::stacks::{named, shell};

/// Says the machine's uptime twenty times a second, until the moment it is stopped.
const CLOCK: &str =
    "trap 'exit 0' TERM; while :; do read -r now idle </proc/uptime; echo $$now; sleep 0.05; done";
const LABELS: &str = "    deploy:\n      labels:\n        jaco.io/singleton: \"true\"\n";

/// The output of every container of the service on every host, kept after the container is gone.
#[derive(Default)]
struct Ears {
    listening: Vec<(String, usize, Process, PathBuf)>,
}

impl Ears {
    /// Begins to listen to the containers that have started since.
    fn listen(&mut self, fleet: &Fleet, happenings: &[Happening]) -> Outcome {
        for happening in happenings.iter().filter(|h| h.moment == Moment::Started) {
            let id = &happening.container;
            if self.listening.iter().any(|(known, ..)| known == id) {
                continue;
            }
            let file = fleet.scratch()?.join(format!("{id}.log"));
            let mut logs = fleet.engine(happening.engine).command(&["logs", "-f", id]);
            let process = Process::start(&mut logs, &file)?;
            self.listening.push((id.clone(), happening.engine, process, file));
        }
        Ok(())
    }

    /// First and last moment of every container, in the order of the first, with its host.
    fn heard(&self) -> Outcome<Vec<(f64, f64, usize)>> {
        let mut lives = Vec::new();
        for (id, host, _, file) in &self.listening {
            let text = fs::read_to_string(file)?;
            let times: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
            let (Some(first), Some(last)) = (times.first(), times.last()) else {
                return Err(format!("container {id} has said nothing: {text:?}").into());
            };
            lives.push((*first, *last, *host));
        }
        lives.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(lives)
    }
}

pub(crate) fn a_singleton_never_runs_twice(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let timeline = Timeline::start(&fleet.engines(), "jaco.service=app", &fleet.scratch()?)?;
    let stack = fleet.stack(&named("single"), &shell(CLOCK, LABELS))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    // One clock half a minute ahead, then behind, on a node that leads, follows and is cut in turn.
    fleet.cluster_mut().node_mut(1).skew(Skew(30))?;
    fleet.cluster().ready(Patience::NORMAL)?;

    let (mut ears, mut gaps) = (Ears::default(), Vec::new());
    let cuts = times(3, 20);
    for cut in 0..cuts {
        if cut == cuts / 2 {
            fleet.cluster_mut().node_mut(1).skew(Skew(-30))?;
        }
        ears.listen(fleet, &timeline.so_far()?)?;
        gaps.push(lose_its_host(fleet, &timeline, &mut ears)?);
    }
    // The last one is still there, and everybody has said what there is to say.
    ears.listen(fleet, &timeline.so_far()?)?;
    never_twice(&ears.heard()?, cuts)?;
    engines_agree(&timeline.so_far()?)?;
    gaps.sort();
    fleet.measured("cut off → the next copy runs", format!("{gaps:.1?}"));
    Ok(())
}

/// Cuts the host of the singleton off until it runs on another, and mends the cable.
fn lose_its_host(fleet: &Fleet, timeline: &Timeline, ears: &mut Ears) -> Outcome<Duration> {
    let counts = fleet.running("app")?;
    let lost = counts.iter().position(|count| *count == 1).ok_or(format!("{counts:?}"))?;
    let name = fleet.cluster().node(lost).name().to_owned();
    let cut = Instant::now();
    fleet.cluster().rig().host(lost).cut()?;
    fleet.until_replicas((lost + 1) % 3, Patience::LONG, "it to run elsewhere", |rows| {
        // The lost one stays on record until its host is back.
        rows.iter().any(|r| r.node != name && r.state == "running")
    })?;
    let took = cut.elapsed();
    ears.listen(fleet, &timeline.so_far()?)?;
    fleet.cluster().rig().host(lost).heal()?;
    fleet.cluster().ready(Patience::NORMAL)?;
    fleet.cluster().until(Patience::NORMAL, "one container", || {
        let counts = fleet.running("app").map_err(|error| error.to_string())?;
        if counts.iter().sum::<usize>() == 1 { Ok(()) } else { Err(format!("{counts:?}")) }
    })?;
    Ok(took)
}

/// What the containers have said.
fn never_twice(lives: &[(f64, f64, usize)], cuts: usize) -> Outcome {
    let moves = lives.windows(2).filter(|pair| pair[0].2 != pair[1].2).count();
    assert!(moves >= cuts, "it has moved with each of {cuts} cuts: {lives:?}");
    for pair in lives.windows(2) {
        let ((_, last, a), (first, _, b)) = (pair[0], pair[1]);
        assert!(last < first, "on hosts {a} and {b} at once: until {last}, from {first}");
    }
    Ok(())
}

/// What the engines have said: an end between any two starts.
fn engines_agree(happenings: &[Happening]) -> Outcome {
    let mut running: Option<&Happening> = None;
    for happening in happenings {
        match happening.moment {
            Moment::Started => {
                assert_eq!(running, None, "{happening:?} has started beside it");
                running = Some(happening);
            }
            Moment::Ended => {
                let ended = running.take().map(|r| &r.container);
                assert_eq!(ended, Some(&happening.container), "{happening:?}");
            }
            _ => {}
        }
    }
    assert!(running.is_some(), "one runs at the end");
    Ok(())
}
