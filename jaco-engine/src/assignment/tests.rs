use std::{collections::BTreeMap, sync::Arc};

use jaco_api::model::{
    Assignment, Attachment, ContainerSpec, DependencyCondition, Digest, FileContent, FileMount,
    FileSource, Hook, Intent, Mode, NamedFile, NetworkName, NodeId, ReplicaState, ServiceSchedule,
    Span,
};

use super::{Documents, files, project};
use crate::testing::builders::{Scenario, sealed};
use crate::testing::world::{World, name, service, stateful};

/// Documents by the digest of the text that stands for their content.
#[derive(Default)]
struct Opened(BTreeMap<Digest, Arc<ContainerSpec>>);

impl Opened {
    fn of(contents: &[&str]) -> Self {
        let document = |content: &&str| {
            let network = NetworkName::default_network();
            let attachment = Attachment::to(network);
            let image = (*content).to_owned();
            let spec = ContainerSpec { image, networks: vec![attachment], ..Default::default() };
            (Digest::of(content.as_bytes()), Arc::new(spec))
        };
        Self(contents.iter().map(document).collect())
    }
}

impl Documents for Opened {
    fn container(&self, digest: &Digest) -> Option<Arc<ContainerSpec>> {
        self.0.get(digest).cloned()
    }
    fn file(&self, file: &NamedFile) -> Option<FileContent> {
        Some(FileContent(file.content.bytes.to_vec().into()))
    }
}

fn assignment(world: &World, contents: &[&str]) -> Assignment {
    project(world.state(), NodeId(1), &Opened::of(contents), true).unwrap()
}

fn depending(on: &str, condition: DependencyCondition) -> ServiceSchedule {
    ServiceSchedule { depends_on: BTreeMap::from([(name(on), condition)]), ..service(1) }
}

#[test]
fn files_come_from_the_document_and_from_the_cluster() {
    let file = |target: &str, source| FileMount {
        target: target.to_owned(),
        source,
        uid: 1,
        gid: 2,
        mode: 0o400,
    };
    let named = FileSource::Named(name("secret/db"));
    let own = FileSource::Content("own".into());
    let spec = ContainerSpec {
        files: vec![file("/own", own), file("/run/secrets/db", named)],
        ..Default::default()
    };
    let mut state = Scenario::new();
    let (given, missing) = files(&state.state, Some(&spec), &Opened::default());
    assert_eq!(given.iter().map(|f| f.target.as_str()).collect::<Vec<_>>(), ["/own"]);
    assert_eq!(missing, ["secret db, which the cluster does not have"]);

    state.run(crate::command::Command::SetFile(crate::command::SetFile {
        id: name("secret/db"),
        content: sealed(b"x"),
        size: 1,
        deployments: Vec::new(),
    }));
    let (given, missing) = files(&state.state, Some(&spec), &Opened::default());
    assert_eq!((given.len(), given[1].uid, given[1].gid, given[1].mode), (2, 1, 2, 0o400));
    assert_eq!(missing, [""; 0]);
}

#[test]
fn there_is_no_assignment_without_a_cluster_or_for_a_stranger() {
    let none = Opened::default();
    assert_eq!(project(&Default::default(), NodeId(1), &none, true), None);
    assert_eq!(project(World::new(&["a"]).state(), NodeId(9), &none, true), None);
}

#[test]
fn replicas_networks_and_documents_of_this_node_only() {
    let mut world = World::new(&["a", "b"]);
    world.deploy("shop", &[("web", service(2), "web:1")]);
    world.step();
    let found = assignment(&world, &["web:1"]);
    assert_eq!(found.replicas.len(), 1);
    let replica = found.replicas.values().next().unwrap();
    assert_eq!((replica.intent, replica.generation), (Intent::Run, 1));
    assert_eq!(replica.spec.as_ref().unwrap().image, "web:1");
    assert_eq!(found.networks.keys().collect::<Vec<_>>(), ["jaco_shop_default"]);
    assert!(found.caught_up && found.index == world.state().index());
}

#[test]
fn a_dependency_is_waited_for_across_the_cluster_until_the_first_start() {
    use DependencyCondition::{Completed, Healthy, Started};
    let mut world = World::new(&["a", "b"]);
    world.deploy(
        "shop",
        &[
            ("api", depending("db", Healthy), "api:1"),
            ("db", stateful(1, "data"), "db:1"),
            ("migrate", ServiceSchedule { mode: Mode::Job, ..depending("db", Started) }, "m:1"),
            ("web", depending("migrate", Completed), "web:1"),
        ],
    );
    world.step();
    let waits = |world: &World| {
        let all = ["api:1", "db:1", "m:1", "web:1"];
        let mut waits = Vec::new();
        for node in [1, 2] {
            let found = project(world.state(), NodeId(node), &Opened::of(&all), true).unwrap();
            waits.extend(
                found
                    .replicas
                    .into_iter()
                    .map(|(id, r)| format!("{}: {}", id.service, r.waiting_on.join(", "))),
            );
        }
        waits.sort();
        waits
    };
    assert_eq!(
        waits(&world),
        ["api: db to be healthy", "db: ", "migrate: db to start", "web: migrate to complete"]
    );
    world.enter("shop.db.1", ReplicaState::Starting, "");
    assert_eq!(
        waits(&world),
        ["api: db to be healthy", "db: ", "migrate: ", "web: migrate to complete"]
    );
    world.enter("shop.db.1", ReplicaState::Running, "");
    world.enter("shop.migrate.1", ReplicaState::Completed, "");
    assert_eq!(waits(&world), ["api: ", "db: ", "migrate: ", "web: "]);
    world.enter("shop.api.1", ReplicaState::Starting, "");
    world.enter("shop.db.1", ReplicaState::Degraded, "exited");
    assert_eq!(waits(&world)[0], "api: ", "what has been started is not held back again");
}

#[test]
fn a_dependency_scaled_to_nothing_is_not_waited_for() {
    let mut world = World::new(&["a"]);
    let api = depending("db", DependencyCondition::Healthy);
    world.deploy("shop", &[("api", api, "api:1"), ("db", service(0), "db:1")]);
    world.step();
    let found = assignment(&world, &["api:1"]);
    assert!(found.replicas.values().all(|r| r.waiting_on.is_empty()));
}

#[test]
fn the_next_generations_image_is_fetched_while_the_present_one_runs() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("db", stateful(1, "data"), "db:1")]);
    world.settle(&[]);
    world.deploy("shop", &[("db", stateful(1, "data"), "db:2")]);
    world.step();
    let found = assignment(&world, &["db:1", "db:2"]);
    let replica = found.replicas.values().next().unwrap();
    assert_eq!(replica.spec.as_ref().unwrap().image, "db:1");
    assert_eq!(replica.prepare.as_ref().unwrap().image, "db:2");
    assert_eq!(replica.prepared, None);
    world.prepared("shop.db.1", Ok(()));
    let found = assignment(&world, &["db:1", "db:2"]);
    assert_eq!(found.replicas.values().next().unwrap().prepared, Some(Ok(())));
}

#[test]
fn documents_of_earlier_revisions_stay_known_until_the_new_container_has_been_started() {
    let projected = |world: &World| {
        let hook = Hook { command: vec!["drain".to_owned()], ..Hook::default() };
        let mut documents = Opened::of(&["db:1", "db:2"]);
        for spec in documents.0.values_mut() {
            let hooked = spec.image == "db:1";
            Arc::make_mut(spec).pre_stop.extend(hooked.then(|| hook.clone()));
        }
        let found = project(world.state(), NodeId(1), &documents, true).unwrap();
        found.replicas.into_values().next().unwrap()
    };
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("db", stateful(1, "data"), "db:1")]);
    world.settle(&[]);
    assert_eq!(projected(&world).retired, BTreeMap::new());
    assert_eq!(projected(&world).start_limit, Span::secs(60));
    let before = projected(&world).generation;
    world.deploy("shop", &[("db", stateful(1, "data"), "db:2")]);
    world.step();
    world.prepared("shop.db.1", Ok(()));
    world.step();
    let replica = projected(&world);
    assert_eq!(replica.generation, before + 1);
    assert_eq!(replica.retired.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(replica.retired[&1].image, "db:1");
    world.settle(&[]);
    assert_eq!(projected(&world).retired, BTreeMap::new());
}

#[test]
fn a_document_that_cannot_be_opened_keeps_the_replica_and_starts_nothing() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("web", service(1), "web:1")]);
    world.settle(&[]);
    let found = assignment(&world, &[]);
    let replica = found.replicas.values().next().unwrap();
    assert_eq!((replica.intent, &replica.spec), (Intent::Run, &None));
    assert_eq!(replica.waiting_on.len(), 1);
}

#[test]
fn what_is_going_keeps_its_network_and_its_volume_until_it_is_gone() {
    use crate::command::{Command, DeleteDeployment};
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("db", stateful(1, "shop_data"), "db:1")]);
    world.settle(&[]);
    let delete = DeleteDeployment { deployment: name("shop"), volumes: true };
    world.command(Command::DeleteDeployment(delete));
    world.step();
    let found = assignment(&world, &["db:1"]);
    assert!(found.replicas.values().all(|r| r.intent == Intent::Remove));
    assert_eq!((found.networks.len(), found.remove_volumes.len()), (1, 0));
    world.agents(&[]);
    let found = assignment(&world, &["db:1"]);
    assert_eq!((found.replicas.len(), found.networks.len()), (0, 0));
    assert!(found.remove_volumes.contains("shop_data"), "{:?}", found.remove_volumes);
}
