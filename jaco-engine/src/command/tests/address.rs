use jaco_api::{
    error::ErrorCode,
    model::{
        CronSchedule, EndpointMode, Mode, NodeId, ServiceSchedule, UpdateConfig, VirtualAddressKey,
    },
};

use super::refused;
use crate::{
    command::{
        Action, Command, DeleteDeployment, HoldDeployment, Outcome, RollbackDeployment,
        ScaleDeployment, SetSetting,
    },
    state::snapshot,
    testing::builders::{Scenario, Stack, name, schedule},
};

fn pool(s: &mut Scenario, value: &str) -> Outcome {
    s.run(Command::SetSetting(SetSetting { key: "service_pool".into(), value: value.into() }))
}

fn on(networks: &[&str], image: &str) -> ServiceSchedule {
    let networks = networks.iter().map(|n| name(n)).collect();
    ServiceSchedule { networks, ..schedule(image, 1) }
}

fn dnsrr(schedule: ServiceSchedule) -> ServiceSchedule {
    ServiceSchedule { endpoint: EndpointMode::Dnsrr, ..schedule }
}

/// `shop default web 10.242.0.1`.
fn addresses(s: &Scenario) -> Vec<String> {
    let line = |row: &jaco_api::model::VirtualAddress| {
        let VirtualAddressKey { deployment, network, service } = &row.key;
        format!("{deployment} {network} {service} {}", row.address)
    };
    s.state.virtual_addresses().map(|row| line(row)).collect()
}

fn address(service: &str) -> Action {
    Action::Address { service: name(service) }
}

fn remove_all(s: &mut Scenario, deployment: &str) {
    let ids: Vec<_> = s.replicas(deployment).into_iter().map(|r| r.id).collect();
    let remove = ids.iter().map(|id| Action::Remove { replica: id.clone() }).collect();
    s.reconcile(deployment, remove);
    for id in ids {
        s.report(&id, None);
    }
}

#[test]
fn a_service_has_one_address_on_each_network_before_its_first_container() {
    let mut s = Scenario::new().with_nodes(2);
    s.run(Stack::new("shop").scheduled("web", on(&["default", "back"], "web:1")));
    assert!(addresses(&s).is_empty(), "nothing of it is there");
    let create = |node| Action::Create { service: name("web"), node: NodeId(node), slot: None };
    s.reconcile("shop", vec![create(1), create(2)]);
    let both = ["shop back web 10.242.0.1", "shop default web 10.242.0.2"];
    assert_eq!(addresses(&s), both);
    let found = s.state.virtual_address(&name("shop"), &name("back"), &name("web"));
    assert_eq!(found, Some("10.242.0.1".parse().unwrap()));
    s.deploy(Stack::new("blog").service("web", "web:1", 1));
    assert_eq!(addresses(&s)[0], "blog default web 10.242.0.3");
    assert_eq!(s.state.virtual_addresses_of(&name("shop")).count(), 2);
    let read = snapshot::read(&snapshot::write(&s.state)).unwrap();
    assert!(read.virtual_addresses().eq(s.state.virtual_addresses()));
    assert_eq!(read.next_virtual_address(), s.state.next_virtual_address());
}

#[test]
fn what_has_no_address_is_given_none() {
    let mut s = Scenario::new();
    let job = ServiceSchedule { mode: Mode::Job, ..on(&["default"], "job:1") };
    let cron = Some(CronSchedule::new("* * * * *"));
    let timed = ServiceSchedule { cron, ..on(&["default"], "timed:1") };
    let beside = ServiceSchedule {
        networks_beside: [name("back")].into(),
        ..on(&["back", "front"], "lead:1")
    };
    let stack = Stack::new("shop")
        .scheduled("plain", dnsrr(on(&["default"], "plain:1")))
        .scheduled("job", job)
        .scheduled("timed", timed)
        .scheduled("alone", on(&[], "alone:1"))
        .scheduled("lead", beside);
    s.run(stack);
    for service in ["plain", "job", "alone", "lead"] {
        s.create("shop", service, 1);
        s.reconcile("shop", vec![address(service)]);
    }
    assert_eq!(s.reconcile("shop", vec![address("timed")]), Outcome::Done);
    assert_eq!(addresses(&s), ["shop front lead 10.242.0.1"]);
}

#[test]
fn another_mode_takes_the_address_away_and_gives_one_without_a_new_container() {
    let mut s = Scenario::new();
    s.deploy(Stack::new("shop").service("web", "web:1", 1));
    let replica = s.replicas("shop");
    let apply = |s: &mut Scenario, schedule| s.run(Stack::new("shop").scheduled("web", schedule));
    apply(&mut s, dnsrr(schedule("web:1", 1)));
    assert!(addresses(&s).is_empty());
    s.deploy(Stack::new("blog").service("web", "web:1", 1));
    apply(&mut s, schedule("web:1", 1));
    assert_eq!(s.reconcile("shop", vec![address("web")]), Outcome::Done);
    assert_eq!(addresses(&s), ["blog default web 10.242.0.1", "shop default web 10.242.0.2"]);
    assert_eq!(s.replicas("shop"), replica);
}

#[test]
fn a_service_that_changes_networks_has_both_until_nothing_old_is_left() {
    let mut s = Scenario::new();
    let on = |networks: &[&str], image| Stack::new("shop").scheduled("web", on(networks, image));
    s.run(on(&["back", "front"], "web:1"));
    let old = s.create("shop", "web", 1);
    s.run(on(&["front", "side"], "web:2"));
    s.create("shop", "web", 1);
    let (back, front) = ("shop back web 10.242.0.1", "shop front web 10.242.0.2");
    let side = "shop side web 10.242.0.3";
    assert_eq!(addresses(&s), [back, front, side]);
    s.reconcile("shop", vec![Action::Remove { replica: old[0].clone() }]);
    assert_eq!(addresses(&s), [back, front, side], "its container may still be there");
    s.report(&old[0], None);
    assert_eq!(addresses(&s), [front, side]);
}

#[test]
fn the_next_generation_in_place_leaves_the_old_networks() {
    let mut s = Scenario::new();
    let update = UpdateConfig::default_for(true);
    let on = |networks: &[&str], image| {
        let update = update.clone();
        Stack::new("shop").scheduled("web", ServiceSchedule { update, ..on(networks, image) })
    };
    s.run(on(&["back"], "web:1"));
    let ids = s.create("shop", "web", 1);
    s.run(on(&["front"], "web:2"));
    assert_eq!(addresses(&s), ["shop back web 10.242.0.1"]);
    s.reconcile("shop", vec![Action::Advance { replica: ids[0].clone() }]);
    assert_eq!(addresses(&s), ["shop front web 10.242.0.2"]);
}

#[test]
fn a_rollback_keeps_the_address() {
    let mut s = Scenario::new();
    s.deploy(Stack::new("shop").service("web", "web:1", 1).service("db", "db:1", 1));
    let before = addresses(&s);
    s.run(Stack::new("shop").service("web", "web:2", 1));
    s.create("shop", "web", 1);
    assert_eq!(addresses(&s), before, "replicas of db are there");
    s.run(Command::RollbackDeployment(RollbackDeployment { deployment: name("shop"), to: None }));
    assert_eq!(addresses(&s), before);
    s.run(Stack::new("shop").service("web", "web:2", 1));
    let db = s.replicas("shop").into_iter().find(|r| r.id.service.as_str() == "db").unwrap().id;
    s.reconcile("shop", vec![Action::Remove { replica: db.clone() }]);
    s.report(&db, None);
    assert_eq!(addresses(&s), ["shop default web 10.242.0.2"]);
}

#[test]
fn what_is_scaled_to_none_or_stopped_keeps_it_and_what_is_deleted_does_not() {
    let mut s = Scenario::new();
    s.deploy(Stack::new("shop").service("web", "web:1", 1));
    let replicas = [(name("web"), 0)].into();
    s.run(Command::ScaleDeployment(ScaleDeployment { deployment: name("shop"), replicas }));
    s.run(Command::HoldDeployment(HoldDeployment { deployment: name("shop"), stopped: true }));
    remove_all(&mut s, "shop");
    assert_eq!(addresses(&s), ["shop default web 10.242.0.1"]);
    let delete = DeleteDeployment { deployment: name("shop"), volumes: false };
    s.run(Command::DeleteDeployment(delete));
    assert!(s.state.deployment(&name("shop")).is_none() && addresses(&s).is_empty());
    s.deploy(Stack::new("blog").service("web", "web:1", 1));
    assert_eq!(addresses(&s), ["blog default web 10.242.0.1"], "free at once");
}

#[test]
fn without_enough_addresses_the_first_replica_waits_and_others_do_not() {
    let mut s = Scenario::new();
    assert_eq!(pool(&mut s, "10.7.0.0/29"), Outcome::Done);
    s.deploy(Stack::new("shop").scheduled("web", on(&["a", "b", "c", "d", "e"], "web:1")));
    s.run(Stack::new("blog").scheduled("web", on(&["default", "back"], "web:1")));
    let create = || vec![Action::Create { service: name("web"), node: NodeId(1), slot: None }];
    let Outcome::Rejected(error) = s.reconcile("blog", create()) else { panic!("there is one") };
    assert_eq!(error.code, ErrorCode::SubnetPoolExhausted);
    let told = |key: &str| error.details.get(key).map(String::as_str);
    assert_eq!((told("used"), told("capacity")), (Some("5"), Some("6")));
    assert!(error.hint().unwrap().contains("service_pool"), "{error:?}");
    assert_eq!(addresses(&s).len(), 5, "all or nothing");
    assert_eq!(s.state.subnets().count(), 5);

    let more = ["a", "b", "c", "d", "e", "f", "g"];
    s.run(Stack::new("shop").scheduled("web", on(&more, "web:2")));
    assert_eq!(s.reconcile("shop", create()), Outcome::Done, "it runs already");
    let alone = s.reconcile("shop", vec![address("web")]);
    assert_eq!(refused(&alone), ErrorCode::SubnetPoolExhausted);
    assert_eq!(addresses(&s).len(), 5);

    assert_eq!(refused(&pool(&mut s, "10.8.0.0/24")), ErrorCode::ValidationFailed);
    assert_eq!(pool(&mut s, "10.7.0.0/24"), Outcome::Done);
    assert_eq!(s.reconcile("blog", create()), Outcome::Done);
    assert_eq!(s.reconcile("shop", vec![address("web")]), Outcome::Done);
    assert_eq!(addresses(&s).len(), 9);
}

#[test]
fn a_pool_with_addresses_in_use_stays_and_says_whose_they_are() {
    let mut s = Scenario::new();
    for deployment in ["shop", "blog"] {
        s.deploy(Stack::new(deployment).service("web", "web:1", 1));
    }
    let Outcome::Rejected(error) = pool(&mut s, "10.7.0.0/16") else { panic!("it is in use") };
    assert_eq!(error.code, ErrorCode::ValidationFailed);
    assert_eq!(error.details.get("deployments").map(String::as_str), Some("blog, shop"));
    assert!(error.message.contains("2 addresses of services would lie outside of 10.7.0.0/16"));
    assert_eq!(pool(&mut s, "10.242.0.0/24"), Outcome::Done);
    assert_eq!(refused(&pool(&mut s, "10.244.0.0/24")), ErrorCode::ValidationFailed);
    assert_eq!(refused(&pool(&mut s, "10.243.0.0/24")), ErrorCode::ValidationFailed);
    for deployment in ["shop", "blog"] {
        let delete = DeleteDeployment { deployment: name(deployment), volumes: false };
        s.run(Command::DeleteDeployment(delete));
        remove_all(&mut s, deployment);
    }
    assert_eq!(pool(&mut s, "10.7.0.0/16"), Outcome::Done);
}
