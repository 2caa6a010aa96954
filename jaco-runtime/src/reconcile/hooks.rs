//! The hooks of containers: which are due, how far they are, what their failure means. Pure.
//!
//! Whatever is remembered belongs to one run of a container, from a start to an end: a container that
//! is started again has its hooks before it. Running them is the worker's work.

use std::{fmt, sync::Arc, time::Duration};

use jaco_api::{
    error::ErrorCode,
    model::{AssignedReplica, ContainerSpec, Hook, Reason, Span},
};

use super::{
    memory::{RunId, reason},
    step::{Step, Wanted},
};
use crate::{
    container::{Container, ContainerStatus, label},
    health::Verdict,
};

/// A container that ends takes its commands with it, and is seen to have ended a little later: only then
/// is a failure the hook's own.
const DOUBT: Duration = Duration::from_millis(500);
/// A container has this much time to stop, or its own when that is less, whatever its hooks took.
const LEAST: Duration = Duration::from_secs(2);
/// So much of the last output of a hook goes into a reason.
const WORDS: usize = 400;

/// A turn of a container's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// It has been started.
    PostStart,
    /// It is to be asked to stop.
    PreStop,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PostStart => "post_start",
            Self::PreStop => "pre_stop",
        })
    }
}

/// How a hook failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It ended with another code than 0.
    Code(i64),
    /// It could not be started, in the engine's words.
    NotStarted(String),
    /// The time of all hooks of this turn was over.
    TimedOut(Duration),
}

/// A hook that failed, and the last of what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Its place in the list, from 1.
    pub(crate) number: usize,
    pub(crate) how: Failure,
    pub(crate) output: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hook {} ", self.number)?;
        match &self.how {
            Failure::Code(code) => write!(f, "ended with code {code}"),
            Failure::NotStarted(why) => write!(f, "could not be run: {}", why.trim()),
            Failure::TimedOut(limit) => {
                write!(f, "had not ended after {}", Span::from(*limit))
            }
        }
    }
}

impl Failed {
    /// With the last of its output, as a reason.
    pub(crate) fn reason(&self, point: Point) -> Reason {
        let output = last_words(&self.output);
        let message = match output.is_empty() {
            true => format!("{point} {self}"),
            false => format!("{point} {self}: {output}"),
        };
        reason(ErrorCode::HookFailed, &message)
    }
}

/// The last lines that fit.
fn last_words(output: &str) -> &str {
    let output = output.trim();
    let mut from = output.len().saturating_sub(WORDS);
    while !output.is_char_boundary(from) {
        from += 1;
    }
    match output[from..].split_once('\n') {
        Some((_, whole)) if from > 0 => whole,
        _ => &output[from..],
    }
}

/// How far the hooks of a start are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Start {
    Running,
    Ended,
    Failed { why: Reason, at: Duration },
}

/// How far the hooks of a stop are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Farewell {
    since: Duration,
    over: bool,
    complaint: Option<Reason>,
}

/// What is known of the hooks of a replica's containers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hooks {
    start: Option<(RunId, Start)>,
    stop: Option<(RunId, Farewell)>,
}

impl Hooks {
    /// The hooks of this start have ended already, under an earlier daemon.
    pub(crate) fn recall(&mut self, run: &RunId) {
        self.start = Some((run.clone(), Start::Ended));
    }

    /// They are being run.
    pub(crate) fn begun(&mut self, point: Point, run: &RunId, at: Duration) {
        match point {
            Point::PostStart => self.start = Some((run.clone(), Start::Running)),
            Point::PreStop => {
                let begun = Farewell { since: at, over: false, complaint: None };
                self.stop = Some((run.clone(), begun));
            }
        }
    }

    /// They are not run to their end: they are to be run again.
    pub(crate) fn called_off(&mut self, point: Point) {
        match point {
            Point::PostStart => self.start = None,
            Point::PreStop => self.stop = None,
        }
    }

    /// They have ended.
    pub(crate) fn ended(&mut self, point: Point, result: Result<(), Failed>, at: Duration) {
        let complaint = result.err().map(|failed| failed.reason(point));
        match (point, &mut self.start, &mut self.stop) {
            (Point::PostStart, Some((_, start)), _) => {
                *start = complaint.map_or(Start::Ended, |why| Start::Failed { why, at });
            }
            (Point::PreStop, _, Some((_, stop))) => (stop.over, stop.complaint) = (true, complaint),
            _ => {}
        }
    }

    fn start(&self, run: &RunId) -> Option<&Start> {
        self.start.as_ref().filter(|(of, _)| of == run).map(|(_, start)| start)
    }
    fn stop(&self, run: &RunId) -> Option<&Farewell> {
        self.stop.as_ref().filter(|(of, _)| of == run).map(|(_, stop)| stop)
    }

    /// Whether the hooks of this start are still to be begun.
    pub(crate) fn is_start_due(&self, run: &RunId) -> bool {
        self.start(run).is_none()
    }

    /// The verdict on a container with hooks, given what it would be without.
    pub(crate) fn verdict(&self, run: &RunId, bare: Verdict, at: Duration) -> Verdict {
        match self.start(run) {
            _ if bare == Verdict::Unhealthy => bare,
            Some(Start::Ended) => bare,
            Some(Start::Failed { at: failed, .. }) => match (*failed + DOUBT).saturating_sub(at) {
                Duration::ZERO => Verdict::Unhealthy,
                left => Verdict::Starting(Some(left)),
            },
            Some(Start::Running) | None => Verdict::Starting(None),
        }
    }

    /// Why the hooks of this start failed.
    pub(crate) fn failure(&self, run: &RunId) -> Option<&Reason> {
        match self.start(run) {
            Some(Start::Failed { why, .. }) => Some(why),
            _ => None,
        }
    }

    /// Why those of the last stop failed.
    pub(crate) fn complaint(&self) -> Option<&Reason> {
        self.stop.as_ref().and_then(|(_, stop)| stop.complaint.as_ref())
    }

    /// The step towards the end of a container that runs. Its hooks and its stop share its time.
    pub(crate) fn part(
        &self,
        replica: Option<&AssignedReplica>,
        c: &Container,
        at: Duration,
    ) -> Step {
        let Some(spec) = replica.and_then(|r| farewell(r, c)) else {
            return Step::Stop(c.id.clone());
        };
        let grace = spec.grace().to_std();
        match self.stop(&run_of(c)) {
            None => Step::PreStop(c.id.clone()),
            Some(stop) if !stop.over => Step::AwaitPreStop(c.id.clone()),
            Some(stop) => {
                let left = grace.saturating_sub(at.saturating_sub(stop.since));
                Step::StopWithin(c.id.clone(), left.max(LEAST.min(grace)))
            }
        }
    }

    /// Which hooks that are under way, or over without consequence, are not wanted any more.
    pub(crate) fn superseded(
        &self,
        wanted: Wanted<'_>,
        current: Option<&Container>,
        counted: bool,
        next: &Step,
    ) -> [Option<Point>; 2] {
        let start = self.start.as_ref().filter(|(run, start)| {
            let goes_on = current.is_some_and(|c| c.status.is_alive() && run_of(c) == *run);
            *start == Start::Running
                && !(goes_on && !counted && matches!(wanted, Wanted::Running(..)))
        });
        let stop = self.stop.as_ref().filter(|((id, _), _)| match next {
            Step::PreStop(of) | Step::AwaitPreStop(of) | Step::StopWithin(of, _) => of != id,
            // It has stopped and is being removed.
            Step::Remove(of) => of != id,
            _ => true,
        });
        [start.map(|_| Point::PostStart), stop.map(|_| Point::PreStop)]
    }
}

/// The run that a container is in.
pub(crate) fn run_of(c: &Container) -> RunId {
    (c.id.clone(), c.started_at)
}

/// The hooks of a replica's container that are to be run after its start.
pub(crate) fn on_start(replica: &AssignedReplica) -> &[Hook] {
    replica.spec.as_deref().map_or(&[], |spec| &spec.post_start)
}

/// What a running container was created from, when that asks for something before its stop. A frozen
/// one can do nothing.
pub(crate) fn farewell<'r>(
    replica: &'r AssignedReplica,
    c: &Container,
) -> Option<&'r Arc<ContainerSpec>> {
    let number = |key: &str| c.labels.get(key).and_then(|text| text.parse::<u64>().ok());
    let revision = number(label::REVISION);
    let current =
        number(label::GENERATION) == Some(replica.generation) || revision == Some(replica.revision);
    let spec = match current {
        true => replica.spec.as_ref(),
        false => replica.retired.get(&revision?),
    };
    spec.filter(|spec| !spec.pre_stop.is_empty() && c.status == ContainerStatus::Running)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(how: Failure, output: &str) -> String {
        let output = output.to_owned();
        Failed { number: 2, how, output }.reason(Point::PostStart).message
    }

    #[test]
    fn a_reason_names_the_hook_its_end_and_its_last_whole_lines() {
        assert_eq!(message(Failure::Code(3), " \n"), "post_start hook 2 ended with code 3");
        let not_started = Failure::NotStarted("no such file\n".to_owned());
        assert_eq!(message(not_started, ""), "post_start hook 2 could not be run: no such file");
        let timed_out = Failure::TimedOut(Duration::from_secs(54));
        assert_eq!(message(timed_out, "x"), "post_start hook 2 had not ended after 54s: x");
        let long = format!("{}\nnext to last\nlast\n", "ä".repeat(WORDS));
        let expected = "post_start hook 2 ended with code 1: next to last\nlast";
        assert_eq!(message(Failure::Code(1), &long), expected);
        // One line that does not fit is cut between characters.
        let line = "ä".repeat(WORDS);
        assert!(message(Failure::Code(1), &line).ends_with(&"ä".repeat(WORDS / 2)));
        assert!(message(Failure::Code(1), &line).len() < WORDS + 60);
    }
}
