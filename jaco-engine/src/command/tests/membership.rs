use std::collections::{BTreeMap, BTreeSet};

use jaco_api::{
    error::ErrorCode,
    model::{
        AuditKind, Availability, Digest, JoinToken, MeshFacts, MeshKey, MeshKind, NodeCondition,
        NodeId, NodeStatus, Observation, ReplicaState, Span, Timestamp,
    },
};

use super::{audited, refused};
use crate::{
    command::{
        AdmitNode, Command, IssueJoinToken, LabelNode, Outcome, RemoveNode, ReserveKey, RotateKey,
        SetAvailability, UpdateNode,
    },
    testing::builders::{Scenario, Stack, name, node, sealed},
};

fn with_join_token() -> Scenario {
    let mut s = Scenario::new();
    let token = JoinToken {
        hash: Digest::of(b"secret"),
        issued_at: s.now,
        expires_at: Timestamp(s.now.0 + 1_000),
        consumed_by: None,
    };
    assert_eq!(s.run(Command::IssueJoinToken(IssueJoinToken { token })), Outcome::Done);
    s
}

fn admit(secret: &str, called: &str) -> Command {
    Command::AdmitNode(Box::new(AdmitNode {
        token: Digest::of(secret.as_bytes()),
        name: name(called),
        facts: node(2).facts,
    }))
}

fn condition(node: u64, condition: NodeCondition) -> Command {
    let condition = Some((condition, None));
    Command::UpdateNode(UpdateNode { node: NodeId(node), facts: None, condition })
}

fn available(node: u64, availability: Availability) -> Command {
    let (node, forced) = (NodeId(node), false);
    Command::SetAvailability(SetAvailability { node, availability, forced })
}

#[test]
fn a_join_token_admits_one_node_once() {
    let mut s = with_join_token();
    assert_eq!(refused(&s.run(admit("forged", "b"))), ErrorCode::JoinTokenInvalid);
    assert_eq!(refused(&s.run(admit("secret", "node-1"))), ErrorCode::NodeAlreadyMember);
    assert_eq!(s.run(admit("secret", "b")), Outcome::Admitted { node: NodeId(2) });
    assert_eq!(refused(&s.run(admit("secret", "c"))), ErrorCode::JoinTokenConsumed);
    assert_eq!(s.state.node_named(&name("b")).unwrap().status, NodeStatus::Joining);
    assert_eq!(audited(&s.state, AuditKind::NodeJoin), 1);

    let mut late = with_join_token();
    late.pass(Span(1_000));
    assert_eq!(refused(&late.run(admit("secret", "b"))), ErrorCode::JoinTokenExpired);
    assert!(late.state.node_named(&name("b")).is_none());
}

#[test]
fn the_same_request_is_admitted_once_and_answered_twice() {
    let mut s = with_join_token();
    let first = s.run_as(Some("join/1"), admit("secret", "b"));
    assert_eq!(s.run_as(Some("join/1"), admit("secret", "b")), first);
    assert_eq!(s.state.nodes().count(), 2);
}

#[test]
fn numbers_of_nodes_are_not_given_out_again() {
    let mut s = with_join_token();
    s.run(admit("secret", "b"));
    s.run(available(2, Availability::Leaving));
    assert_eq!(s.run(Command::RemoveNode(RemoveNode { node: NodeId(2) })), Outcome::Done);
    assert!(s.state.node_named(&name("b")).is_none());
    let token = JoinToken {
        hash: Digest::of(b"next"),
        issued_at: s.now,
        expires_at: Timestamp(s.now.0 + 1),
        consumed_by: None,
    };
    s.run(Command::IssueJoinToken(IssueJoinToken { token }));
    assert_eq!(s.run(admit("next", "b")), Outcome::Admitted { node: NodeId(3) });
}

#[test]
fn replicas_of_a_lost_node_are_lost_until_it_reports_them_again() {
    let mut s = Scenario::new();
    let ids = s.deploy(Stack::new("shop").service("web", "web:1", 2));
    let observed = |state| Observation { generation: 1, state, ..Observation::default() };
    s.run(condition(1, NodeCondition::Down));
    assert!(ids.iter().all(|id| s.replica(id).observed.state == ReplicaState::Lost));
    assert_eq!(audited(&s.state, AuditKind::NodeDown), 1);
    // What a node says that counts as lost does not count.
    s.report(&ids[0], Some(observed(ReplicaState::Running)));
    assert_eq!(s.replica(&ids[0]).observed.state, ReplicaState::Lost);
    s.run(condition(1, NodeCondition::Ready));
    assert_eq!(audited(&s.state, AuditKind::NodeUp), 1);
    s.report(&ids[0], Some(observed(ReplicaState::Running)));
    assert!(s.replica(&ids[0]).is_running());
    s.run(condition(1, NodeCondition::Degraded));
    assert_eq!(s.replica(&ids[0]).observed.state, ReplicaState::Lost);
}

#[test]
fn a_removed_node_takes_its_replicas_and_volumes_along() {
    let mut s = Scenario::new().with_nodes(2);
    s.deploy(Stack::new("shop").stateful("db", "db:1"));
    let remove = || Command::RemoveNode(RemoveNode { node: NodeId(1) });
    assert_eq!(refused(&s.run(remove())), ErrorCode::Conflict, "it is to stay");
    s.run(available(1, Availability::Leaving));
    assert_eq!(s.run(remove()), Outcome::Done);
    assert_eq!((s.replicas("shop").len(), s.state.volumes().count()), (0, 0));
    assert_eq!(s.run(remove()), Outcome::Done, "a second time changes nothing");
    assert_eq!(audited(&s.state, AuditKind::NodeRemove), 1);
    assert_eq!(refused(&s.run(available(2, Availability::Leaving))), ErrorCode::Conflict);
}

#[test]
fn labels_are_set_and_removed_together() {
    let mut s = Scenario::new();
    let label = |set: &[(&str, &str)], remove: &[&str]| {
        let set = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let set = set.collect::<BTreeMap<_, _>>();
        let remove = remove.iter().map(|k| (*k).to_owned()).collect::<BTreeSet<_>>();
        Command::LabelNode(LabelNode { node: NodeId(1), set, remove })
    };
    s.run(label(&[("disk", "ssd"), ("zone", "a")], &[]));
    s.run(label(&[("zone", "b")], &["disk"]));
    let labels = &s.state.node(NodeId(1)).unwrap().labels;
    assert_eq!(labels, &BTreeMap::from([("zone".to_owned(), "b".to_owned())]));
}

#[test]
fn a_data_key_follows_the_present_one_and_no_number_is_given_out_twice() {
    let mut s = Scenario::new();
    let sealed = |key_id| jaco_api::model::Sealed { key_id, ..sealed(b"ca") };
    let rotate = |key_id| Command::RotateKey(RotateKey { key_id, ca_key: sealed(key_id) });
    assert_eq!(refused(&s.run(rotate(2))), ErrorCode::Conflict, "it was not given out");
    assert_eq!(s.run(Command::ReserveKey(ReserveKey)), Outcome::KeyReserved { key_id: 2 });
    assert_eq!(s.run(Command::ReserveKey(ReserveKey)), Outcome::KeyReserved { key_id: 3 });
    assert_eq!(s.run(rotate(3)), Outcome::Done);
    assert_eq!(refused(&s.run(rotate(2))), ErrorCode::Conflict, "an attempt that was overtaken");
    assert_eq!(refused(&s.run(rotate(3))), ErrorCode::Conflict);
    let cluster = s.state.cluster().unwrap();
    assert_eq!((cluster.data_key, cluster.ca_key.key_id, cluster.last_key), (3, 3, 3));
}

#[test]
fn each_node_has_an_address_of_its_own_which_goes_with_it() {
    let address = |s: &Scenario, called: &str| {
        s.state.node_named(&name(called)).and_then(|n| n.mesh_address).map(|a| a.to_string())
    };
    let mut s = with_join_token();
    assert_eq!(address(&s, "node-1").as_deref(), Some("10.243.0.1"));
    s.run(admit("secret", "b"));
    assert_eq!(address(&s, "b").as_deref(), Some("10.243.0.2"));
    let set = |value: &str| {
        Command::SetSetting(crate::command::SetSetting {
            key: "mesh_pool".into(),
            value: value.into(),
        })
    };
    let Outcome::Rejected(error) = s.run(set("10.9.0.0/16")) else {
        panic!("nodes have addresses")
    };
    assert_eq!(error.details.get("nodes").map(String::as_str), Some("b, node-1"));
    assert_eq!(s.run(set("10.243.0.0/29")), Outcome::Done, "both stay in it");
    s.run(available(2, Availability::Leaving));
    s.run(Command::RemoveNode(RemoveNode { node: NodeId(2) }));
    for (secret, expected) in [("2", "10.243.0.2"), ("3", "10.243.0.3"), ("4", "10.243.0.4")] {
        join(&mut s, secret);
        assert_eq!(address(&s, &format!("n{secret}")).as_deref(), Some(expected));
    }
    join(&mut s, "5");
    join(&mut s, "6");
    assert_eq!(refused(&join(&mut s, "7")), ErrorCode::SubnetPoolExhausted);
}

/// Issues a join token and admits a node with it.
fn join(s: &mut Scenario, secret: &str) -> Outcome {
    let token = JoinToken {
        hash: Digest::of(secret.as_bytes()),
        issued_at: s.now,
        expires_at: Timestamp(s.now.0 + 1_000),
        consumed_by: None,
    };
    s.run(Command::IssueJoinToken(IssueJoinToken { token }));
    s.run(admit(secret, &format!("n{secret}")))
}

#[test]
fn a_node_from_before_gets_its_address_with_its_next_news() {
    let mut s = Scenario::new().with_nodes(2);
    assert_eq!(s.state.node(NodeId(2)).unwrap().mesh_address, None);
    s.run(condition(2, NodeCondition::Degraded));
    let address = s.state.node(NodeId(2)).unwrap().mesh_address;
    assert_eq!(address.map(|a| a.to_string()).as_deref(), Some("10.243.0.2"));
}

#[test]
fn another_mesh_key_is_told_and_the_first_one_is_not() {
    let mut s = Scenario::new();
    let keyed = |s: &Scenario, key: u8| {
        let mut facts = s.state.node(NodeId(1)).unwrap().facts.clone();
        facts.mesh = Some(MeshFacts {
            public_key: MeshKey([key; 32]),
            endpoint: "10.0.0.1:51820".parse().unwrap(),
            device: MeshKind::Kernel,
            reason: None,
        });
        Command::UpdateNode(UpdateNode { node: NodeId(1), facts: Some(facts), condition: None })
    };
    for (key, told) in [(1, 0), (1, 0), (2, 1), (2, 1), (1, 2)] {
        let update = keyed(&s, key);
        assert_eq!(s.run(update), Outcome::Done);
        assert_eq!(audited(&s.state, AuditKind::MeshKeyRotated), told, "{key}");
    }
}
