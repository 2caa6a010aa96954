use std::collections::BTreeSet;

use jaco_api::model::{Availability, Placement, ServiceSchedule};

use crate::{
    scheduler::touched,
    testing::world::{World, name, service},
};

fn names(world: &World, change: impl FnOnce(&mut World)) -> Vec<String> {
    let (old, mut world) = (world.state().clone(), world.clone());
    change(&mut world);
    touched(&old, world.state()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_change_touches_only_what_it_concerns() {
    let mut world = World::new(&["a", "b"]);
    let on = |node: &str| ServiceSchedule {
        placement: Some(Placement::Hosts(vec![name(node)])),
        ..service(1)
    };
    let global = ServiceSchedule { placement: Some(Placement::Global), ..service(0) };
    world.deploy("on-a", &[("x", on("a"), "x")]);
    world.deploy("on-b", &[("x", on("b"), "x")]);
    world.deploy("everywhere", &[("x", global, "x")]);
    world.deploy("nowhere", &[("x", on("z"), "x")]);
    world.settle(&[]);

    assert_eq!(names(&world, |_| {}), [""; 0]);
    assert_eq!(names(&world, |w| w.deploy("on-b", &[("x", on("b"), "y")])), ["on-b"]);
    assert_eq!(
        names(&world, |w| w.set_node("a", |n| n.availability = Availability::Cordoned)),
        ["everywhere", "nowhere", "on-a"]
    );
    assert_eq!(names(&world, |w| w.set_node("a", |n| n.facts.version = "2".into())), [""; 0]);
    let shrink = |w: &mut World| {
        w.deploy("on-a", &[("x", ServiceSchedule { replicas: 0, ..on("a") }, "x")]);
        w.step();
    };
    assert_eq!(names(&world, shrink), ["nowhere", "on-a"], "room for others");
}

#[test]
fn what_is_gone_is_not_planned() {
    use crate::command::{Command, DeleteDeployment};
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("x", service(1), "x")]);
    world.settle(&[]);
    let old = world.state().clone();
    let delete = DeleteDeployment { deployment: name("shop"), volumes: false };
    world.command(Command::DeleteDeployment(delete));
    world.settle(&[]);
    assert_eq!(touched(&old, world.state()), BTreeSet::new());
}
