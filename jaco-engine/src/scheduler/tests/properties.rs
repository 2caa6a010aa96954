use jaco_api::model::{
    Availability, DeploymentName, EndpointMode, FailureAction, Health, Intent, Mode, NodeCondition,
    NodeStatus, Observation, Placement, ReplicaState, RolloutPhase, ServiceSchedule, Span,
    UpdateConfig, UpdateOrder,
};
use proptest::prelude::*;

use crate::{
    command::{Action, Command, HoldDeployment, RestartDeployment, RolloutEnd, SetSetting},
    scheduler::check,
    testing::world::{World, name, seen, service},
};

pub(super) const NODES: [&str; 4] = ["a", "b", "c", "d"];
const SERVICES: [&str; 2] = ["web", "db"];

/// What happens to a cluster between two plans.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Deploy(Vec<(u8, ServiceSchedule)>),
    Node(usize, NodeStatus),
    Agents,
    /// The n-th replica enters a state.
    Enter(usize, ReplicaState, Health, u32),
    Prepared(usize, bool),
    Restart,
    Hold(bool),
    Wait(u64),
    /// There are many addresses for services, or few.
    Room(bool),
}

fn schedule() -> impl Strategy<Value = ServiceSchedule> {
    let placement = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Placement::Pack)),
        1 => Just(Some(Placement::Global)),
        1 => Just(Some(Placement::Hosts(vec![name("a"), name("c")]))),
    ];
    let update = (0u32..3, any::<bool>(), 0u64..3, 0u32..3, 0u32..2);
    let more = (0u32..3, any::<bool>(), prop::bool::weighted(0.15), prop::bool::weighted(0.2));
    let endpoint = (0usize..6, prop::bool::weighted(0.2));
    (0u32..5, placement, update, more, endpoint).prop_map(
        |(replicas, placement, update, more, endpoint)| {
            let (parallelism, stop_first, monitor, action, tolerated) = update;
            let (most, reserves, job, volume) = more;
            let (networks, dnsrr) = endpoint;
            ServiceSchedule {
                placement,
                mode: if job { Mode::Job } else { Mode::Service },
                max_replicas_per_node: most,
                reserved_memory_bytes: if reserves { 3 << 30 } else { 0 },
                volumes: if volume { vec!["data".to_owned()] } else { Vec::new() },
                stateful: volume,
                update: UpdateConfig {
                    parallelism,
                    delay: Span::secs(monitor),
                    order: if stop_first {
                        UpdateOrder::StopFirst
                    } else {
                        UpdateOrder::StartFirst
                    },
                    monitor: Span::secs(monitor),
                    max_failure_permille: tolerated * 400,
                    failure_action: [
                        FailureAction::Rollback,
                        FailureAction::Pause,
                        FailureAction::Continue,
                    ][action as usize],
                },
                networks: ["a", "b", "c", "d", "e"].into_iter().take(networks).map(name).collect(),
                endpoint: if dnsrr { EndpointMode::Dnsrr } else { EndpointMode::Vip },
                ..service(replicas)
            }
        },
    )
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let state = prop_oneof![
        1 => Just(ReplicaState::Pulling),
        1 => Just(ReplicaState::Starting),
        3 => Just(ReplicaState::Running),
        1 => Just(ReplicaState::Degraded),
        1 => Just(ReplicaState::Failed),
        1 => Just(ReplicaState::Completed),
    ];
    let status = prop_oneof![
        3 => Just(NodeStatus::Ready),
        1 => Just(NodeStatus::Cordoned),
        1 => Just(NodeStatus::Draining),
        1 => Just(NodeStatus::Down),
    ];
    let health = prop_oneof![4 => Just(Health::None), 1 => Just(Health::Unhealthy)];
    prop_oneof![
        3 => prop::collection::vec((0u8..3, schedule()), 1..=2).prop_map(Event::Deploy),
        2 => (0usize..4, status).prop_map(|(n, s)| Event::Node(n, s)),
        6 => Just(Event::Agents),
        4 => (0usize..12, state, health, 0u32..4)
            .prop_map(|(n, s, h, p)| Event::Enter(n, s, h, p)),
        2 => (0usize..12, any::<bool>()).prop_map(|(n, ok)| Event::Prepared(n, ok)),
        1 => Just(Event::Restart),
        1 => any::<bool>().prop_map(Event::Hold),
        3 => (1u64..70).prop_map(Event::Wait),
        1 => any::<bool>().prop_map(Event::Room),
    ]
}

/// `web` may become global and back, `db` may have data: both at once take several plans.
pub(super) fn as_service(name: &str, schedule: &ServiceSchedule) -> ServiceSchedule {
    let mut schedule = schedule.clone();
    if name == "web" {
        schedule.volumes.clear();
        schedule.stateful = false;
    } else if schedule.is_global() {
        schedule.placement = None;
    }
    schedule
}

pub(super) fn happen(world: &mut World, event: &Event) {
    let told = match event {
        Event::Deploy(services) => services
            .iter()
            .map(|(c, s)| {
                let (p, u) = (s.placement.as_ref().map(ToString::to_string), &s.update);
                format!(" {c} x{} {p:?} {:?} {:?} {}", s.replicas, s.mode, u.order, u.parallelism)
                    + &format!(" {} {:?} {:?}", u.delay, u.failure_action, s.volumes)
            })
            .collect(),
        other => format!("{other:?}"),
    };
    world.say(&format!("# {told}"));
    let nth = |world: &World, n: usize| {
        let replicas: Vec<_> = world.state().replicas().collect();
        (!replicas.is_empty()).then(|| replicas[n % replicas.len()].clone())
    };
    match event {
        Event::Deploy(services) => {
            let contents: Vec<_> = services.iter().map(|(c, _)| format!("image:{c}")).collect();
            let services: Vec<_> = services
                .iter()
                .zip(SERVICES)
                .zip(&contents)
                .map(|(((_, s), n), c)| (n, as_service(n, s), c.as_str()))
                .collect();
            world.deploy("shop", &services);
        }
        Event::Node(n, status) => match status {
            NodeStatus::Ready => {
                world.node_condition(NODES[*n], NodeCondition::Ready);
                world.node_availability(NODES[*n], Availability::Active, false);
            }
            NodeStatus::Down => world.node_condition(NODES[*n], NodeCondition::Down),
            NodeStatus::Cordoned => {
                world.node_availability(NODES[*n], Availability::Cordoned, false)
            }
            _ => world.node_availability(NODES[*n], Availability::Draining, false),
        },
        Event::Agents => world.agents(&[]),
        Event::Enter(n, state, health, pull_failures) => {
            let Some(replica) = nth(world, *n).filter(|r| r.intent == Intent::Run) else { return };
            let health = if *state == ReplicaState::Running { Health::None } else { *health };
            let pull_failures = if *state == ReplicaState::Pulling { *pull_failures } else { 0 };
            let seen = Observation { health, pull_failures, ..seen(*state, "so it is") };
            world.observe(&replica.id.to_string(), seen);
        }
        Event::Prepared(n, ok) => {
            let Some(replica) = nth(world, *n).filter(|r| r.preparation.is_some()) else { return };
            let result = if *ok { Ok(()) } else { Err("no such image") };
            world.prepared(&replica.id.to_string(), result);
        }
        Event::Restart => {
            let (deployment, services) = (name("shop"), Default::default());
            world.command(Command::RestartDeployment(RestartDeployment { deployment, services }));
        }
        Event::Hold(stopped) => {
            let (deployment, stopped) = (name("shop"), *stopped);
            world.command(Command::HoldDeployment(HoldDeployment { deployment, stopped }));
        }
        Event::Room(large) => {
            // Refused while more are in use.
            let (key, value) = ("service_pool".to_owned(), ["10.7.0.0/29", "10.7.0.0/24"]);
            let value = value[usize::from(*large)].to_owned();
            world.command(Command::SetSetting(SetSetting { key, value }));
        }
        Event::Wait(seconds) => world.pass_time(Span::secs(*seconds)),
    }
}

/// Every service of which there is something has its addresses.
pub(super) fn all_are_addressed(world: &World) -> bool {
    let (state, shop) = (world.state(), name::<DeploymentName>("shop"));
    let services = state.revision_in_force(&shop).into_iter().flat_map(|r| &r.services);
    services.filter(|(service, _)| state.replicas_of_service(&shop, service).next().is_some()).all(
        |(service, planned)| {
            state.lacking_addresses(&shop, service, &planned.schedule).next().is_none()
        },
    )
}

pub(super) fn unplaced(world: &World) -> bool {
    world.state().deployments().any(|d| !d.unplaced.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// Whatever happens: every plan is sound, the state machine takes it, and planning again on
    /// what it leads to plans nothing. Where it gave the deployment another revision, gave it up,
    /// or made room for what had found none, a few more plans lead there.
    #[test]
    fn a_plan_is_sound_accepted_and_complete(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut world = World::new(&NODES);
        happen(&mut world, &Event::Room(false));
        world.deploy("shop", &[("web", service(3), "image:0")]);
        for event in &events {
            happen(&mut world, event);
            for round in 0..5 {
                let crowded = unplaced(&world);
                let plan = world.plan();
                let found = check::violations(world.state(), &plan);
                prop_assert!(found.is_empty(), "{:?}\n{}", found, world.transcript());
                // Panics with the transcript when a batch is refused.
                world.step();
                let again = world.plan();
                if again.batches.is_empty() {
                    break;
                }
                prop_assert!(round < 4, "{:?}\n{}", again, world.transcript());
                let ends = plan.batches.iter().flat_map(|b| &b.actions).any(|a| {
                    matches!(a, Action::EndRollout(end) if *end != RolloutEnd::Completed)
                });
                let excused = ends || crowded || unplaced(&world);
                prop_assert!(excused, "{:?}\n{}", again, world.transcript());
            }
        }
    }

    /// When nothing more goes wrong, everything that can be placed runs and the rollout ends.
    #[test]
    fn with_working_agents_and_nodes_it_ends_as_wanted(
        events in prop::collection::vec(event(), 1..25),
    ) {
        let mut world = World::new(&NODES);
        happen(&mut world, &Event::Room(false));
        world.deploy("shop", &[("web", service(3), "image:0")]);
        for event in &events {
            happen(&mut world, event);
            world.step();
        }
        for node in NODES {
            world.node_condition(node, NodeCondition::Ready);
            world.node_availability(node, Availability::Active, false);
        }
        happen(&mut world, &Event::Room(true));
        happen(&mut world, &Event::Hold(false));
        // The operator tries again: what was given up gets another chance.
        let again = world.planned("shop", "web").map(|p| p.schedule.clone()).unwrap_or(service(1));
        world.deploy("shop", &[("web", again, "image:7")]);
        for _ in 0..60 {
            world.step();
            world.agents(&[]);
            world.pass_time(Span::secs(1));
        }
        prop_assert!(all_are_addressed(&world), "{}", world.transcript());
        let state = world.state();
        let deployment = state.deployment(&name("shop")).unwrap();
        if let Some(rollout) = &deployment.rollout
            && deployment.unplaced.is_empty()
        {
            prop_assert_eq!(&rollout.phase, &RolloutPhase::Completed, "{}", world.transcript());
        }
        for replica in state.replicas().filter(|_| deployment.unplaced.is_empty()) {
            prop_assert!(state.is_current(replica), "{}\n{}", replica.id, world.transcript());
        }
        let wanted = world.planned("shop", "web").unwrap().schedule.clone();
        let present = state.replicas().count();
        if wanted.is_global() {
            prop_assert_eq!(present, NODES.len());
        } else if deployment.unplaced.is_empty() {
            prop_assert_eq!(present, wanted.replicas as usize, "{}", world.transcript());
        }
    }
}
