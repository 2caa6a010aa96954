use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{
        AuditKind, DeploymentName, NodeCondition, NodeId, RaftRole, ServiceSchedule, Span,
        Timestamp,
    },
};
use tokio::sync::watch;

use super::{
    Board, Control, ControlOptions, Group, Propose, Rekey, Sampler, Sessions,
    driver::Task as _,
    tasks::{Cron, Rebalance, Schedule},
};
use crate::{
    clock::Clock as _,
    command::{Command, Outcome},
    raft::{Member, MemberStatus, RaftStatus, voters::Change},
    scheduler::rebalance::{Load, Samples},
    state::State,
    testing::{
        ManualClock,
        world::{World, name, service},
    },
    watch::{StatePublisher, channel},
};

/// A log of one: applies at once, publishes, and remembers what came.
struct Log {
    world: Mutex<World>,
    publisher: StatePublisher,
    seen: Mutex<Vec<Command>>,
    /// How many of the next batches are refused.
    refuse: Mutex<u32>,
}

#[async_trait]
impl Propose for Log {
    async fn propose(&self, _: Option<String>, command: Command) -> Result<Outcome, ApiError> {
        self.seen.lock().unwrap().push(command.clone());
        if *self.refuse.lock().unwrap() > 0 {
            *self.refuse.lock().unwrap() -= 1;
            return Err(ApiError::new(ErrorCode::QuorumLost, "cut off"));
        }
        match self.change(|world| world.command(command)) {
            Outcome::Rejected(error) => Err(error),
            outcome => Ok(outcome),
        }
    }
}

impl Log {
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock().unwrap();
        let result = change(&mut world);
        self.publisher.publish(world.state().clone());
        result
    }
    fn state(&self) -> Arc<State> {
        self.world.lock().unwrap().state().clone()
    }
    fn proposals(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// A group of one that needs no change, and keys that need no rotation.
struct Settled;

#[async_trait]
impl Group for Settled {
    fn status(&self) -> RaftStatus {
        let raft_addr = ([127, 0, 0, 1], 7000).into();
        let member = Member { name: name("a"), raft_addr, api_addr: raft_addr };
        let alone = MemberStatus { member, role: RaftRole::Leader, lag: Some(0) };
        RaftStatus { members: [(NodeId(1), alone)].into(), is_leader: true, ..Default::default() }
    }
    fn former_leader(&self) -> Option<(NodeId, tokio::time::Instant)> {
        None
    }
    async fn change(&self, change: Change) -> Result<(), ApiError> {
        panic!("nothing is to change: {change:?}")
    }
}

#[async_trait]
impl Rekey for Settled {
    async fn rotate(&self) -> Result<u32, ApiError> {
        panic!("no key is due")
    }
}

struct Rig {
    log: Arc<Log>,
    clock: ManualClock,
    leads: watch::Sender<Option<u64>>,
    sessions: Sessions,
    control: Control,
}

fn rig(world: World, term: Option<u64>) -> Rig {
    let (publisher, state) = channel(world.state().clone());
    let clock = ManualClock::at(world.now());
    let (seen, refuse, world) = (Mutex::default(), Mutex::default(), Mutex::new(world));
    let log = Arc::new(Log { world, publisher, seen, refuse });
    let (leads, status) = watch::channel(term);
    let sessions = Sessions::default();
    let options = ControlOptions {
        node: name("a"),
        id: NodeId(1),
        group: Arc::new(Settled),
        sessions: sessions.clone(),
        keys: Arc::new(Settled),
        issuer: None,
        board: Board::default(),
        state,
        propose: log.clone(),
        clock: Arc::new(clock.clone()),
    };
    let control = Control::spawn(options, status, |term| *term);
    Rig { log, clock, leads, sessions, control }
}

/// Waits until this holds; time stands still while anybody has work to do.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never: {what}");
}

fn replicas(state: &State, deployment: &str) -> usize {
    let name: DeploymentName = name(deployment);
    state.replicas_of(&name).count()
}

#[tokio::test(start_paused = true)]
async fn a_leader_announces_itself_plans_and_then_is_silent() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("web", service(3), "web:1")]);
    let rig = rig(world, Some(4));
    until("placed", || replicas(&rig.log.state(), "shop") == 3).await;
    until("announced", || rig.log.proposals() == 2).await;
    rig.log.change(|w| w.agents(&[]));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.log.proposals(), 2, "idle means no proposals");
    let elected =
        rig.log.state().audit_after(0).filter(|e| e.kind.as_str() == "leader_elected").count();
    assert_eq!(elected, 1);
    let tasks = rig.control.tasks();
    assert_eq!(
        tasks.iter().map(|t| t.name).collect::<Vec<_>>(),
        ["announce", "liveness", "members", "schedule", "cron", "rebalance", "subnets", "rekey"]
    );
    rig.control.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_plans_and_losing_leadership_ends_it() {
    let mut world = World::new(&["a"]);
    world.deploy("one", &[("x", service(1), "x")]);
    let rig = rig(world, None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((rig.log.proposals(), rig.control.tasks().len()), (0, 0));
    rig.leads.send_replace(Some(1));
    until("the first is placed", || replicas(&rig.log.state(), "one") == 1).await;
    rig.leads.send_replace(None);
    until("the tasks are gone", || rig.control.tasks().is_empty()).await;
    rig.log.change(|w| w.deploy("two", &[("x", service(1), "x")]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(replicas(&rig.log.state(), "two"), 0);
    rig.leads.send_replace(Some(3));
    until("the second is placed", || replicas(&rig.log.state(), "two") == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_does_not_get_through_is_tried_again() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("web", service(1), "web:1")]);
    let rig = rig(world, None);
    *rig.log.refuse.lock().unwrap() = 5;
    rig.leads.send_replace(Some(1));
    until("placed", || replicas(&rig.log.state(), "shop") == 1).await;
    until("the error is gone", || rig.control.tasks().iter().all(|t| t.error.is_none())).await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_due_by_time_is_taken_without_any_change() {
    let mut world = World::new(&["a"]);
    let mut web = service(1);
    web.update.monitor = Span::secs(30);
    world.deploy("shop", &[("web", web.clone(), "web:1")]);
    world.settle(&[]);
    world.deploy("shop", &[("web", web, "web:2")]);
    let rig = rig(world, Some(1));
    until("the new one is there", || replicas(&rig.log.state(), "shop") == 2).await;
    rig.log.change(|w| w.agents(&[]));
    until("a timer runs", || rig.clock.sleepers() > 0).await;
    let before = rig.log.proposals();
    rig.log.change(|w| w.pass_time(Span::secs(30)));
    rig.clock.advance(Duration::from_secs(30));
    until("the old one goes", || rig.log.proposals() > before).await;
}

/// A node that is always hot beside one that never is.
struct Fever(Arc<Log>);

impl Sampler for Fever {
    fn samples(&self) -> Samples {
        let state = self.0.state();
        let load = |cpu| Load { cpu, memory: 0 };
        Samples {
            nodes: state
                .nodes()
                .map(|n| (n.id, load(if n.name == "a" { 950 } else { 0 })))
                .collect(),
            replicas: state.replicas().map(|r| (r.id.clone(), load(200))).collect(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_rebalancer_looks_every_half_minute_and_proposes_one_move() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("web", service(2), "web:1")]);
    world.settle(&[]);
    world.add_node("b");
    let rig = rig(world, None);
    let sampler = Arc::new(Fever(rig.log.clone()));
    let mut task = Rebalance::new(rig.log.clone(), Arc::new(rig.clock.clone()), sampler.clone());
    let audited = |state: &State| {
        state.audit_after(0).filter(|e| e.kind == AuditKind::RebalanceMoved).count()
    };
    for seconds in 0..31 {
        let due = task.pass(rig.log.state()).await.unwrap().unwrap();
        assert!(due > rig.log.state().nodes().next().unwrap().joined_at);
        assert_eq!(audited(&rig.log.state()), usize::from(seconds == 30), "{seconds}");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(replicas(&rig.log.state(), "shop"), 3);
    assert_eq!(rig.log.proposals(), 1, "looking writes nothing");
}

#[tokio::test(start_paused = true)]
async fn new_replicas_avoid_pressure_where_nodes_are_equal() {
    let mut world = World::new(&["a", "b"]);
    world.deploy("shop", &[("web", service(1), "web:1")]);
    let rig = rig(world, None);
    let sampler = Arc::new(Fever(rig.log.clone()));
    let mut task =
        Schedule::new(rig.log.clone(), Arc::new(rig.clock.clone())).sampling(sampler.clone());
    task.pass(rig.log.state()).await.unwrap();
    let state = rig.log.state();
    let row = state.replicas().next().unwrap();
    assert_eq!(state.node(row.node).unwrap().name, "b");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_a_node_made_invalid_is_planned_again() {
    let mut world = World::new(&["a", "b"]);
    world.deploy("shop", &[("web", service(2), "web:1")]);
    let rig = rig(world, None);
    let mut task = Schedule::new(rig.log.clone(), Arc::new(rig.clock.clone()));
    let before = rig.log.state();
    rig.log.change(|w| w.node_condition("b", NodeCondition::Down));
    task.pass(before).await.unwrap();
    assert_eq!(replicas(&rig.log.state(), "shop"), 0, "it was planned for a node that is down");
    task.pass(rig.log.state()).await.unwrap();
    assert_eq!(replicas(&rig.log.state(), "shop"), 2);
}

fn backup() -> ServiceSchedule {
    let cron = Some(jaco_api::model::CronSchedule::new("* * * * *"));
    let mode = jaco_api::model::Mode::Job;
    ServiceSchedule { cron, mode, ..service(1) }
}

fn ticks(state: &State) -> Vec<u64> {
    let row = state.deployment(&name("shop")).unwrap();
    row.ticks["backup"].runs.iter().map(|r| r.tick.0 / 60_000).collect()
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_proposed_when_it_is_due_by_one_leader_and_nothing_between() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("backup", backup(), "backup:1")]);
    let rig = rig(world, Some(1));
    let pass = |seconds| {
        rig.log.change(|w| w.pass_time(Span::secs(seconds)));
        rig.clock.advance(Duration::from_secs(seconds));
    };
    let proposed = || {
        let seen = rig.log.seen.lock().unwrap();
        seen.iter().filter(|c| matches!(c, Command::Tick(_))).count()
    };
    let looks = |tasks: Vec<super::TaskStatus>| {
        tasks.iter().find(|t| t.name == "cron").map_or(0, |t| t.passes)
    };
    until("the leader has looked", || looks(rig.control.tasks()) > 0).await;
    pass(19);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((proposed(), ticks(&rig.log.state())), (0, vec![]));
    pass(1);
    until("it is decided", || ticks(&rig.log.state()) == [17]).await;
    rig.leads.send_replace(None);
    until("the tasks are gone", || rig.control.tasks().is_empty()).await;
    rig.leads.send_replace(Some(2));
    until("the next leader has looked", || looks(rig.control.tasks()) > 0).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((proposed(), ticks(&rig.log.state())), (1, vec![17]));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_loses_no_tick() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("backup", backup(), "backup:1")]);
    let rig = rig(world, None);
    let mut task = Cron::new(rig.log.clone(), Arc::new(rig.clock.clone()));
    let look = async |task: &mut Cron| task.pass(rig.log.state()).await.unwrap();
    let due = look(&mut task).await.unwrap();
    assert_eq!(due, Timestamp(17 * 60_000));
    // An hour forward: the newest of the ticks that lie between is due at once.
    rig.log.change(|w| w.pass_time(Span::secs(3600)));
    rig.clock.advance(Duration::from_secs(3600));
    look(&mut task).await;
    assert_eq!(ticks(&rig.log.state()), [76]);
    // What was decided is not decided again when it is set back, and nobody waits for ever.
    let due = look(&mut task).await.unwrap();
    assert!(due <= rig.clock.now().after(Duration::from_secs(30)), "{due}");
}

#[tokio::test(start_paused = true)]
async fn a_block_is_free_again_once_every_member_has_confirmed() {
    let mut world = World::new(&["a"]);
    let on = |replicas| ServiceSchedule { networks: [name("default")].into(), ..service(replicas) };
    world.deploy("shop", &[("web", on(1), "web:1")]);
    world.settle(&[]);
    world.deploy("shop", &[("web", on(0), "web:1")]);
    world.settle(&[]);
    let released = world.state().subnets().next().unwrap().released.unwrap();
    let rig = rig(world, Some(1));
    let tell = |index| {
        let load = jaco_api::pb::NodeLoad { networks: Some(index), ..Default::default() };
        rig.sessions.heard(NodeId(1), load);
    };
    let releases = || {
        let seen = rig.log.seen.lock().unwrap();
        seen.iter().filter(|c| matches!(c, Command::ReleaseSubnets(_))).count()
    };
    let look = || async {
        rig.clock.advance(Duration::from_secs(2));
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    look().await;
    tell(released - 1);
    look().await;
    assert_eq!((releases(), rig.log.state().subnets().count()), (0, 1), "not up to there");
    tell(released);
    look().await;
    until("released", || rig.log.state().subnets().count() == 0).await;
    let proposals = rig.log.proposals();
    for _ in 0..3 {
        tell(released);
        look().await;
    }
    assert_eq!((releases(), rig.log.proposals()), (1, proposals), "once, and then silence");
    rig.control.shutdown().await;
}
