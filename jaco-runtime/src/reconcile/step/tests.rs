use std::sync::Arc;

use jaco_api::model::{Health, Mount, MountSource, PullPolicy, Span, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{
    container::{Labels, RuntimeError},
    reconcile::memory::{End, Now},
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
    memory.look(replica, current, now);
    next(wanted(Some(replica), true), current, &others, memory, now.at)
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
            wanted(replica.as_ref(), false),
            None,
            &others,
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
    serial: u64,
    at: Duration,
}

impl World {
    fn look(&mut self, replica: Option<&AssignedReplica>, memory: &mut Memory) -> Step {
        let generation = replica.map_or(0, |r| r.generation);
        let (current, others) = split(generation, NAME, &self.containers);
        if let Some(replica) = replica {
            let wall = Timestamp(u64::try_from(self.at.as_millis()).unwrap());
            memory.look(replica, current, Now { at: self.at, wall });
        }
        next(wanted(replica, true), current, &others, memory, self.at)
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
            Step::Stop(id) => {
                let c = find(&self.containers, &id);
                assert!(self.containers[c].status.is_alive());
                assert!(
                    replica.intent == Intent::Remove || self.image || self.containers.len() > 1,
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
    ) {
        let mut replica = web();
        if always {
            Arc::make_mut(replica.spec.as_mut().unwrap()).pull_policy = PullPolicy::Always;
        }
        // Otherwise what has ended before may be the end of it.
        replica.restart.max_attempts = if unlimited { 0 } else { 9 };
        if remove || !assigned {
            replica.intent = Intent::Remove;
        }
        let mut memory = Memory::seeded(&replica);
        let mut world = World { containers, image, serial: 0, at: Duration::ZERO };
        let mut steps = Vec::new();
        loop {
            let step = world.look(assigned.then_some(&replica), &mut memory);
            steps.push(step.clone());
            prop_assert!(steps.len() < 40, "no end: {steps:?}");
            if !world.take(step, &replica, &mut memory) {
                break;
            }
        }
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
        memory.look(replica, Some(&killed), Now { at: at(100), wall: Timestamp(100_000) });
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
