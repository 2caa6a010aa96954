use std::{collections::BTreeMap, sync::Arc};

use jaco_api::model::{
    Assignment, Attachment, ContainerSpec, Digest, FileContent, Intent, NamedFile, NetworkName,
    NodeId, Observation, ReplicaState, RouteOptions, RouteSpec, TlsMode,
};

use super::{Holds, Leaving, is_visited};
use crate::{
    assignment::{Documents, project},
    command::{Command, DeleteDeployment},
    testing::world::{World, name, seen, service},
};

/// Every document is the same.
struct Same;

impl Documents for Same {
    fn container(&self, _: &Digest) -> Option<Arc<ContainerSpec>> {
        let networks = vec![Attachment::to(NetworkName::default_network())];
        Some(Arc::new(ContainerSpec { networks, ..Default::default() }))
    }
    fn file(&self, _: &NamedFile) -> Option<FileContent> {
        None
    }
}

/// `shop/web` with a route and `shop/db` with none, running on one node.
fn world() -> World {
    let mut world = World::new(&["a"]);
    let route = RouteSpec {
        domain: "shop.example.com".to_owned(),
        path: "/".to_owned(),
        service: name("web"),
        port: 8080,
        tls: TlsMode::Off,
        options: RouteOptions::default(),
    };
    let services = [("web", service(1), "web:1"), ("db", service(1), "db:1")];
    world.deploy_with("shop", &services, vec![route]);
    while world.step() {}
    for (replica, address) in [("shop.web.1", "10.244.0.2"), ("shop.db.1", "10.244.0.3")] {
        let addresses = [(NetworkName::default_network(), address.parse().unwrap())].into();
        let running = seen(ReplicaState::Running, "");
        world.observe(replica, Observation { addresses, reason: None, ..running });
    }
    world
}

fn delete(world: &mut World) {
    let delete = DeleteDeployment { deployment: name("shop"), volumes: false };
    world.command(Command::DeleteDeployment(delete));
    while world.step() {}
}

fn assignment(world: &World) -> Assignment {
    project(world.state(), NodeId(1), &Same, true).unwrap()
}

/// What is in force next, and what is let go.
fn next(world: &World, holds: &mut Holds, present: &Assignment) -> (Assignment, Vec<Leaving>) {
    let mut next = assignment(world);
    let visited = |replica: &_| is_visited(world.state(), replica);
    let leaving = holds.put_back(Some(present), &mut next, present.index, visited);
    (next, leaving)
}

fn intents(assignment: &Assignment) -> BTreeMap<String, Intent> {
    assignment.replicas.iter().map(|(id, replica)| (id.to_string(), replica.intent)).collect()
}

#[test]
fn what_is_visited_goes_on_until_visitors_are_led_elsewhere() {
    let mut world = world();
    let (mut holds, present) = (Holds::default(), assignment(&world));
    delete(&mut world);
    let (held, leaving) = next(&world, &mut holds, &present);
    let [left] = &leaving[..] else { panic!("{leaving:?}") };
    assert_eq!((left.id.to_string().as_str(), left.generation), ("shop.web.1", 1));
    assert_eq!(left.addresses, ["10.244.0.2".parse::<std::net::IpAddr>().unwrap()]);
    let web = &held.replicas[&name("shop.web.1")];
    assert_eq!((web.intent, web.generation), (Intent::Run, 1));
    let mut others = intents(&held).into_iter().filter(|(id, _)| id != "shop.web.1");
    assert!(others.all(|(_, intent)| intent != Intent::Run), "{:?}", intents(&held));
    assert_eq!(held.networks, present.networks, "it needs its network");
    assert_eq!(held.index, present.index, "of its networks nothing newer may be said");

    // As long as it takes, and once only.
    let (still, again) = next(&world, &mut holds, &held);
    assert_eq!((intents(&still), again), (intents(&held), Vec::new()));
    holds.end(left);
    let (last, again) = next(&world, &mut holds, &still);
    assert_eq!((&last, again), (&assignment(&world), Vec::new()));
    let (after, again) = next(&world, &mut holds, &last);
    assert_eq!((&after, again), (&last, Vec::new()), "it is not held twice");
}

#[test]
fn another_generation_waits_for_the_one_before() {
    let world = world();
    let (mut holds, mut present) = (Holds::default(), assignment(&world));
    let mut newer = assignment(&world);
    newer.index += 1;
    newer.replicas.get_mut(&name("shop.web.1")).unwrap().generation = 2;
    let put_back = |holds: &mut Holds, present: &Assignment| {
        let mut next = newer.clone();
        let leaving = holds.put_back(Some(present), &mut next, present.index, |_| true);
        (next, leaving)
    };
    let (held, leaving) = put_back(&mut holds, &present);
    assert_eq!(held.replicas[&name("shop.web.1")].generation, 1);
    // What is wanted again is held no more, and nothing that was waited for ends it.
    let (back, none) = next(&world, &mut holds, &held);
    assert_eq!((back.replicas, none), (present.replicas.clone(), Vec::new()));
    present.index += 5;
    let (held, second) = put_back(&mut holds, &present);
    assert_eq!(held.replicas[&name("shop.web.1")].generation, 1);
    holds.end(&leaving[0]);
    assert_eq!(put_back(&mut holds, &held).0.replicas[&name("shop.web.1")].generation, 1);
    holds.end(&second[0]);
    assert_eq!(put_back(&mut holds, &held).0.replicas[&name("shop.web.1")].generation, 2);
}

#[test]
fn what_serves_nobody_is_not_held() {
    let mut world = world();
    let mut present = assignment(&world);
    delete(&mut world);
    let leaving = |present: &Assignment, caught_up: bool, visited: bool| {
        let mut next = assignment(&world);
        next.caught_up = caught_up;
        Holds::default().put_back(Some(present), &mut next, present.index, |_| visited)
    };
    assert_eq!(leaving(&present, true, true).len(), 2);
    assert_eq!(leaving(&present, true, false), [], "no visitor is led there");
    assert_eq!(leaving(&present, false, true), [], "nothing is stopped yet anyhow");
    for replica in present.replicas.values_mut() {
        replica.fenced = true;
    }
    assert_eq!(leaving(&present, true, true), [], "it may run elsewhere already");
    for replica in present.replicas.values_mut() {
        (replica.fenced, replica.observed.state) = (false, ReplicaState::Degraded);
    }
    assert_eq!(leaving(&present, true, true), [], "nobody is led to what is not healthy");
}
