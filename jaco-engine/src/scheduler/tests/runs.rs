//! Runs of services that run at times: when they start, where, and what becomes of them.

use jaco_api::model::{
    Availability, Concurrency, CronSchedule, Intent, Mode, NodeCondition, Observation,
    ReplicaState, RestartCondition, RestartPolicy, RolloutPhase, RunFate, ServiceSchedule, Span,
    Timestamp,
};
use proptest::prelude::*;

use crate::{
    command::{Command, HoldDeployment, Outcome},
    scheduler::{cron::due, drain},
    summary,
    testing::world::{World, name, seen, service, stateful},
};

fn every_minute() -> ServiceSchedule {
    let cron = CronSchedule { keep_succeeded: 2, keep_failed: 1, ..CronSchedule::new("* * * * *") };
    let restart =
        RestartPolicy { condition: RestartCondition::OnFailure, ..RestartPolicy::default() };
    ServiceSchedule { cron: Some(cron), mode: Mode::Job, restart, ..service(1) }
}

fn with(concurrency: Concurrency) -> ServiceSchedule {
    let mut schedule = every_minute();
    if let Some(cron) = &mut schedule.cron {
        cron.concurrency = concurrency;
    }
    schedule
}

fn once() -> ServiceSchedule {
    let mut schedule = every_minute();
    schedule.restart.condition = RestartCondition::None;
    schedule
}

/// Decides what is due, as the leader does.
fn look(world: &mut World) {
    let state = world.state().clone();
    for deployment in state.deployments() {
        for tick in due(&state, deployment, world.now()).ticks {
            world.say(&format!("due: {}/{} of {}", tick.deployment, tick.service, tick.tick));
            assert_eq!(world.command(Command::Tick(tick)), Outcome::Done);
        }
    }
}

/// Lets time pass to this second after midnight, and looks.
fn at(world: &mut World, minute: u64, second: u64) {
    let then = Timestamp((minute * 60 + second) * 1000);
    world.pass_time(Span(then.0 - world.now().0));
    look(world);
    world.settle(&[]);
}

/// Nodes `a`, `b` and `c`; it is 00:16:40.
fn deployed(services: &[(&str, ServiceSchedule, &str)]) -> World {
    let mut world = World::new(&["a", "b", "c"]);
    world.deploy("shop", services);
    world.settle(&[]);
    world
}

fn ends(world: &mut World, replica: &str, code: i64) {
    let state = if code == 0 { ReplicaState::Completed } else { ReplicaState::Failed };
    world.say(&format!("{replica} exits with {code}"));
    let reason = if code == 0 { "" } else { "exited badly" };
    world.observe(replica, Observation { exit_code: Some(code), ..seen(state, reason) });
}

fn runs(world: &World) -> Vec<String> {
    let status = summary::deployment(world.state(), &name("shop")).unwrap();
    let cron = status.services.iter().find_map(|s| s.cron.clone()).expect("a schedule");
    let line = |r: &jaco_api::model::RunStatus| {
        let who = r.replica.as_ref().map(ToString::to_string).unwrap_or_default();
        let why = r.reason.clone().unwrap_or_default();
        format!("{} {:?} {who} {why}", &r.tick.to_string()[11..16], r.state).trim_end().to_owned()
    };
    cron.runs.iter().map(line).collect()
}

fn home(world: &World, replica: &str) -> String {
    let row = world.state().replica(&name(replica)).unwrap();
    world.state().node(row.node).unwrap().name.to_string()
}

#[test]
fn a_run_starts_at_its_tick_ends_and_is_kept_for_a_while() {
    let mut world = deployed(&[("backup", every_minute(), "backup:1")]);
    world.show();
    world.say("--- nothing runs before the first tick");
    for n in 17..22 {
        at(&mut world, n, 0);
        let index = n - 16;
        ends(&mut world, &format!("shop.backup.{index}"), i64::from(n == 18));
        world.settle(&[]);
    }
    world.show();
    insta::assert_snapshot!(world.transcript());
    assert_eq!(
        runs(&world),
        [
            "00:21 Completed shop.backup.5",
            "00:20 Completed shop.backup.4",
            "00:18 Failed shop.backup.2 exited badly",
        ]
    );
    assert!(!world.step(), "nothing is left to do");
}

#[test]
fn of_several_missed_ticks_the_newest_runs_if_it_is_not_too_late() {
    let mut world = deployed(&[("backup", every_minute(), "backup:1")]);
    let next = |world: &World| {
        let state = world.state();
        due(state, state.deployment(&name("shop")).unwrap(), world.now()).next
    };
    assert_eq!(next(&world), Some(Timestamp(17 * 60_000)));
    at(&mut world, 25, 30);
    assert_eq!(runs(&world), ["00:25 Running shop.backup.1"]);
    assert_eq!(next(&world), Some(Timestamp(26 * 60_000)));
    let mut schedule = every_minute();
    schedule.cron = Some(CronSchedule::new("0 * * * *"));
    world.deploy("shop", &[("backup", schedule, "backup:1")]);
    ends(&mut world, "shop.backup.1", 0);
    at(&mut world, 65, 1);
    let late = "could not start in time: it was 5m 1s late";
    assert_eq!(runs(&world)[0], format!("01:00 Missed  {late}"));
    // A clock that is set back finds nothing due.
    let state = world.state();
    let row = state.deployment(&name("shop")).unwrap();
    assert_eq!(due(state, row, Timestamp(30 * 60_000)).ticks, []);
    assert_eq!(due(state, row, Timestamp(30 * 60_000)).next, Some(Timestamp(120 * 60_000)));
}

#[test]
fn a_run_that_is_replaced_is_gone_before_the_next_one_starts() {
    let mut world = deployed(&[("backup", with(Concurrency::Replace), "backup:1")]);
    at(&mut world, 17, 0);
    world.pass_time(Span::secs(60));
    look(&mut world);
    world.step();
    assert_eq!(world.replicas().len(), 1, "{:?}", world.replicas());
    assert_eq!(runs(&world)[0], "00:18 Pending  waits for the scheduler");
    world.settle(&[]);
    assert_eq!(
        runs(&world),
        [
            "00:18 Running shop.backup.2",
            "00:17 Cancelled shop.backup.1 replaced by the run of 1970-01-01T00:18:00.000Z",
        ]
    );
    // A node that does not answer is not waited for.
    let node = home(&world, "shop.backup.2");
    world.node_condition(&node, NodeCondition::Down);
    at(&mut world, 19, 0);
    assert_eq!(runs(&world)[0], "00:19 Running shop.backup.3");
}

#[test]
fn runs_beside_each_other_are_spread() {
    let mut world = deployed(&[("backup", with(Concurrency::Allow), "backup:1")]);
    for n in 17..20 {
        at(&mut world, n, 0);
    }
    let homes: std::collections::BTreeSet<_> =
        (1..=3).map(|n| home(&world, &format!("shop.backup.{n}"))).collect();
    assert_eq!(homes.len(), 3);
}

#[test]
fn a_run_on_a_lost_node_starts_again_elsewhere_if_failures_do() {
    for (schedule, expected) in [
        (every_minute(), "00:17 Running shop.backup.2"),
        (
            once(),
            "00:17 Lost shop.backup.1 a is down; a run that is not started again, so it waits for a",
        ),
    ] {
        let mut world = deployed(&[("backup", schedule, "backup:1")]);
        at(&mut world, 17, 0);
        let node = home(&world, "shop.backup.1");
        let expected = expected.replace("a is down", &format!("{node} is down"));
        let expected = expected.replace("waits for a", &format!("waits for {node}"));
        world.node_condition(&node, NodeCondition::Down);
        assert!(!world.step(), "not at once");
        world.pass_time(Span::secs(2));
        world.settle(&[]);
        assert_eq!(runs(&world), [expected]);
        world.node_condition(&node, NodeCondition::Ready);
        world.settle(&[]);
        let left = world.state().replicas().filter(|r| r.intent == Intent::Run).count();
        assert_eq!((left, world.state().replicas().count()), (1, 1), "{:?}", world.replicas());
    }
}

#[test]
fn what_a_lost_node_has_finished_stays_finished() {
    let mut world = deployed(&[("backup", every_minute(), "backup:1")]);
    at(&mut world, 17, 0);
    ends(&mut world, "shop.backup.1", 3);
    let node = home(&world, "shop.backup.1");
    world.node_condition(&node, NodeCondition::Down);
    world.pass_time(Span::secs(10));
    assert!(!world.step());
    world.node_availability(&node, Availability::Leaving, true);
    world.settle(&[]);
    let id = world.node_id(&node);
    assert_eq!(drain::left(world.state(), id, world.now()), []);
    world.remove_node(&node);
    world.settle(&[]);
    assert_eq!(runs(&world), ["00:17 Failed shop.backup.1 exited badly"]);
}

#[test]
fn a_node_is_emptied_once_its_runs_have_ended_or_by_force() {
    for forced in [false, true] {
        let mut world = deployed(&[("backup", every_minute(), "backup:1")]);
        at(&mut world, 17, 0);
        let node = home(&world, "shop.backup.1");
        let id = world.node_id(&node);
        let why = drain::obstacles(world.state(), id);
        assert_eq!(why[0].1, "it is a run that has not ended");
        world.node_availability(&node, Availability::Draining, forced);
        world.settle(&[]);
        if forced {
            let gone = format!("00:17 Cancelled shop.backup.1 {node} was emptied by force");
            assert_eq!(runs(&world), [gone]);
        } else {
            assert!(runs(&world)[0].contains("Running shop.backup.1 runs to its end on"));
            ends(&mut world, "shop.backup.1", 1);
        }
        assert_eq!(drain::obstacles(world.state(), id), []);
        assert_eq!(drain::left(world.state(), id, world.now()), []);
        at(&mut world, 18, 0);
        assert_ne!(home(&world, "shop.backup.2"), node);
    }
}

#[test]
fn a_run_that_finds_no_node_says_so_and_waits() {
    let mut schedule = every_minute();
    schedule.constraints = vec!["node.labels.disk == ssd".to_owned()];
    let mut world = deployed(&[("backup", schedule, "backup:1")]);
    at(&mut world, 17, 0);
    let why = "3 nodes: 3 lack label disk=ssd";
    let status = summary::deployment(world.state(), &name("shop")).unwrap();
    assert_eq!(status.services[0].reason.as_deref(), Some(why));
    at(&mut world, 18, 0);
    assert_eq!(
        runs(&world),
        ["00:18 Skipped  an earlier run had not ended".to_owned(), format!("00:17 Pending  {why}")]
    );
    assert!(!world.step(), "it is said once");
    world.set_node("b", |n| drop(n.labels.insert("disk".to_owned(), "ssd".to_owned())));
    world.settle(&[]);
    assert_eq!(runs(&world)[1], "00:17 Running shop.backup.1");
    let status = summary::deployment(world.state(), &name("shop")).unwrap();
    let said = status.services[0].reason.clone().unwrap();
    assert_eq!(
        said,
        "the run of 1970-01-01T00:17:00.000Z goes on; next at 1970-01-01T00:19:00.000Z"
    );
}

#[test]
fn a_run_follows_its_data() {
    let schedule = ServiceSchedule {
        volumes: vec!["jaco_shop_db".to_owned()],
        stateful: true,
        ..every_minute()
    };
    let db = stateful(1, "jaco_shop_db");
    let mut world = deployed(&[("db", db, "db:1"), ("backup", schedule, "backup:1")]);
    at(&mut world, 17, 0);
    assert_eq!(home(&world, "shop.backup.1"), home(&world, "shop.db.1"));
}

#[test]
fn a_rollout_takes_no_notice_of_runs_and_they_none_of_it() {
    let services = |content: &'static str| {
        [("web", service(2), content), ("backup", with(Concurrency::Allow), content)]
    };
    let mut world = deployed(&services("v1"));
    at(&mut world, 17, 0);
    world.deploy("shop", &services("v2"));
    at(&mut world, 17, 30);
    let row = world.state().deployment(&name("shop")).unwrap();
    assert_eq!(row.rollout.as_ref().map(|r| r.phase.clone()), Some(RolloutPhase::Completed));
    let run = world.state().replica(&name("shop.backup.1")).unwrap();
    assert_eq!((run.revision, run.is_running()), (1, true));
    at(&mut world, 18, 0);
    assert_eq!(world.state().replica(&name("shop.backup.2")).unwrap().revision, 2);
    // A run that fails is no failure of a rollout.
    world.deploy("shop", &services("v3"));
    world.step();
    ends(&mut world, "shop.backup.2", 1);
    world.settle(&[]);
    let row = world.state().deployment(&name("shop")).unwrap();
    let rollout = row.rollout.as_ref().unwrap();
    assert_eq!((rollout.to, rollout.phase.clone()), (3, RolloutPhase::Completed));
    assert_eq!(rollout.failures.len(), 0);
}

#[test]
fn a_service_that_gets_a_schedule_or_loses_it_leaves_nothing_of_the_other_kind() {
    let mut world = deployed(&[("backup", service(2), "backup:1")]);
    world.deploy("shop", &[("backup", every_minute(), "backup:1")]);
    world.settle(&[]);
    assert_eq!(world.replicas(), Vec::<String>::new());
    at(&mut world, 17, 0);
    at(&mut world, 18, 0);
    world.deploy("shop", &[("backup", service(1), "backup:1")]);
    world.settle(&[]);
    let line = world.replicas();
    assert_eq!(line.len(), 1, "{line:?}");
    assert!(line[0].starts_with("shop.backup.4 on"), "an index never comes back: {line:?}");
}

#[test]
fn a_stopped_deployment_keeps_what_has_ended_and_runs_what_is_due_when_it_starts() {
    let mut world = deployed(&[("backup", with(Concurrency::Allow), "backup:1")]);
    at(&mut world, 17, 0);
    ends(&mut world, "shop.backup.1", 0);
    at(&mut world, 18, 0);
    let hold =
        |stopped| Command::HoldDeployment(HoldDeployment { deployment: name("shop"), stopped });
    world.command(hold(true));
    at(&mut world, 20, 0);
    assert_eq!(
        runs(&world),
        [
            "00:18 Cancelled shop.backup.2 the deployment was stopped",
            "00:17 Completed shop.backup.1"
        ]
    );
    let status = summary::deployment(world.state(), &name("shop")).unwrap();
    assert_eq!(status.services[0].cron.as_ref().unwrap().next, None);
    assert_eq!(world.replicas().len(), 1);
    world.command(hold(false));
    at(&mut world, 20, 30);
    assert_eq!(runs(&world)[0], "00:20 Running shop.backup.3");
}

#[test]
fn a_scheduled_service_is_neither_pending_nor_failed() {
    let mut world = deployed(&[("backup", every_minute(), "backup:1"), ("web", service(1), "w")]);
    let said = |world: &World| {
        let status = summary::deployment(world.state(), &name("shop")).unwrap();
        let service = status.services[0].clone();
        format!(
            "{:?}, {:?} {}/{}: {}",
            status.state,
            service.state,
            service.running,
            service.desired,
            service.reason.unwrap_or_default()
        )
    };
    let next = "next at 1970-01-01T00:1";
    assert_eq!(said(&world), format!("Active, Scheduled 0/0: {next}7:00.000Z"));
    at(&mut world, 17, 0);
    let run = "the run of 1970-01-01T00:17:00.000Z";
    assert_eq!(said(&world), format!("Active, Scheduled 1/1: {run} goes on; {next}8:00.000Z"));
    ends(&mut world, "shop.backup.1", 1);
    let failed = format!("{run} failed: exited badly; {next}8:00.000Z");
    assert_eq!(said(&world), format!("Active, Scheduled 0/0: {failed}"));
}

/// What happens in a history.
#[derive(Debug, Clone)]
enum Event {
    Pass(u8),
    Ends(u8, bool),
    Node(u8, bool),
    Agents,
    Deploy(u8),
    Hold(bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (1..90u8).prop_map(Event::Pass),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(n, well)| Event::Ends(n, well)),
        1 => (0..3u8, any::<bool>()).prop_map(|(n, up)| Event::Node(n, up)),
        3 => Just(Event::Agents),
        1 => any::<u8>().prop_map(Event::Deploy),
        1 => any::<bool>().prop_map(Event::Hold),
    ];
    proptest::collection::vec(event, 1..80)
}

fn schedule_of(n: u8) -> ServiceSchedule {
    let kinds = [Concurrency::Forbid, Concurrency::Replace, Concurrency::Allow];
    let mut schedule = with(kinds[usize::from(n % 3)]);
    if n.is_multiple_of(2) {
        schedule.restart.condition = RestartCondition::None;
    }
    schedule
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever happens: a plan leaves nothing to plan, no tick has two replicas that are to run, and
    /// no more is kept than is to be.
    #[test]
    fn runs_are_one_per_tick_and_plans_come_to_rest(first in any::<u8>(), events in events()) {
        let mut world = World::new(&["a", "b", "c"]);
        let deploy = |world: &mut World, n: u8| {
            let content = ["v1", "v2"][usize::from(n / 3 % 2)];
            world.deploy("shop", &[("backup", schedule_of(n), content), ("web", service(2), content)]);
        };
        deploy(&mut world, first);
        let mut present = first;
        for event in &events {
            match event {
                Event::Pass(seconds) => world.pass_time(Span::secs(u64::from(*seconds))),
                Event::Ends(n, well) => {
                    let open: Vec<_> = world
                        .state()
                        .replicas()
                        .filter(|r| r.tick.is_some() && r.is_running())
                        .map(|r| r.id.to_string())
                        .collect();
                    if let Some(id) = open.get(usize::from(*n) % open.len().max(1)) {
                        ends(&mut world, id, i64::from(!well));
                    }
                }
                Event::Node(n, up) => {
                    let condition = if *up { NodeCondition::Ready } else { NodeCondition::Down };
                    world.node_condition(["a", "b", "c"][usize::from(*n)], condition);
                }
                Event::Agents => world.agents(&[]),
                Event::Deploy(n) => {
                    present = *n;
                    deploy(&mut world, *n);
                }
                Event::Hold(stopped) => {
                    let deployment = name("shop");
                    world.command(Command::HoldDeployment(HoldDeployment {
                        deployment,
                        stopped: *stopped,
                    }));
                }
            }
            look(&mut world);
            while world.step() {}
            prop_assert!(world.plan().batches.is_empty());
            check(&world, &schedule_of(present));
        }
    }
}

fn check(world: &World, schedule: &ServiceSchedule) {
    let state = world.state();
    let row = state.deployment(&name("shop")).unwrap();
    let (ticks, cron) = (&row.ticks["backup"], schedule.cron.as_ref().unwrap());
    let open = ticks.runs.iter().filter(|r| state.is_open(r)).count();
    let ended =
        ticks.runs.iter().filter(|r| r.fate == RunFate::Wanted && !state.is_open(r)).count();
    assert!(ended <= (cron.keep_succeeded + cron.keep_failed) as usize);
    assert!(ticks.runs.len() <= open + ended + cron.keep_failed as usize + 10);
    for run in &ticks.runs {
        let of_tick = |r: &&std::sync::Arc<jaco_api::model::Replica>| {
            r.tick == Some(run.tick) && r.intent == Intent::Run
        };
        let count = state.replicas_of(&row.name).filter(of_tick).count();
        assert!(count <= usize::from(run.fate == RunFate::Wanted), "{run:?}");
    }
    let runs = state.replicas().filter(|r| r.tick.is_some() && r.intent == Intent::Run);
    for replica in runs {
        assert!(state.is_kept_run(row, replica), "{} is nobody's", replica.id);
    }
}
