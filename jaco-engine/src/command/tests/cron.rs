//! Ticks: each is decided once, and what else is decided with it.

use std::collections::BTreeMap;

use jaco_api::{
    error::ErrorCode,
    model::{
        Concurrency, CronSchedule, Intent, Mode, NodeId, Observation, ReplicaId, ReplicaState,
        RunFate, ServiceSchedule, Span, Timestamp,
    },
};
use proptest::prelude::*;

use super::{changed, deployment, refused};
use crate::{
    command::{
        Action, Command, DeleteDeployment, HoldDeployment, Outcome, RestartDeployment,
        RollbackDeployment, ScaleDeployment, Tick,
    },
    scheduler::cron::due,
    testing::builders::{Scenario, Stack, name, schedule},
};

/// A minute of the scenario's time, which begins 20 seconds after a full one.
const MINUTE: u64 = 60_000;

fn every_minute(concurrency: Concurrency) -> CronSchedule {
    CronSchedule { concurrency, ..CronSchedule::new("* * * * *") }
}

fn backup(image: &str, cron: CronSchedule) -> ServiceSchedule {
    ServiceSchedule { cron: Some(cron), mode: Mode::Job, ..schedule(image, 1) }
}

fn stack(cron: CronSchedule) -> Stack {
    Stack::new("shop").scheduled("backup", backup("backup:1", cron))
}

fn with(concurrency: Concurrency) -> Scenario {
    let mut s = Scenario::new().with_nodes(2);
    s.run(stack(every_minute(concurrency)));
    s
}

/// The n-th full minute after the scenario has begun.
fn minute(n: u64) -> Timestamp {
    Timestamp(1_700_000_000_000 / MINUTE * MINUTE + n * MINUTE)
}

/// Says at this second of the n-th minute that it is due.
fn tick_at(s: &mut Scenario, n: u64, second: u64) -> Outcome {
    s.now = minute(n).after(Span::secs(second).to_std());
    let tick = Tick {
        deployment: name("shop"),
        service: name("backup"),
        revision: deployment(s, "shop").revision,
        tick: minute(n),
    };
    s.run(Command::Tick(tick))
}

fn start(s: &mut Scenario, n: u64) -> ReplicaId {
    let run = Action::StartRun { service: name("backup"), tick: minute(n), node: NodeId(1) };
    assert_eq!(s.reconcile("shop", vec![run]), Outcome::Done);
    s.replicas("shop").into_iter().find(|r| r.tick == Some(minute(n))).expect("a replica").id
}

fn fates(s: &Scenario) -> Vec<RunFate> {
    deployment(s, "shop").ticks["backup"].runs.iter().map(|r| r.fate.clone()).collect()
}

#[test]
fn a_tick_is_decided_once_whoever_says_that_it_is_due() {
    let mut s = with(Concurrency::Allow);
    assert_eq!(tick_at(&mut s, 1, 0), Outcome::Done);
    let state = s.state.clone();
    assert_eq!(tick_at(&mut s, 1, 1), Outcome::Done, "a second leader");
    assert!(s.state.deployments.same_as(&state.deployments), "and nothing has changed");
    tick_at(&mut s, 3, 0);
    assert_eq!(tick_at(&mut s, 2, 90), Outcome::Done, "the newest was decided");
    assert_eq!(fates(&s), [RunFate::Wanted, RunFate::Wanted]);
}

#[test]
fn of_a_tick_while_a_run_goes_on_concurrency_decides() {
    let replaced = || RunFate::Cancelled(format!("replaced by the run of {}", minute(2)));
    for (concurrency, expected, intents) in [
        (Concurrency::Forbid, vec![RunFate::Wanted, RunFate::Skipped], vec![Intent::Run]),
        (Concurrency::Replace, vec![replaced(), RunFate::Wanted], vec![Intent::Remove]),
        (Concurrency::Allow, vec![RunFate::Wanted, RunFate::Wanted], vec![Intent::Run]),
    ] {
        let mut s = with(concurrency);
        tick_at(&mut s, 1, 0);
        let id = start(&mut s, 1);
        s.observe(&id, ReplicaState::Running);
        tick_at(&mut s, 2, 0);
        assert_eq!(fates(&s), expected, "{concurrency}");
        let seen: Vec<_> = s.replicas("shop").iter().map(|r| r.intent).collect();
        assert_eq!(seen, intents, "{concurrency}");
    }
}

#[test]
fn a_run_that_has_ended_or_was_never_placed_is_told_from_one_that_goes_on() {
    for ended in [ReplicaState::Completed, ReplicaState::Failed] {
        let mut s = with(Concurrency::Forbid);
        tick_at(&mut s, 1, 0);
        tick_at(&mut s, 2, 0);
        assert_eq!(fates(&s), [RunFate::Wanted, RunFate::Skipped], "not placed yet");
        let id = start(&mut s, 1);
        s.observe(&id, ended);
        tick_at(&mut s, 3, 0);
        assert_eq!(fates(&s)[2], RunFate::Wanted, "{ended}");
    }
}

#[test]
fn a_tick_that_is_too_late_is_missed_and_counts_as_decided() {
    let mut s = with(Concurrency::Forbid);
    tick_at(&mut s, 1, 300);
    tick_at(&mut s, 2, 301);
    assert_eq!(fates(&s), [RunFate::Wanted, RunFate::Missed]);
    assert_eq!(deployment(&s, "shop").ticks["backup"].last, minute(2));
}

#[test]
fn a_tick_of_the_future_another_revision_or_no_schedule_is_a_conflict() {
    let mut s = with(Concurrency::Forbid);
    s.run(Stack::new("blog").service("web", "web:1", 1));
    s.now = minute(1);
    let tick =
        Tick { deployment: name("shop"), service: name("backup"), revision: 1, tick: minute(1) };
    let other = |change: fn(&mut Tick)| {
        let mut tick = tick.clone();
        change(&mut tick);
        Command::Tick(tick)
    };
    for (what, command, code) in [
        ("future", other(|t| t.tick = minute(2)), ErrorCode::Conflict),
        ("revision", other(|t| t.revision = 2), ErrorCode::Conflict),
        ("service", other(|t| t.deployment = name("blog")), ErrorCode::Conflict),
        ("deployment", other(|t| t.deployment = name("gone")), ErrorCode::DeploymentNotFound),
    ] {
        assert_eq!(refused(&s.run(command)), code, "{what}");
    }
    for suspend in [
        Command::HoldDeployment(HoldDeployment { deployment: name("shop"), stopped: true }),
        Command::ScaleDeployment(ScaleDeployment {
            deployment: name("shop"),
            replicas: BTreeMap::from([(name("backup"), 0)]),
        }),
    ] {
        let mut s = s.clone();
        s.run(suspend);
        assert_eq!(refused(&tick_at(&mut s, 1, 0)), ErrorCode::Conflict, "suspended");
    }
}

#[test]
fn a_schedule_counts_from_when_it_is_applied() {
    let mut s = with(Concurrency::Forbid);
    let last = |s: &Scenario| deployment(s, "shop").ticks["backup"].last;
    let applied = s.now;
    assert_eq!(last(&s), applied);
    s.pass(Span(5 * MINUTE));
    let kept = CronSchedule { keep_failed: 9, ..every_minute(Concurrency::Allow) };
    assert_eq!(s.run(stack(kept)), changed(2));
    assert_eq!(last(&s), applied, "it ticks as before");
    assert_eq!(s.run(stack(CronSchedule::new("*/2 * * * *"))), changed(3));
    assert_eq!(last(&s), s.now, "nothing that was due under another schedule is caught up on");
    s.pass(Span(5 * MINUTE));
    s.run(Stack::new("shop").service("backup", "backup:1", 1));
    assert!(deployment(&s, "shop").ticks.is_empty(), "it runs always");
    s.run(Command::RollbackDeployment(RollbackDeployment { deployment: name("shop"), to: None }));
    assert_eq!(last(&s), s.now, "and at times again");
}

#[test]
fn a_run_that_goes_on_is_not_rolled_renewed_or_restarted() {
    let mut s = with(Concurrency::Allow);
    for n in [1, 2] {
        tick_at(&mut s, n, 0);
    }
    let (running, failed) = (start(&mut s, 1), start(&mut s, 2));
    s.observe(&running, ReplicaState::Running);
    s.observe(&failed, ReplicaState::Failed);
    let before = s.replicas("shop");
    let cron = every_minute(Concurrency::Allow);
    s.run(Stack::new("shop").scheduled("backup", backup("backup:2", cron)));
    s.run(Command::RestartDeployment(RestartDeployment {
        deployment: name("shop"),
        services: Default::default(),
    }));
    assert_eq!(s.replicas("shop"), before);
    assert_eq!(deployment(&s, "shop").rollout, None);
    tick_at(&mut s, 3, 0);
    let next = start(&mut s, 3);
    assert_ne!(
        s.replica(&next).container,
        before[0].container,
        "the next one is of the new content"
    );
    assert_eq!(s.replica(&next).revision, 2);
}

#[test]
fn a_stop_ends_what_has_not_ended_and_a_deletion_everything() {
    let mut s = with(Concurrency::Allow);
    for n in [1, 2, 3] {
        tick_at(&mut s, n, 0);
    }
    let (done, running) = (start(&mut s, 1), start(&mut s, 2));
    s.observe(&done, ReplicaState::Completed);
    s.observe(&running, ReplicaState::Running);
    s.run(Command::HoldDeployment(HoldDeployment { deployment: name("shop"), stopped: true }));
    let stopped = || RunFate::Cancelled("the deployment was stopped".to_owned());
    assert_eq!(fates(&s), [RunFate::Wanted, stopped(), stopped()]);
    assert_eq!(s.replica(&done).intent, Intent::Run, "its output can still be read");
    assert_eq!(s.replica(&running).intent, Intent::Remove);
    s.report(&running, None);
    s.run(Command::DeleteDeployment(DeleteDeployment { deployment: name("shop"), volumes: false }));
    s.reconcile("shop", vec![Action::Remove { replica: done.clone() }]);
    s.report(&done, None);
    assert!(s.state.deployment(&name("shop")).is_none());
}

#[test]
fn a_run_starts_once_unless_its_node_is_lost() {
    let mut s = with(Concurrency::Forbid);
    tick_at(&mut s, 1, 0);
    let again = |node| Action::StartRun { service: name("backup"), tick: minute(1), node };
    let first = start(&mut s, 1);
    assert_eq!(refused(&s.reconcile("shop", vec![again(NodeId(2))])), ErrorCode::Conflict);
    let (node, condition) = (NodeId(1), Some((jaco_api::model::NodeCondition::Down, None)));
    let down = crate::command::UpdateNode { node, facts: None, condition };
    s.run(Command::UpdateNode(down));
    assert_eq!(s.reconcile("shop", vec![again(NodeId(2))]), Outcome::Done);
    assert_eq!(s.replica(&first).intent, Intent::Remove);
    let run = deployment(&s, "shop").ticks["backup"].runs[0].clone();
    assert_eq!((run.replica, run.node), (Some(name("shop.backup.2")), Some(NodeId(2))));
    let mut s = with(Concurrency::Forbid);
    tick_at(&mut s, 1, 0);
    let id = start(&mut s, 1);
    s.observe(&id, ReplicaState::Completed);
    assert_eq!(refused(&s.reconcile("shop", vec![again(NodeId(2))])), ErrorCode::Conflict, "done");
}

#[test]
fn a_run_is_dropped_after_its_end_and_given_up_before() {
    let mut s = with(Concurrency::Forbid);
    tick_at(&mut s, 1, 0);
    let id = start(&mut s, 1);
    let (service, tick) = (name("backup"), minute(1));
    let drop = vec![Action::DropRun { service, tick }];
    let give_up = |reason: &str| {
        vec![Action::CancelRun { service: name("backup"), tick, reason: reason.to_owned() }]
    };
    assert_eq!(refused(&s.reconcile("shop", drop.clone())), ErrorCode::Conflict);
    let mut other = s.clone();
    assert_eq!(other.reconcile("shop", give_up("why")), Outcome::Done);
    assert_eq!(fates(&other), [RunFate::Cancelled("why".to_owned())]);
    assert_eq!(other.replica(&id).intent, Intent::Remove);
    s.report(
        &id,
        Some(Observation {
            generation: 1,
            state: ReplicaState::Completed,
            exit_code: Some(0),
            ..Observation::default()
        }),
    );
    assert_eq!(refused(&s.reconcile("shop", give_up("why"))), ErrorCode::Conflict);
    assert_eq!(s.state.load(NodeId(1)), 0, "it takes no room any more");
    assert_eq!(s.reconcile("shop", drop), Outcome::Done);
    assert!(fates(&s).is_empty());
    assert_eq!(s.replica(&id).intent, Intent::Remove);
}

#[test]
fn ticks_that_did_not_run_are_forgotten_in_the_end() {
    let mut s = with(Concurrency::Forbid);
    for n in 1..40 {
        tick_at(&mut s, n, 0);
    }
    let fates = fates(&s);
    assert_eq!(fates.len(), 11, "ten of them, and the run that goes on");
    assert_eq!(fates[0], RunFate::Wanted);
}

#[test]
fn a_scheduled_service_has_one_replica_or_none() {
    let mut s = with(Concurrency::Forbid);
    let mut scale = |n| {
        let replicas = BTreeMap::from([(name("backup"), n)]);
        s.run(Command::ScaleDeployment(ScaleDeployment { deployment: name("shop"), replicas }))
    };
    assert_eq!(refused(&scale(2)), ErrorCode::ValidationFailed);
    assert_eq!(scale(0), changed(2));
}

/// A leader with its own idea of the time and perhaps an old state.
#[derive(Debug, Clone)]
struct Look {
    /// Seconds since the last look.
    after: u64,
    /// How far this leader's clock is off, in seconds.
    skew: i64,
    /// How many entries its state is behind.
    behind: usize,
    /// How often its proposal gets into the log.
    copies: usize,
}

fn looks() -> impl Strategy<Value = Vec<Look>> {
    let look = (0..100u64, -20..20i64, 0..4usize, 1..3usize);
    let look = look.prop_map(|(after, skew, behind, copies)| Look { after, skew, behind, copies });
    proptest::collection::vec(look, 1..60)
}

proptest! {
    /// Whatever leaders believe, see and repeat: every tick that somebody found due in time is decided,
    /// once, and in order.
    #[test]
    fn every_tick_is_decided_exactly_once(looks in looks(), late in any::<bool>()) {
        let mut s = with(Concurrency::Allow);
        let mut states = vec![s.state.clone()];
        let (mut wanted, mut pending) = (Vec::new(), Vec::new());
        let began = s.now;
        for look in &looks {
            s.pass(Span::secs(look.after));
            let state = &states[states.len().saturating_sub(1 + look.behind)];
            let own = Timestamp(s.now.0.saturating_add_signed(look.skew * 1000));
            let row = state.deployment(&name("shop")).unwrap();
            for tick in due(state, row, own).ticks {
                wanted.push(tick.tick);
                pending.extend(std::iter::repeat_n((own, tick), look.copies));
            }
            if late && pending.len() < 3 {
                continue;
            }
            // What was on its way arrives in another order.
            for (at, tick) in pending.drain(..).rev() {
                let now = std::mem::replace(&mut s.now, at);
                prop_assert_eq!(s.run(Command::Tick(tick)), Outcome::Done);
                s.now = now;
                states.push(s.state.clone());
                // Keep what was decided apart from what is kept.
                let runs = &deployment(&s, "shop").ticks["backup"].runs;
                prop_assert!(runs.is_sorted_by(|a, b| a.tick < b.tick));
            }
        }
        let runs = deployment(&s, "shop").ticks["backup"].runs.clone();
        let last = deployment(&s, "shop").ticks["backup"].last;
        prop_assert!(runs.iter().all(|r| r.fate == RunFate::Wanted || r.fate == RunFate::Missed));
        prop_assert!(runs.iter().all(|r| r.tick > began && r.tick.0 % MINUTE == 0));
        if !late {
            // Nothing that a leader found due and proposed is lost, unless a newer one was decided.
            for tick in wanted {
                prop_assert!(tick <= last);
            }
            let newest = runs.iter().map(|r| r.tick).max();
            prop_assert_eq!(newest.unwrap_or(began), last);
        }
    }
}
