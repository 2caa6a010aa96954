use jaco_api::{
    error::ErrorCode,
    model::{
        AuditKind, Availability, NodeId, ReplicaState, ServiceSchedule, Subnet, SubnetKey,
        UpdateConfig,
    },
};

use super::{audited, refused};
use crate::{
    command::{
        Action, Command, DeleteDeployment, HoldDeployment, Outcome, ReleaseSubnets, RemoveNode,
        SetAvailability, SetSetting,
    },
    testing::builders::{Scenario, Stack, name, schedule},
};

fn set(key: &str, value: &str) -> Command {
    Command::SetSetting(SetSetting { key: key.into(), value: value.into() })
}

fn on(networks: &[&str], image: &str) -> ServiceSchedule {
    let networks = networks.iter().map(|n| name(n)).collect();
    ServiceSchedule { networks, ..schedule(image, 1) }
}

fn key(deployment: &str, network: &str, node: u64) -> SubnetKey {
    SubnetKey { deployment: name(deployment), network: name(network), node: NodeId(node) }
}

/// `shop default 1 10.244.0.0/24`, and whether it is in quarantine.
fn subnets(s: &Scenario) -> Vec<String> {
    let line = |row: &Subnet| {
        let SubnetKey { deployment, network, node } = &row.key;
        let quarantined = if row.released.is_some() { " quarantined" } else { "" };
        format!("{deployment} {network} {node} {}{quarantined}", row.prefix)
    };
    s.state.subnets().map(|row| line(row)).collect()
}

fn create(service: &str, node: u64) -> Action {
    Action::Create { service: name(service), node: NodeId(node), slot: None }
}

fn delete(s: &mut Scenario, deployment: &str) {
    let command = DeleteDeployment { deployment: name(deployment), volumes: false };
    s.run(Command::DeleteDeployment(command));
    let ids: Vec<_> = s.replicas(deployment).into_iter().map(|r| r.id).collect();
    let remove = ids.iter().map(|id| Action::Remove { replica: id.clone() }).collect();
    s.reconcile(deployment, remove);
    for id in ids {
        s.report(&id, None);
    }
}

fn confirm(s: &mut Scenario, subnets: Vec<Subnet>) {
    let command = Command::ReleaseSubnets(ReleaseSubnets { subnets });
    assert_eq!(s.run(command), Outcome::Done);
}

fn quarantined(s: &Scenario) -> Vec<Subnet> {
    s.state.quarantined_until(u64::MAX).map(|row| Subnet::clone(row)).collect()
}

#[test]
fn every_network_of_a_replica_has_a_block_on_each_node_it_is_on() {
    let mut s = Scenario::new().with_nodes(2);
    s.run(Stack::new("shop").scheduled("web", on(&["default", "back"], "web:1")));
    s.reconcile("shop", vec![create("web", 1), create("web", 2), create("web", 2)]);
    let expected = [
        "shop back 1 10.244.0.0/24",
        "shop back 2 10.244.2.0/24",
        "shop default 1 10.244.1.0/24",
        "shop default 2 10.244.3.0/24",
    ];
    assert_eq!(subnets(&s), expected);
    assert_eq!(audited(&s.state, AuditKind::SubnetAllocated), 4);
}

#[test]
fn a_block_that_nothing_needs_is_in_quarantine_until_it_is_confirmed() {
    let mut s = Scenario::new();
    s.deploy(Stack::new("shop").service("web", "web:1", 2));
    s.deploy(Stack::new("blog").service("web", "web:1", 1));
    delete(&mut s, "shop");
    let gone = "shop default 1 10.244.0.0/24 quarantined";
    assert_eq!(subnets(&s), ["blog default 1 10.244.1.0/24", gone]);
    assert_eq!(audited(&s.state, AuditKind::SubnetReleased), 1);
    s.deploy(Stack::new("wiki").service("web", "web:1", 1));
    assert!(subnets(&s).contains(&"wiki default 1 10.244.2.0/24".to_owned()));

    let found = quarantined(&s);
    let stale = found.iter().cloned().map(|r| Subnet { released: Some(3), ..r }).collect();
    confirm(&mut s, stale);
    assert!(s.state.has_quarantine(), "what is another by now stays");
    confirm(&mut s, found.clone());
    s.deploy(Stack::new("last").service("web", "web:1", 1));
    assert!(subnets(&s).contains(&"last default 1 10.244.0.0/24".to_owned()), "{:?}", subnets(&s));
    confirm(&mut s, found);
    assert_eq!(subnets(&s).len(), 3, "a confirmation that comes twice takes nothing away");
}

#[test]
fn a_released_block_of_the_same_network_is_taken_back() {
    let mut s = Scenario::new();
    s.deploy(Stack::new("shop").service("web", "web:1", 1));
    delete(&mut s, "shop");
    let found = quarantined(&s);
    s.deploy(Stack::new("shop").service("web", "web:2", 1));
    assert_eq!(subnets(&s), ["shop default 1 10.244.0.0/24"]);
    confirm(&mut s, found);
    assert_eq!(subnets(&s), ["shop default 1 10.244.0.0/24"], "it is in use again");
}

#[test]
fn a_stopped_deployment_gives_its_blocks_up_with_its_replicas() {
    let mut s = Scenario::new();
    let ids = s.deploy(Stack::new("shop").service("web", "web:1", 1));
    s.run(Command::HoldDeployment(HoldDeployment { deployment: name("shop"), stopped: true }));
    s.reconcile("shop", vec![Action::Remove { replica: ids[0].clone() }]);
    assert!(!s.state.has_quarantine(), "its container may still be there");
    s.report(&ids[0], None);
    assert!(s.state.has_quarantine());
}

#[test]
fn a_replica_that_changes_networks_has_both_until_it_has_changed() {
    let mut s = Scenario::new();
    let on = |network, image| {
        let update = UpdateConfig::default_for(true);
        Stack::new("shop").scheduled("web", ServiceSchedule { update, ..on(&[network], image) })
    };
    s.run(on("back", "web:1"));
    let ids = s.create("shop", "web", 1);
    s.observe(&ids[0], ReplicaState::Running);
    s.run(on("front", "web:2"));
    s.reconcile("shop", vec![Action::Prepare { replica: ids[0].clone() }]);
    assert_eq!(subnets(&s), ["shop back 1 10.244.0.0/24", "shop front 1 10.244.1.0/24"]);
    s.reconcile("shop", vec![Action::Advance { replica: ids[0].clone() }]);
    let old = "shop back 1 10.244.0.0/24 quarantined";
    assert_eq!(subnets(&s), [old, "shop front 1 10.244.1.0/24"]);
}

#[test]
fn without_enough_blocks_nothing_is_given_and_the_counts_are_told() {
    let mut s = Scenario::new();
    s.run(set("address_pools", "10.8.0.0/28:29"));
    s.deploy(Stack::new("blog").service("web", "web:1", 1));
    s.run(Stack::new("shop").scheduled("web", on(&["default", "back"], "web:1")));
    let outcome = s.reconcile("shop", vec![create("web", 1)]);
    assert_eq!(refused(&outcome), ErrorCode::SubnetPoolExhausted);
    assert_eq!(subnets(&s), ["blog default 1 10.8.0.0/29"], "all or nothing");
    s.run(set("address_pools", "10.8.0.0/28:29, 10.9.0.0/28:29"));
    assert_eq!(s.reconcile("shop", vec![create("web", 1)]), Outcome::Done);
    let shop = ["shop back 1 10.8.0.8/29", "shop default 1 10.9.0.0/29"];
    assert_eq!(subnets(&s)[1..], shop);
    s.run(Stack::new("wiki").scheduled("web", on(&["default", "back"], "web:1")));
    delete(&mut s, "blog");
    let Outcome::Rejected(error) = s.reconcile("wiki", vec![create("web", 1)]) else {
        panic!("there is one block")
    };
    let told = |key: &str| error.details.get(key).map(String::as_str);
    assert_eq!(
        (told("used"), told("quarantined"), told("capacity")),
        (Some("2"), Some("1"), Some("4"))
    );
    assert_eq!(told("pool 10.8.0.0/28:29"), Some("1 used, 1 quarantined, 2 in all"));
}

#[test]
fn blocks_of_another_length_fit_in_between() {
    let mut s = Scenario::new();
    s.run(set("address_pools", "10.8.0.0/24:26"));
    for deployment in ["a", "b"] {
        s.deploy(Stack::new(deployment).service("web", "web:1", 1));
    }
    s.run(set("address_pools", "10.8.0.0/24:28"));
    assert_eq!(s.state.blocks().free(), 8, "16 less what two larger blocks take");
    s.deploy(Stack::new("c").service("web", "web:1", 1));
    s.run(set("address_pools", "10.8.0.0/24:26"));
    assert_eq!(s.state.blocks().free(), 1, "a part of a block takes all of it");
    s.deploy(Stack::new("d").service("web", "web:1", 1));
    let all = [
        "a default 1 10.8.0.0/26",
        "b default 1 10.8.0.64/26",
        "c default 1 10.8.0.128/28",
        "d default 1 10.8.0.192/26",
    ];
    assert_eq!(subnets(&s), all);
}

#[test]
fn a_pool_with_blocks_stays_and_says_whose_they_are() {
    let mut s = Scenario::new();
    s.deploy(Stack::new("shop").service("web", "web:1", 1));
    let Outcome::Rejected(error) = s.run(set("address_pools", "10.8.0.0/16:24")) else {
        panic!("it holds a block")
    };
    assert_eq!(error.code, ErrorCode::ValidationFailed);
    assert_eq!(error.details.get("deployments").map(String::as_str), Some("shop"));
    let both = "10.8.0.0/16:24, 10.244.0.0/14:26";
    assert_eq!(s.run(set("address_pools", both)), Outcome::Done);
    s.deploy(Stack::new("blog").service("web", "web:1", 1));
    assert!(subnets(&s).contains(&"blog default 1 10.8.0.0/24".to_owned()), "the first pool first");
    delete(&mut s, "shop");
    assert_eq!(
        refused(&s.run(set("address_pools", "10.8.0.0/16:24"))),
        ErrorCode::ValidationFailed
    );
    let found = quarantined(&s);
    confirm(&mut s, found);
    assert_eq!(s.run(set("address_pools", "10.8.0.0/16:24")), Outcome::Done);
    assert_eq!(refused(&s.run(set("mesh_pool", "10.8.0.0/20"))), ErrorCode::ValidationFailed);
}

#[test]
fn each_crossing_of_a_threshold_is_one_warning() {
    let mut s = Scenario::new();
    s.run(set("address_pools", "10.8.0.0/25:28"));
    let warned = |s: &Scenario| {
        let of = |e: &jaco_api::model::AuditEvent| e.payload.get("percent").cloned();
        let all = s.state.audit_after(0).filter(|e| e.kind == AuditKind::SubnetPoolLow);
        all.filter_map(|e| of(e)).collect::<Vec<_>>().join(" ")
    };
    let deploy = |s: &mut Scenario, count: usize| {
        for _ in 0..count {
            let name = format!("d{}", s.state.deployments().count());
            s.deploy(Stack::new(&name).service("web", "web:1", 1));
        }
    };
    deploy(&mut s, 5);
    assert_eq!(warned(&s), "");
    deploy(&mut s, 2);
    assert_eq!(warned(&s), "75", "six of eight; the seventh says nothing new");
    deploy(&mut s, 1);
    assert_eq!(warned(&s), "75 90");
    s.run(set("address_pools", "10.8.0.0/25:28, 10.9.0.0/25:28"));
    deploy(&mut s, 4);
    assert_eq!(warned(&s), "75 90 75", "another pool makes room, which fills up again");
}

#[test]
fn a_node_that_is_removed_gives_up_its_blocks_and_its_address() {
    let mut s = Scenario::new().with_nodes(2);
    s.run(Stack::new("shop").service("web", "web:1", 2));
    s.reconcile("shop", vec![create("web", 1), create("web", 2)]);
    let leave =
        SetAvailability { node: NodeId(2), availability: Availability::Leaving, forced: true };
    s.run(Command::SetAvailability(leave));
    assert_eq!(s.run(Command::RemoveNode(RemoveNode { node: NodeId(2) })), Outcome::Done);
    assert!(s.state.subnet(&key("shop", "default", 1)).unwrap().released.is_none());
    assert!(s.state.subnet(&key("shop", "default", 2)).unwrap().released.is_some());
}
