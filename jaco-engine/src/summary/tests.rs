use jaco_api::model::{
    Availability, DependencyCondition, DeploymentState, Health, Mode, NodeCondition, Observation,
    Placement, ReplicaState, ServiceSchedule, Span, UpdateConfig,
};

use super::{deployment, deployments, replica, replicas};
use crate::{
    command::{Command, HoldDeployment},
    testing::world::{World, name, seen, service, stateful},
};

/// State and reason of the deployment, then of each replica.
fn shown(world: &World) -> Vec<String> {
    let status = deployment(world.state(), &name("shop")).unwrap();
    let line = |what: String, reason: Option<String>| match reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what,
    };
    let mut lines = vec![line(format!("{:?}", status.state), status.reason)];
    for service in status.services {
        let counts = format!("{}/{}", service.running, service.desired);
        let what = format!("{} {counts} {:?}", service.name, service.state);
        lines.push(line(what, service.reason));
    }
    for replica in replicas(world.state(), Some(&name("shop"))) {
        let what = format!("{} {}", replica.id, replica.state);
        lines.push(line(what, replica.reason.map(|r| r.to_string())));
    }
    lines
}

fn state(world: &World) -> DeploymentState {
    deployment(world.state(), &name("shop")).unwrap().state
}

#[test]
fn a_first_deploy_says_at_every_moment_what_it_waits_for() {
    let mut world = World::new(&["a"]);
    let api = ServiceSchedule {
        depends_on: [(name("db"), DependencyCondition::Healthy)].into(),
        ..service(1)
    };
    world.deploy("shop", &[("api", api, "api:1"), ("db", stateful(1, "data"), "db:1")]);
    let mut story = vec!["# applied".to_owned()];
    story.extend(shown(&world));
    world.step();
    story.push("# placed".to_owned());
    story.extend(shown(&world));
    world.enter("shop.db.1", ReplicaState::Pulling, "fetches db:1: 12 of 48 MB");
    story.push("# pulling".to_owned());
    story.extend(shown(&world));
    world.observe(
        "shop.db.1",
        Observation { health: Health::Starting, ..seen(ReplicaState::Starting, "") },
    );
    story.push("# starting".to_owned());
    story.extend(shown(&world));
    world.settle(&[]);
    story.push("# running".to_owned());
    story.extend(shown(&world));
    insta::assert_snapshot!(story.join("\n"));
}

#[test]
fn a_rollout_says_which_replicas_it_replaces() {
    let mut world = World::new(&["a"]);
    let services = |v: &'static str| [("db", stateful(1, "data"), v), ("web", service(2), v)];
    world.deploy("shop", &services("x:1"));
    world.settle(&[]);
    world.deploy("shop", &services("x:2"));
    world.step();
    let mut story = vec!["# began".to_owned()];
    story.extend(shown(&world));
    world.prepared("shop.db.1", Ok(()));
    world.step();
    story.push("# db is replaced".to_owned());
    story.extend(shown(&world));
    let missing = Observation { pull_failures: 3, ..seen(ReplicaState::Pulling, "no such image") };
    world.observe("shop.web.3", missing);
    world.step();
    world.step();
    story.push("# web failed".to_owned());
    story.extend(shown(&world));
    world.settle(&[]);
    story.push("# rolled back".to_owned());
    story.extend(shown(&world));
    insta::assert_snapshot!(story.join("\n"));
}

#[test]
fn states_of_a_deployment() {
    let mut world = World::new(&["a", "b"]);
    world.deploy("shop", &[("web", service(2), "web:1")]);
    assert_eq!(state(&world), DeploymentState::Pending);
    world.settle(&[]);
    assert_eq!(state(&world), DeploymentState::Active);
    world.enter("shop.web.1", ReplicaState::Failed, "exited with code 1");
    assert_eq!(state(&world), DeploymentState::Degraded);
    world.enter("shop.web.2", ReplicaState::Failed, "exited with code 1");
    assert_eq!(state(&world), DeploymentState::Failed);
    for stopped in [true, false] {
        let deployment = name("shop");
        world.command(Command::HoldDeployment(HoldDeployment { deployment, stopped }));
        let expected = if stopped { DeploymentState::Stopped } else { DeploymentState::Pending };
        world.step();
        assert_eq!(state(&world), expected, "{:?}", shown(&world));
        world.agents(&[]);
    }
}

#[test]
fn a_scale_down_is_not_over_before_the_surplus_is_told_to_go() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("web", service(3), "web:1")]);
    world.settle(&[]);
    world.deploy("shop", &[("web", service(1), "web:1")]);
    assert_eq!(state(&world), DeploymentState::Updating, "{:?}", shown(&world));
    world.step();
    assert_eq!(state(&world), DeploymentState::Active);
}

#[test]
fn what_nobody_can_take_is_pending_with_the_filters() {
    let mut world = World::new(&["a"]);
    let web = ServiceSchedule { constraints: vec!["node.labels.disk == ssd".into()], ..service(1) };
    world.deploy("shop", &[("web", web, "web:1")]);
    world.settle(&[]);
    let status = deployment(world.state(), &name("shop")).unwrap();
    assert_eq!(status.state, DeploymentState::Pending);
    assert_eq!(status.reason.as_deref(), Some("web: 1 node: 1 lacks label disk=ssd"));
}

#[test]
fn replicas_of_a_node_that_is_down_are_lost() {
    let mut world = World::new(&["a", "b"]);
    world.deploy("shop", &[("web", service(2), "web:1")]);
    world.settle(&[]);
    world.node_condition("b", NodeCondition::Down);
    let lost: Vec<_> = replicas(world.state(), None)
        .into_iter()
        .filter(|r| r.state == ReplicaState::Lost)
        .collect();
    assert_eq!(lost.len(), 1);
    let why = &lost[0].reason.as_ref().unwrap().message;
    assert_eq!(why, "b is down; placed elsewhere 2s after it was lost");
    assert_eq!(deployment(world.state(), &name("shop")).unwrap().services[0].running, 1);
    assert_eq!(state(&world), DeploymentState::Degraded);
}

#[test]
fn a_lost_replica_says_what_becomes_of_it() {
    let hosts = Placement::Hosts(vec![name("b")]);
    let one = ServiceSchedule { singleton: true, ..stateless_in_place() };
    let tight = ServiceSchedule { max_replicas_per_node: 1, ..service(2) };
    let global = ServiceSchedule { placement: Some(Placement::Global), ..service(0) };
    let patient = ServiceSchedule { reschedule_after: Some(Span::secs(60)), ..service(1) };
    let mut world = World::new(&["b", "a"]);
    world.set_node("a", |n| n.availability = Availability::Cordoned);
    let services = [
        ("agent", global, "x"),
        ("db", stateful(1, "data"), "x"),
        ("job", ServiceSchedule { mode: Mode::Job, ..service(1) }, "x"),
        ("one", one, "x"),
        ("patient", patient, "x"),
        ("pinned", ServiceSchedule { placement: Some(hosts), ..service(1) }, "x"),
        ("tight", ServiceSchedule { replicas: 1, ..tight.clone() }, "x"),
        ("web", service(1), "x"),
    ];
    world.deploy("shop", &services);
    world.step();
    world.enter("shop.job.1", ReplicaState::Completed, "");
    world.settle(&[]);
    world.set_node("a", |_| {});
    world.node_condition("b", NodeCondition::Degraded);
    let mut story = vec!["# its engine does not answer".to_owned()];
    story.extend(shown(&world));
    world.node_condition("b", NodeCondition::Down);
    story.push("# down".to_owned());
    story.extend(shown(&world));
    world.set_node("a", |n| n.availability = Availability::Cordoned);
    world.pass_time(Span::secs(3));
    world.settle(&[]);
    story.push("# no node can take what may move".to_owned());
    story.extend(shown(&world));
    world.set_node("a", |_| {});
    world.settle(&[]);
    story.push("# another node can".to_owned());
    story.extend(shown(&world));
    world.node_condition("b", NodeCondition::Ready);
    story.push("# back".to_owned());
    story.extend(shown(&world));
    insta::assert_snapshot!(story.join("\n"));
}

fn stateless_in_place() -> ServiceSchedule {
    ServiceSchedule { update: UpdateConfig::default_for(true), ..service(1) }
}

#[test]
fn what_is_on_a_node_that_is_being_emptied_says_what_it_waits_for() {
    let global = ServiceSchedule { placement: Some(Placement::Global), ..service(0) };
    let tight = ServiceSchedule { max_replicas_per_node: 1, ..service(2) };
    let mut world = World::new(&["a", "b"]);
    world.set_node("b", |n| n.availability = Availability::Cordoned);
    let services = [
        ("db", stateful(1, "data"), "x"),
        ("job", ServiceSchedule { mode: Mode::Job, ..service(1) }, "x"),
        ("web", service(1), "x"),
    ];
    world.deploy("shop", &services);
    world.settle(&[]);
    world.set_node("b", |_| {});
    let mut more = services.to_vec();
    more.extend([("agent", global, "x"), ("tight", tight, "x")]);
    world.deploy("shop", &more);
    world.settle(&[]);
    world.node_availability("a", Availability::Draining, false);
    world.step();
    insta::assert_snapshot!(shown(&world).join("\n"));
}

#[test]
fn every_replica_that_does_not_run_says_why() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("web", service(1), "web:1")]);
    world.step();
    let row = world.state().replicas().next().unwrap().id.to_string();
    for entered in [
        ReplicaState::Pending,
        ReplicaState::Pulling,
        ReplicaState::Starting,
        ReplicaState::Degraded,
        ReplicaState::Failed,
        ReplicaState::Stopping,
    ] {
        world.enter(&row, entered, "");
        let status = replica(world.state(), world.state().replicas().next().unwrap());
        assert!(status.reason.is_some(), "{entered}");
        assert_eq!(status.image, "web:1");
    }
}

#[test]
fn a_thousand_replicas_are_summed_up_at_once() {
    let mut world = World::new(&["a", "b", "c"]);
    for n in 0..100 {
        world.deploy(&format!("d{n}"), &[("x", service(5), "x"), ("y", service(5), "y")]);
    }
    world.settle(&[]);
    let began = std::time::Instant::now();
    assert_eq!(deployments(world.state()).len(), 100);
    assert_eq!(replicas(world.state(), None).len(), 1000);
    // Fifty times less in release; the bound only catches work that grows with the square.
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
}
