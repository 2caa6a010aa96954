use std::sync::Arc;

use jaco_api::model::{
    Beside, Health, Hook, Mount, MountSource, PullPolicy, ReplicaState, Span, Timestamp,
};
use proptest::prelude::*;

use super::*;
use crate::{
    container::{Labels, RuntimeError},
    reconcile::{
        hooks::{self, Failed, Failure, Point},
        memory::{End, Now},
        observe::observation,
    },
    spec,
    testing::sample,
};

const WEB: &str = "shop.web.1";
const NAME: &str = "jaco.shop.web.1";

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn container(id: &str, name: &str, generation: u64, status: ContainerStatus) -> Container {
    let mut labels = spec::replica_labels(sample::cluster(), WEB);
    labels.insert(label::GENERATION.to_owned(), generation.to_string());
    let ran = status != ContainerStatus::Created;
    Container {
        id: id.to_owned(),
        name: name.to_owned(),
        labels,
        status,
        health: Health::None,
        health_output: None,
        exit_code: (status == ContainerStatus::Exited).then_some(1),
        oom_killed: false,
        error: None,
        created_at: Some(Timestamp(1)),
        started_at: ran.then_some(Timestamp(1)),
        finished_at: None,
        addresses: Default::default(),
    }
}

/// The step for a replica of generation 2 and these containers, after one look at them.
fn step_of(replica: &AssignedReplica, memory: &mut Memory, containers: &[Container]) -> Step {
    let (current, others) = split(replica.generation, NAME, containers);
    let now = Now { at: at(100), wall: Timestamp(100_000) };
    memory.look(replica, current, Ground::Own, now);
    next(wanted(Some(replica), None, true), current, &others, Ground::Own, memory, now.at)
}

/// The same of a companion, whose lead has this container.
fn step_beside(
    replica: &AssignedReplica,
    memory: &mut Memory,
    containers: &[Container],
    lead: Option<&Container>,
) -> Step {
    let (current, others) = split(replica.generation, NAME, containers);
    let now = Now { at: at(100), wall: Timestamp(100_000) };
    let ground = Ground::of(Some(replica), lead);
    memory.look(replica, current, ground, now);
    next(wanted(Some(replica), None, true), current, &others, ground, memory, now.at)
}

fn web() -> AssignedReplica {
    sample::replica(WEB, 2)
}

fn with_image(replica: &AssignedReplica) -> Memory {
    let mut memory = Memory::seeded(replica);
    memory.images.entry(ImageRef::of(replica.spec.as_ref().unwrap())).or_default().found();
    memory
}

#[test]
fn one_step_per_situation() {
    use ContainerStatus::{Created, Exited, Running};
    let image = || ImageRef { name: "app:1".into(), platform: None };
    let old = || container("old", NAME, 1, Running);
    let old_stopped = || container("old", NAME, 1, Exited);
    let new = |status| container("new", NAME, 2, status);
    let waiting = AssignedReplica { waiting_on: vec!["db".into()], ..web() };
    let remove = AssignedReplica { intent: Intent::Remove, spec: None, ..web() };
    let blank = || Memory::seeded(&web());
    let ready = || with_image(&web());
    let mut failed = ready();
    failed.end = Some(End::Completed);
    let id = |id: &str| id.to_owned();
    let cases: [(&str, AssignedReplica, Memory, Vec<Container>, Step); 15] = [
        ("nothing known", web(), blank(), vec![], Step::LookForImage(image())),
        ("image there", web(), ready(), vec![], Step::Create),
        ("old runs, image unknown", web(), blank(), vec![old()], Step::LookForImage(image())),
        ("old runs, image there", web(), ready(), vec![old()], Step::Stop(id("old"))),
        ("old stopped", web(), ready(), vec![old_stopped()], Step::Remove(id("old"))),
        ("half made", web(), ready(), vec![new(Created)], Step::Remove(id("new"))),
        ("runs", web(), blank(), vec![new(Running)], Step::Hold(None)),
        ("two", web(), blank(), vec![old_stopped(), new(Running)], Step::Remove(id("old"))),
        ("ended, pauses", web(), blank(), vec![new(Exited)], Step::Hold(Some(at(101)))),
        ("waits", waiting.clone(), ready(), vec![], Step::Hold(None)),
        ("waits, old runs", waiting.clone(), ready(), vec![old()], Step::Hold(None)),
        ("waits, runs", waiting, ready(), vec![new(Running)], Step::Hold(None)),
        ("over", web(), failed, vec![], Step::Hold(None)),
        ("to go, runs", remove.clone(), blank(), vec![new(Running)], Step::Stop(id("new"))),
        ("to go, gone", remove, blank(), vec![], Step::Hold(None)),
    ];
    for (what, replica, mut memory, containers, expected) in cases {
        assert_eq!(step_of(&replica, &mut memory, &containers), expected, "{what}");
    }
}

#[test]
fn the_first_pause_before_a_restart_is_the_one_of_the_policy() {
    let mut replica = web();
    replica.restart.delay = Span::secs(7);
    let ended = [container("new", NAME, 2, ContainerStatus::Exited)];
    let step = step_of(&replica, &mut Memory::seeded(&replica), &ended);
    assert_eq!(step, Step::Hold(Some(at(107))));
}

#[test]
fn images_that_are_mounted_come_before_anything_is_stopped() {
    let mut replica = web();
    let docs = ImageRef { name: "docs:1".into(), platform: None };
    let source = MountSource::Image { name: docs.name.clone(), subpath: None };
    let mount = Mount { source, target: "/docs".into(), read_only: true };
    Arc::make_mut(replica.spec.as_mut().unwrap()).mounts.push(mount);
    let old = [container("old", NAME, 1, ContainerStatus::Running)];
    let mut memory = with_image(&replica);
    assert_eq!(step_of(&replica, &mut memory, &old), Step::LookForImage(docs.clone()));
    memory.images.entry(docs.clone()).or_default().missing("docs:1", PullPolicy::Missing, at(1));
    assert_eq!(step_of(&replica, &mut memory, &old), Step::Fetch(docs.clone()));
    // The same before the old one is told to go.
    let next = AssignedReplica { prepare: replica.spec.clone(), ..web() };
    let new = [container("new", NAME, 2, ContainerStatus::Running)];
    assert_eq!(step_of(&next, &mut memory, &new), Step::Fetch(docs.clone()));
    memory.images.entry(docs).or_default().found();
    assert_eq!(step_of(&next, &mut memory, &new), Step::Hold(None));
    assert_eq!(step_of(&replica, &mut memory, &old), Step::Stop("old".into()));
}

#[test]
fn nothing_is_done_before_the_assignment_has_caught_up() {
    let running = [container("old", NAME, 1, ContainerStatus::Running)];
    let others: Vec<_> = running.iter().collect();
    for replica in [None, Some(web())] {
        let step = next(
            wanted(replica.as_ref(), None, false),
            None,
            &others,
            Ground::Own,
            &with_image(&web()),
            Duration::ZERO,
        );
        assert_eq!(step, Step::Hold(None));
    }
}

#[test]
fn the_next_image_is_fetched_only_while_nothing_else_is_to_be_done() {
    let mut replica = web();
    replica.prepare = Some(Arc::new(sample::spec("app:2")));
    let next_image = ImageRef { name: "app:2".into(), platform: None };
    let running = container("new", NAME, 2, ContainerStatus::Running);
    let mut memory = Memory::seeded(&replica);
    let step = step_of(&replica, &mut memory, std::slice::from_ref(&running));
    assert_eq!(step, Step::LookForImage(next_image.clone()));
    let error = RuntimeError::ImageNotFound { image: "app:2".into(), message: "no".into() };
    memory.images.entry(next_image).or_default().failed(&error, at(100));
    assert_eq!(step_of(&replica, &mut memory, &[running]), Step::Hold(None), "it is given up");
    let ended = container("new", NAME, 2, ContainerStatus::Removing);
    let step = step_of(&replica, &mut Memory::seeded(&replica), &[ended]);
    assert!(matches!(step, Step::LookForImage(image) if image.name == "app:1"));
}

/// An engine of one replica, as small as can be: what a step does to it.
struct World {
    containers: Vec<Container>,
    image: bool,
    /// Whether the next hooks of a start fail, and whether some have.
    hooks_fail: bool,
    hooks_failed: bool,
    /// Containers that were stopped although their document has hooks for that.
    farewells: u32,
    serial: u64,
    at: Duration,
}

impl World {
    fn look(&mut self, replica: Option<&AssignedReplica>, memory: &mut Memory) -> Step {
        let generation = replica.map_or(0, |r| r.generation);
        let (current, others) = split(generation, NAME, &self.containers);
        if let Some(replica) = replica {
            let wall = Timestamp(u64::try_from(self.at.as_millis()).unwrap());
            memory.look(replica, current, Ground::Own, Now { at: self.at, wall });
        }
        next(wanted(replica, None, true), current, &others, Ground::Own, memory, self.at)
    }

    /// Takes a step; false when there is none left to take.
    fn take(&mut self, step: Step, replica: &AssignedReplica, memory: &mut Memory) -> bool {
        self.serial += 1;
        self.at += Duration::from_millis(1);
        let policy = replica.spec.as_ref().map(|s| s.pull_policy).unwrap_or_default();
        let find = |all: &[Container], id: &str| all.iter().position(|c| c.id == id).unwrap();
        match step {
            Step::Hold(None) => return false,
            Step::Hold(Some(until)) => self.at = self.at.max(until),
            Step::LookForImage(image) => {
                let known = memory.images.entry(image.clone()).or_default();
                if self.image { known.found() } else { known.missing(&image.name, policy, self.at) }
            }
            Step::Fetch(image) => {
                self.image = true;
                memory.images.entry(image).or_default().found();
            }
            Step::Create => {
                assert!(self.image, "a container is made of an image");
                assert!(self.containers.iter().all(|c| c.name != NAME), "the name is in use");
                let id = format!("made{}", self.serial);
                memory.made.insert(id.clone());
                let made = container(&id, NAME, replica.generation, ContainerStatus::Created);
                self.containers.push(made);
            }
            Step::Start(id) => {
                let c = find(&self.containers, &id);
                self.containers[c].status = ContainerStatus::Running;
                self.containers[c].started_at = Some(Timestamp(self.serial + 1000));
            }
            Step::PostStart(id) => {
                let run = hooks::run_of(&self.containers[find(&self.containers, &id)]);
                memory.hooks.begun(Point::PostStart, &run, self.at);
                let failed = Failed { number: 1, how: Failure::Code(3), output: String::new() };
                let fails = std::mem::take(&mut self.hooks_fail);
                self.hooks_failed |= fails;
                let result = if fails { Err(failed) } else { Ok(()) };
                memory.hooks.ended(Point::PostStart, result, self.at);
            }
            Step::PreStop(id) => {
                let run = hooks::run_of(&self.containers[find(&self.containers, &id)]);
                memory.hooks.begun(Point::PreStop, &run, self.at);
            }
            Step::AwaitPreStop(_) => memory.hooks.ended(Point::PreStop, Ok(()), self.at),
            Step::Stop(id) | Step::StopWithin(id, _) => {
                let c = find(&self.containers, &id);
                if hooks::farewell(replica, &self.containers[c]).is_some() {
                    self.farewells += 1;
                }
                assert!(self.containers[c].status.is_alive());
                assert!(
                    replica.intent == Intent::Remove
                        || self.image
                        || self.containers.len() > 1
                        || self.hooks_failed,
                    "what serves is stopped only when the next image is there"
                );
                self.containers[c].status = ContainerStatus::Exited;
            }
            Step::Remove(id) => {
                let c = find(&self.containers, &id);
                assert!(!self.containers[c].status.is_alive(), "it is stopped first");
                self.containers.remove(c);
            }
        }
        true
    }
}

fn containers() -> impl Strategy<Value = Vec<Container>> {
    use ContainerStatus::{Created, Dead, Exited, Paused, Running};
    let status = prop::sample::select(vec![Created, Running, Paused, Exited, Dead]);
    prop::collection::vec((1_u64..4, status, any::<bool>()), 0..4).prop_map(|all| {
        let named = all.iter().position(|(.., named)| *named);
        let one = |(i, (generation, status, _)): (usize, &(u64, ContainerStatus, bool))| {
            let name = if named == Some(i) { NAME.to_owned() } else { format!("other{i}") };
            container(&format!("c{i}"), &name, *generation, *status)
        };
        all.iter().enumerate().map(one).collect()
    })
}

proptest! {
    /// From anywhere, steps lead to exactly what is wanted, in a bounded number, and end there.
    #[test]
    fn steps_converge_and_then_rest(
        containers in containers(),
        image in any::<bool>(),
        remove in any::<bool>(),
        assigned in any::<bool>(),
        always in any::<bool>(),
        unlimited in any::<bool>(),
        hooks in any::<(bool, bool, bool)>(),
    ) {
        let mut replica = web();
        let spec = Arc::make_mut(replica.spec.as_mut().unwrap());
        let hook = Hook { command: vec!["true".to_owned()], ..Hook::default() };
        spec.post_start.extend(hooks.0.then(|| hook.clone()));
        spec.pre_stop.extend(hooks.1.then_some(hook));
        if always {
            Arc::make_mut(replica.spec.as_mut().unwrap()).pull_policy = PullPolicy::Always;
        }
        // Otherwise what has ended before may be the end of it.
        replica.restart.max_attempts = if unlimited { 0 } else { 9 };
        if remove || !assigned {
            replica.intent = Intent::Remove;
        }
        let mut memory = Memory::seeded(&replica);
        let (hooks_fail, farewells, serial, at) = (hooks.2, 0, 0, Duration::ZERO);
        let mut world = World {
            containers,
            image,
            hooks_fail,
            hooks_failed: false,
            farewells,
            serial,
            at,
        };
        let mut steps = Vec::new();
        loop {
            let step = world.look(assigned.then_some(&replica), &mut memory);
            steps.push(step.clone());
            prop_assert!(steps.len() < 40, "no end: {steps:?}");
            if !world.take(step, &replica, &mut memory) {
                break;
            }
        }
        let waited = steps.iter().filter(|s| matches!(s, Step::AwaitPreStop(_))).count();
        // Of what was never assigned here nobody knows the hooks.
        let known = if assigned { world.farewells } else { 0 };
        prop_assert_eq!(known as usize, waited, "{:?}", steps);
        let alive: Vec<_> = world.containers.iter().collect();
        if replica.intent == Intent::Remove {
            prop_assert!(alive.is_empty(), "{alive:?}");
        } else {
            prop_assert_eq!(alive.len(), 1);
            prop_assert!(alive[0].status.is_alive());
            prop_assert_eq!(&alive[0].labels[label::GENERATION], "2");
        }
        prop_assert_eq!(world.look(assigned.then_some(&replica), &mut memory), Step::Hold(None));
    }
}

/// A service with one hook of each kind, the container of which runs since second 100.
fn hooked() -> (AssignedReplica, Container, Memory) {
    let mut replica = web();
    let hook = Hook { command: vec!["true".to_owned()], ..Hook::default() };
    let spec = Arc::make_mut(replica.spec.as_mut().unwrap());
    spec.post_start.push(hook.clone());
    spec.pre_stop.push(hook);
    let running = container("new", NAME, 2, ContainerStatus::Running);
    let memory = Memory::seeded(&replica);
    (replica, running, memory)
}

#[test]
fn hooks_of_a_start_are_due_once_for_each_run_of_a_container() {
    let (replica, mut c, mut memory) = hooked();
    let step =
        |memory: &mut Memory, c: &Container| step_of(&replica, memory, std::slice::from_ref(c));
    assert_eq!(step(&mut memory, &c), Step::PostStart("new".into()));
    memory.hooks.begun(Point::PostStart, &hooks::run_of(&c), at(100));
    assert_eq!(step(&mut memory, &c), Step::Hold(None));
    memory.hooks.ended(Point::PostStart, Ok(()), at(100));
    assert_eq!(step(&mut memory, &c), Step::Hold(None));
    c.started_at = Some(Timestamp(2));
    assert_eq!(step(&mut memory, &c), Step::PostStart("new".into()), "another start");
    memory.hooks.recall(&hooks::run_of(&c));
    assert_eq!(step(&mut memory, &c), Step::Hold(None), "an earlier daemon has seen their end");
    // What state holds as running has had them.
    let (mut replica, c, _) = hooked();
    replica.observed.state = ReplicaState::Running;
    (replica.observed.container, replica.observed.started_at) = (Some(c.id.clone()), c.started_at);
    let mut memory = Memory::seeded(&replica);
    assert_eq!(step_of(&replica, &mut memory, &[c]), Step::Hold(None));
}

#[test]
fn a_frozen_container_has_no_hooks_run_in_it() {
    let (mut replica, mut c, mut memory) = hooked();
    c.status = ContainerStatus::Paused;
    assert_eq!(step_of(&replica, &mut memory, std::slice::from_ref(&c)), Step::Hold(None));
    replica.intent = Intent::Remove;
    assert_eq!(step_of(&replica, &mut memory, &[c]), Step::Stop("new".into()));
}

#[test]
fn a_frozen_container_is_of_no_use_and_has_not_failed() {
    let (replica, mut c) = (web(), container("new", NAME, 2, ContainerStatus::Running));
    let mut memory = Memory::seeded(&replica);
    let mut state_of = |c: &Container| {
        assert_eq!(step_of(&replica, &mut memory, std::slice::from_ref(c)), Step::Hold(None));
        observation(&replica, Some(c), &[], Ground::Own, &memory, at(100)).unwrap()
    };
    assert_eq!(state_of(&c).state, ReplicaState::Running);
    c.status = ContainerStatus::Paused;
    let frozen = state_of(&c);
    assert_eq!((frozen.state, frozen.restarts), (ReplicaState::Degraded, 0));
    assert_eq!(frozen.reason.unwrap().message, "its container is paused in the engine");
    c.status = ContainerStatus::Running;
    assert_eq!(state_of(&c).state, ReplicaState::Running);
}

#[test]
fn a_failure_of_a_hook_counts_a_moment_later_and_once() {
    let (replica, c, mut memory) = hooked();
    let failed = Failed { number: 1, how: Failure::Code(3), output: "no".to_owned() };
    memory.hooks.begun(Point::PostStart, &hooks::run_of(&c), at(100));
    memory.hooks.ended(Point::PostStart, Err(failed), at(100));
    let doubt = Step::Hold(Some(Duration::from_millis(100_500)));
    assert_eq!(step_of(&replica, &mut memory, std::slice::from_ref(&c)), doubt);
    let later = Now { at: at(101), wall: Timestamp(101_000) };
    for _ in 0..3 {
        memory.look(&replica, Some(&c), Ground::Own, later);
    }
    let step =
        next(wanted(Some(&replica), None, true), Some(&c), &[], Ground::Own, &memory, later.at);
    assert_eq!(step, Step::PreStop("new".into()));
    assert_eq!(memory.retry_at, Some(at(102)), "counted once");
    let message = memory.failure.unwrap().message;
    assert_eq!(message, "post_start hook 1 ended with code 3: no");
}

#[test]
fn documents_of_earlier_revisions_say_what_their_containers_want_before_a_stop() {
    let (mut replica, _, _) = hooked();
    let mut old = container("old", NAME, 1, ContainerStatus::Running);
    old.labels.insert(label::REVISION.to_owned(), "7".to_owned());
    replica.revision = 8;
    assert!(hooks::farewell(&replica, &old).is_none(), "nobody knows it");
    replica.retired.insert(7, replica.spec.clone().unwrap());
    assert!(hooks::farewell(&replica, &old).is_some());
    // Restarted under the same revision.
    (replica.revision, replica.retired) = (7, Default::default());
    assert!(hooks::farewell(&replica, &old).is_some());
}

#[test]
fn labels_decide_which_generation_a_container_is_of() {
    let mut unlabelled = container("x", NAME, 2, ContainerStatus::Running);
    unlabelled.labels = Labels::new();
    let all = [unlabelled, container("y", "b", 2, ContainerStatus::Exited)];
    let (current, others) = split(2, NAME, &all);
    assert_eq!(current.map(|c| c.id.as_str()), Some("y"));
    assert_eq!(others.len(), 1);
}

#[test]
fn a_kill_that_the_engine_does_not_explain_points_at_the_memory_limit() {
    let mut replica = web();
    replica.restart.condition = jaco_api::model::RestartCondition::None;
    let mut killed = container("a", NAME, 2, ContainerStatus::Exited);
    killed.exit_code = Some(137);
    let message = |replica: &AssignedReplica| {
        let mut memory = Memory::seeded(replica);
        memory.look(
            replica,
            Some(&killed),
            Ground::Own,
            Now { at: at(100), wall: Timestamp(100_000) },
        );
        match memory.end {
            Some(End::Failed(reason)) => reason.message,
            end => panic!("{end:?}"),
        }
    };
    assert_eq!(message(&replica), "exited with code 137");
    Arc::make_mut(replica.spec.as_mut().unwrap()).resources.memory_bytes = 8 << 20;
    let likely = "killed (code 137), likely at its memory limit of 8388608 bytes";
    assert_eq!(message(&replica), likely);
}

/// What must not run twice is not made again because somebody has removed it.
#[test]
fn a_container_that_was_removed_is_made_again_unless_it_is_to_run_once() {
    use jaco_api::model::RestartCondition;
    let running = container("new", NAME, 2, ContainerStatus::Running);
    for (condition, made) in [(RestartCondition::OnFailure, true), (RestartCondition::None, false)]
    {
        let mut replica = web();
        replica.restart.condition = condition;
        let mut memory = with_image(&replica);
        assert_eq!(step_of(&replica, &mut memory, &[]), Step::Create, "{condition:?}");
        step_of(&replica, &mut memory, std::slice::from_ref(&running));
        let step = step_of(&replica, &mut memory, &[]);
        assert_eq!(step == Step::Create, made, "{condition:?}: {step:?}");
        assert_eq!(matches!(memory.end, Some(End::Failed(_))), !made, "{condition:?}");
        // The same from what state holds, after the agent was restarted.
        replica.observed.container = Some("new".to_owned());
        let step = step_of(&replica, &mut with_image(&replica), &[]);
        assert_eq!(step == Step::Create, made, "{condition:?} from state: {step:?}");
    }
}

/// The container of its lead, started then, in this state.
fn lead(id: &str, started: u64, status: ContainerStatus) -> Container {
    let started_at = Some(Timestamp(started));
    Container { started_at, ..container(id, "jaco.shop.vpn.1", 3, status) }
}

fn companion() -> AssignedReplica {
    let replica = "shop.vpn.1".parse().unwrap();
    AssignedReplica { beside: Some(Beside { replica, generation: 3 }), ..web() }
}

/// A container that was made beside another one and started then.
fn made_beside(lead: &str, started: u64, status: ContainerStatus) -> Container {
    let mut c = container("own", NAME, 2, status);
    c.labels.insert(label::LEAD.to_owned(), lead.to_owned());
    c.started_at = Some(Timestamp(started));
    c
}

#[test]
fn a_companion_is_made_when_the_container_of_its_lead_runs() {
    use ContainerStatus::{Exited, Running};
    let mut memory = with_image(&web());
    for absent in [None, Some(lead("a", 5, Exited))] {
        assert_eq!(step_beside(&companion(), &mut memory, &[], absent.as_ref()), Step::Hold(None));
    }
    let present = lead("a", 5, Running);
    assert_eq!(step_beside(&companion(), &mut memory, &[], Some(&present)), Step::Create);
}

#[test]
fn a_companion_is_started_again_with_its_lead_and_made_anew_beside_another_container() {
    use ContainerStatus::{Exited, Running};
    let stop = || Step::Stop("own".to_owned());
    let cases = [
        // What it shares is there.
        (made_beside("a", 6, Running), Some(lead("a", 5, Running)), None),
        // Its lead was started again after it.
        (made_beside("a", 6, Running), Some(lead("a", 7, Running)), Some(stop())),
        // Its lead has another container.
        (made_beside("a", 6, Running), Some(lead("b", 7, Running)), Some(stop())),
        (
            made_beside("a", 6, Exited),
            Some(lead("b", 7, Running)),
            Some(Step::Remove("own".into())),
        ),
        (made_beside("a", 6, Exited), Some(lead("a", 7, Running)), Some(Step::Start("own".into()))),
        // Nothing to share: it waits.
        (made_beside("a", 6, Running), Some(lead("a", 5, Exited)), Some(Step::Hold(None))),
        (made_beside("a", 6, Exited), None, Some(Step::Hold(None))),
    ];
    for (own, lead, wanted) in cases {
        let mut memory = with_image(&web());
        let step =
            step_beside(&companion(), &mut memory, std::slice::from_ref(&own), lead.as_ref());
        match wanted {
            Some(wanted) => assert_eq!(step, wanted, "{own:?} {lead:?}"),
            None => assert!(matches!(step, Step::Hold(_)), "{step:?}"),
        }
        assert_eq!(memory.retry_at.unwrap_or(at(100)), at(100), "no failure of its own: no pause");
    }
}

#[test]
fn what_is_left_of_an_earlier_pair_goes_before_the_new_lead_is_there() {
    let old = Container { id: "old".into(), ..container("old", NAME, 1, ContainerStatus::Running) };
    let waits = AssignedReplica { waiting_on: vec!["shop.vpn.1 to start".into()], ..companion() };
    let mut memory = with_image(&web());
    assert_eq!(
        step_beside(&waits, &mut memory, std::slice::from_ref(&old), None),
        Step::Stop("old".into())
    );
    // Its image comes first all the same.
    let mut memory = Memory::seeded(&waits);
    let step = step_beside(&waits, &mut memory, &[old], None);
    assert!(matches!(step, Step::LookForImage(_)), "{step:?}");
}
