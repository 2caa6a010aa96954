//! Random histories of a cluster: whatever nodes do while services are rolled out, scaled and moved.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::model::{
    Availability, FailureAction, Intent, Mode, NodeCondition, NodeId, NodeStatus, Placement,
    ReplicaId, ReplicaState, RolloutPhase, ServiceName, ServiceSchedule, Span, UpdateConfig,
    UpdateOrder,
};
use proptest::prelude::*;

use crate::{
    command::{Action, RolloutEnd},
    scheduler::{check, drain, lost::FENCE_MARGIN},
    testing::world::{World, name, seen, service, stateful},
};

const NODES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Debug, Clone)]
enum Event {
    Apply(u8, Box<ServiceSchedule>),
    /// Another content of the singleton, or none of it.
    Singleton(u8, bool),
    Data(u8),
    Condition(usize, NodeCondition),
    Want(usize, Availability, bool),
    Label(usize, bool),
    Remove(usize),
    Fail(usize),
    Agents,
    Wait(u64),
}

fn schedule() -> impl Strategy<Value = ServiceSchedule> {
    let placement = prop_oneof![
        5 => Just(None),
        1 => Just(Some(Placement::Pack)),
        1 => Just(Some(Placement::Global)),
        1 => Just(Some(Placement::Hosts(NODES[..3].iter().map(|n| name(n)).collect()))),
    ];
    let update = (0u32..3, any::<bool>(), 0u64..4, 0usize..3);
    let more = (0u32..3, any::<bool>(), any::<bool>(), prop::option::of(0u64..10), 0u8..8);
    (0u32..6, placement, update, more).prop_map(|(replicas, placement, update, more)| {
        let (parallelism, stop_first, monitor, action) = update;
        let (most, zones, constrained, reschedule, job) = more;
        ServiceSchedule {
            placement,
            mode: if job == 0 { Mode::Job } else { Mode::Service },
            max_replicas_per_node: most,
            spread_over: if zones { vec!["zone".to_owned()] } else { Vec::new() },
            constraints: if constrained && job == 1 {
                vec!["node.labels.zone == x".to_owned()]
            } else {
                Vec::new()
            },
            reschedule_after: reschedule.map(Span::secs),
            update: UpdateConfig {
                parallelism,
                delay: Span::secs(monitor / 2),
                order: if stop_first { UpdateOrder::StopFirst } else { UpdateOrder::StartFirst },
                monitor: Span::secs(monitor),
                max_failure_permille: 0,
                failure_action: [
                    FailureAction::Rollback,
                    FailureAction::Pause,
                    FailureAction::Continue,
                ][action],
            },
            ..service(replicas)
        }
    })
}

fn event() -> impl Strategy<Value = Event> {
    let condition = prop_oneof![
        3 => Just(NodeCondition::Ready),
        3 => Just(NodeCondition::Down),
        1 => Just(NodeCondition::Degraded),
        1 => Just(NodeCondition::IsolationUnavailable),
    ];
    let wanted = prop_oneof![
        3 => Just(Availability::Active),
        1 => Just(Availability::Cordoned),
        3 => Just(Availability::Draining),
        1 => Just(Availability::Leaving),
    ];
    let forced = prop::bool::weighted(0.3);
    prop_oneof![
        3 => (0u8..3, schedule()).prop_map(|(c, s)| Event::Apply(c, Box::new(s))),
        1 => (0u8..3, any::<bool>()).prop_map(|(c, there)| Event::Singleton(c, there)),
        1 => (0u8..3).prop_map(Event::Data),
        4 => (0usize..5, condition).prop_map(|(n, c)| Event::Condition(n, c)),
        3 => (0usize..5, wanted, forced).prop_map(|(n, a, f)| Event::Want(n, a, f)),
        1 => (0usize..5, any::<bool>()).prop_map(|(n, x)| Event::Label(n, x)),
        1 => (0usize..5).prop_map(Event::Remove),
        1 => (0usize..12).prop_map(Event::Fail),
        8 => Just(Event::Agents),
        6 => (1u64..9).prop_map(Event::Wait),
    ]
}

/// A cluster and what really runs on its machines.
struct Machines {
    world: World,
    services: BTreeMap<&'static str, (ServiceSchedule, u8)>,
    /// Containers by node; the state only knows what it is told.
    containers: BTreeMap<NodeId, BTreeSet<ReplicaId>>,
}

impl Machines {
    fn new() -> Self {
        let one = ServiceSchedule {
            singleton: true,
            update: UpdateConfig::default_for(true),
            ..service(1)
        };
        let services = BTreeMap::from([
            ("data", (stateful(1, "data"), 0)),
            ("one", (one, 0)),
            ("web", (service(3), 0)),
        ]);
        let world = World::new(&NODES);
        let mut machines = Self { world, services, containers: BTreeMap::new() };
        machines.apply();
        machines
    }

    fn apply(&mut self) {
        let contents: Vec<_> =
            self.services.iter().map(|(n, (_, content))| format!("{n}:{content}")).collect();
        let services: Vec<_> = self
            .services
            .iter()
            .zip(&contents)
            .map(|((n, (s, _)), content)| (*n, s.clone(), content.as_str()))
            .collect();
        self.world.deploy("shop", &services);
    }

    fn is_member(&self, n: usize) -> bool {
        self.world.state().node_named(&name(NODES[n])).is_some()
    }

    fn happen(&mut self, event: &Event) {
        self.world.say(&match event {
            Event::Apply(c, s) => {
                let (p, u) = (s.placement.as_ref().map(ToString::to_string), &s.update);
                format!(
                    "# Apply {c} x{} {p:?} {:?} {:?} {}",
                    s.replicas, s.mode, u.order, u.parallelism
                ) + &format!(" {} {:?} most {}", u.delay, u.failure_action, s.max_replicas_per_node)
            }
            other => format!("# {other:?}"),
        });
        match event {
            Event::Apply(content, schedule) => {
                self.services.insert("web", (ServiceSchedule::clone(schedule), *content));
                self.apply();
            }
            Event::Singleton(content, there) => {
                let one = self.services.get_mut("one").unwrap();
                (one.0.replicas, one.1) = (u32::from(*there), *content);
                self.apply();
            }
            Event::Data(content) => {
                self.services.get_mut("data").unwrap().1 = *content;
                self.apply();
            }
            Event::Condition(n, condition) if self.is_member(*n) => {
                self.world.node_condition(NODES[*n], *condition);
            }
            Event::Want(n, availability, forced) if self.is_member(*n) => {
                self.world.node_availability(NODES[*n], *availability, *forced);
            }
            Event::Label(n, x) if self.is_member(*n) => self.label(NODES[*n], *x),
            Event::Remove(n) if self.is_member(*n) => self.remove(NODES[*n]),
            Event::Fail(n) => self.fail(*n),
            Event::Agents => self.agents(),
            Event::Wait(seconds) => self.wait(Span::secs(*seconds)),
            _ => {}
        }
    }

    fn label(&mut self, node: &str, x: bool) {
        use crate::command::{Command, LabelNode};
        let zone = if x { "x" } else { "y" };
        let set = [("zone".to_owned(), zone.to_owned())].into();
        let node = self.world.node_id(node);
        self.world.command(Command::LabelNode(LabelNode { node, set, remove: BTreeSet::new() }));
    }

    /// Ends a membership as the leader does: when nothing is left.
    fn remove(&mut self, node: &str) {
        let id = self.world.node_id(node);
        let row = self.world.state().node(id).unwrap();
        let leaves = row.availability == Availability::Leaving;
        if leaves && drain::left(self.world.state(), id, self.world.now()).is_empty() {
            self.world.remove_node(node);
        }
    }

    fn fail(&mut self, n: usize) {
        let rows: Vec<_> = self.world.state().replicas().cloned().collect();
        let Some(row) = (!rows.is_empty()).then(|| &rows[n % rows.len()]) else { return };
        if row.intent == Intent::Run && self.is_there(row.node) {
            self.containers.entry(row.node).or_default().remove(&row.id);
            self.world.observe(&row.id.to_string(), seen(ReplicaState::Failed, "so it is"));
        }
    }

    fn is_there(&self, node: NodeId) -> bool {
        self.world.state().node(node).is_some_and(|n| n.condition.holds_replicas())
    }

    /// Every agent that is heard of acts. Whatever starts does so before anything stops, as if the
    /// slowest stopped last.
    fn agents(&mut self) {
        let rows: Vec<_> = self.world.state().replicas().cloned().collect();
        for row in rows.iter().filter(|r| r.intent == Intent::Run && !r.has_ended()) {
            if self.is_there(row.node) {
                self.containers.entry(row.node).or_default().insert(row.id.clone());
            }
        }
        self.one_singleton();
        self.world.agents(&[]);
        let state = self.world.state().clone();
        let there: Vec<_> = state.nodes().filter(|n| n.condition.holds_replicas()).collect();
        for node in there {
            let wanted = |id: &ReplicaId| {
                state.replica(id).is_some_and(|r| r.node == node.id && r.intent == Intent::Run)
            };
            self.containers.entry(node.id).or_default().retain(wanted);
        }
    }

    /// Time passes, also for nodes that are cut off: they stop their singletons.
    fn wait(&mut self, span: Span) {
        self.world.pass_time(span);
        let now = self.world.now();
        let state = self.world.state().clone();
        for node in state.nodes().filter(|n| n.condition == NodeCondition::Down) {
            if node.condition_since.after(FENCE_MARGIN) <= now {
                let one: ServiceName = name("one");
                self.containers.entry(node.id).or_default().retain(|id| id.service != one);
            }
        }
    }

    fn one_singleton(&self) {
        let one: ServiceName = name("one");
        let copies = self.containers.values().flatten().filter(|id| id.service == one).count();
        assert!(copies <= 1, "{:?}\n{}", self.containers, self.world.transcript());
    }

    /// Plans and carries out until nothing is left to plan, which takes one call unless something
    /// new came up by it.
    fn plan(&mut self) -> Result<(), TestCaseError> {
        for round in 0..6 {
            let state = self.world.state().clone();
            let unplaced = state.deployments().any(|d| !d.unplaced.is_empty());
            let plan = self.world.plan();
            let found = check::violations(&state, &plan);
            prop_assert!(found.is_empty(), "{:?}\n{}", found, self.world.transcript());
            // Panics with the transcript when the state machine refuses a batch.
            self.world.step();
            self.nobody_is_lost_for_nothing(&state)?;
            let again = self.world.plan();
            if again.batches.is_empty() {
                return Ok(());
            }
            prop_assert!(round < 5, "{:?}\n{}", again, self.world.transcript());
            let ends = plan
                .batches
                .iter()
                .flat_map(|b| &b.actions)
                .any(|a| matches!(a, Action::EndRollout(end) if *end != RolloutEnd::Completed));
            let now = self.world.state().deployments().any(|d| !d.unplaced.is_empty());
            let excused = ends || unplaced || now;
            prop_assert!(excused, "{:?}\n{}", again, self.world.transcript());
        }
        Ok(())
    }

    /// A lost replica goes only when as many are there as are wanted, or operators gave it up.
    fn nobody_is_lost_for_nothing(
        &self,
        before: &crate::state::State,
    ) -> Result<(), TestCaseError> {
        let state = self.world.state();
        let Some(planned) = self.world.planned("shop", "web") else { return Ok(()) };
        let (shop, web) = (name("shop"), name("web"));
        let present = state.replicas_of_service(&shop, &web);
        let present = present.filter(|r| r.intent == Intent::Run).count();
        if planned.schedule.is_global() || present >= planned.schedule.replicas as usize {
            return Ok(());
        }
        for old in before.replicas_of_service(&shop, &web).filter(|r| r.intent == Intent::Run) {
            let Some(node) = before.node(old.node) else { continue };
            let goes = state.replica(&old.id).is_none_or(|r| r.intent == Intent::Remove);
            let lost = !node.condition.holds_replicas() && !old.has_ended();
            let excused = node.gives_up_replicas()
                || node.is_being_emptied()
                || old.replaces.is_some()
                || planned.schedule.mode == Mode::Job
                || !matches!(planned.schedule.placement, None | Some(Placement::Spread))
                || !planned.schedule.constraints.is_empty();
            prop_assert!(!(goes && lost) || excused, "{}\n{}", old.id, self.world.transcript());
        }
        Ok(())
    }

    /// Everything works again, and what was given up gets another chance.
    fn heal(&mut self) {
        self.world.say("--- healed");
        for node in NODES {
            if self.world.state().node_named(&name(node)).is_some() {
                self.world.node_condition(node, NodeCondition::Ready);
                self.world.node_availability(node, Availability::Active, false);
            } else {
                self.world.add_node(node);
            }
            self.label(node, true);
        }
        for (_, content) in self.services.values_mut() {
            *content += 10;
        }
        self.apply();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn whatever_nodes_do_plans_are_sound_and_lead_back(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut machines = Machines::new();
        for event in &events {
            machines.happen(event);
            machines.plan()?;
        }
        machines.heal();
        for _ in 0..80 {
            machines.plan()?;
            machines.agents();
            machines.wait(Span::secs(1));
        }
        let (world, shop) = (&machines.world, name("shop"));
        let state = world.state();
        let deployment = state.deployment(&shop).unwrap();
        for (service, (schedule, _)) in &machines.services {
            let told = || format!("{service}\n{}", world.transcript());
            if deployment.unplaced.contains_key(&name::<ServiceName>(service)) {
                continue;
            }
            let rows: Vec<_> = state.replicas_of_service(&shop, &name(service)).cloned().collect();
            let ready = state.nodes().filter(|n| n.status == NodeStatus::Ready).count();
            let wanted = if schedule.is_global() { ready } else { schedule.replicas as usize };
            prop_assert_eq!(rows.len(), wanted, "{}", told());
            prop_assert!(rows.iter().all(|r| r.is_running() && state.is_current(r)), "{}", told());
        }
        if deployment.unplaced.is_empty() {
            let ended = deployment.rollout.as_ref().map_or(&RolloutPhase::Completed, |r| &r.phase);
            prop_assert_eq!(ended, &RolloutPhase::Completed, "{}", world.transcript());
        }
    }
}
