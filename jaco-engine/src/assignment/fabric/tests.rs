use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jaco_api::model::{
    Attachment, ContainerSpec, Digest, Fabric, FileContent, MeshFacts, MeshKey, MeshKind,
    NamedFile, NetworkName, NodeCondition, NodeId, Observation, ReplicaState,
};

use super::fabric;
use crate::{
    assignment::Documents,
    testing::world::{World, name, seen, service},
};

/// One container document for every digest.
struct Same(Arc<ContainerSpec>);

impl Documents for Same {
    fn container(&self, _: &Digest) -> Option<Arc<ContainerSpec>> {
        Some(Arc::clone(&self.0))
    }
    fn file(&self, _: &NamedFile) -> Option<FileContent> {
        None
    }
}

fn documents() -> Same {
    let mut attachment = Attachment::to(NetworkName::default_network());
    attachment.aliases = vec!["www".to_owned()];
    Same(Arc::new(ContainerSpec {
        networks: vec![attachment],
        hostname: Some("front".to_owned()),
        expose: vec!["80".to_owned(), "8000-8001/udp".to_owned()],
        ..Default::default()
    }))
}

/// `shop/web` on both of two nodes, and `blog/web` on the second alone.
fn world() -> World {
    let mut world = World::new(&["a", "b"]);
    let networked = |replicas| {
        let mut schedule = service(replicas);
        schedule.networks = [NetworkName::default_network()].into();
        schedule
    };
    world.deploy("shop", &[("web", networked(2), "web:1")]);
    while world.step() {}
    world.node_condition("a", NodeCondition::Down);
    world.deploy("blog", &[("web", networked(1), "web:1")]);
    while world.step() {}
    world.node_condition("a", NodeCondition::Ready);
    world
}

fn runs_at(world: &mut World, replica: &str, address: &str) {
    let addresses = BTreeMap::from([(NetworkName::default_network(), address.parse().unwrap())]);
    let running = seen(ReplicaState::Running, "");
    world.observe(replica, Observation { addresses, reason: None, ..running });
}

fn of(world: &World, node: u64) -> Fabric {
    fabric(world.state(), NodeId(node), &documents()).unwrap()
}

#[test]
fn a_stranger_has_no_network() {
    assert_eq!(fabric(world().state(), NodeId(9), &documents()), None);
}

#[test]
fn a_network_is_known_on_all_its_nodes_and_described_where_it_is() {
    let world = world();
    let (a, b) = (of(&world, 1), of(&world, 2));
    let ids = |fabric: &Fabric| -> Vec<String> {
        fabric.networks.keys().map(ToString::to_string).collect()
    };
    assert_eq!(ids(&a), ["blog/default", "shop/default"]);
    assert_eq!(ids(&a), ids(&b), "what must be kept apart is known everywhere");
    let shop = |fabric: &Fabric| fabric.networks.values().last().cloned().unwrap();
    assert_eq!(shop(&a).blocks.len(), 2);
    let (here, there) = (shop(&a).local.unwrap(), shop(&b).local.unwrap());
    assert_ne!(here.prefix, there.prefix);
    assert_eq!(here.bridge, there.bridge);
    assert_eq!(a.members.values().next().unwrap().blocks.len(), 2, "b has one of each");
    let blog = a.networks.values().next().unwrap();
    assert_eq!(blog.local, None);
    let names: Vec<&str> = blog.services.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["web"], "its names are known, so that they are not asked for elsewhere");
    assert!(blog.services.values().all(|service| service.replicas.is_empty()));
}

#[test]
fn only_replicas_that_run_are_answered_with_what_their_documents_say() {
    let mut world = world();
    let web =
        |world: &World| of(world, 1).networks.values().last().unwrap().services["web"].clone();
    let healthy = |world: &World| web(world).replicas.values().filter(|r| r.healthy).count();
    assert_eq!(healthy(&world), 0);
    assert!(web(&world).address.is_some(), "its own address, before anything runs");
    runs_at(&mut world, "shop.web.1", "10.244.0.2");
    runs_at(&mut world, "shop.web.2", "10.244.1.2");
    assert_eq!(healthy(&world), 2);
    let found = web(&world);
    assert_eq!(found.aliases, BTreeSet::from(["www".to_owned()]));
    assert_eq!(found.ports.len(), 3);
    let hosts = found.replicas.values().map(|r| r.hostname.as_deref().unwrap());
    assert!(hosts.eq(["front", "front"]));
    assert_eq!(of(&world, 1).containers.len(), 1, "the one that is here");

    world.enter("shop.web.1", ReplicaState::Degraded, "unhealthy");
    assert_eq!(healthy(&world), 1);
    runs_at(&mut world, "shop.web.1", "10.244.0.2");
    let away = world.state().replica(&name("shop.web.2")).unwrap().node;
    let away = world.state().node(away).unwrap().name.to_string();
    world.node_condition(&away, NodeCondition::Degraded);
    assert_eq!(healthy(&world), 1, "nobody can say whether the other one runs");
    world.node_condition(&away, NodeCondition::Down);
    assert_eq!(healthy(&world), 1);
}

#[test]
fn members_are_reached_where_they_say() {
    let mut world = world();
    let facts = MeshFacts {
        public_key: MeshKey([7; 32]),
        endpoint: "192.0.2.2:51820".parse().unwrap(),
        device: MeshKind::Kernel,
        reason: None,
    };
    assert_eq!(of(&world, 1).members.values().next().unwrap().mesh, None);
    world.set_node("b", |node| node.facts.mesh = Some(facts.clone()));
    let found = of(&world, 1);
    let b = found.members.values().next().unwrap();
    assert_eq!(
        (b.mesh.as_ref(), b.mesh_address),
        (Some(&facts), world.state().node(NodeId(2)).unwrap().mesh_address)
    );
    assert_ne!(found.mesh_address, b.mesh_address);
}
