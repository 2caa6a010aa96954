use jaco_api::{
    error::ErrorCode,
    model::{NodeId, Observation, Reason, ReplicaId, ReplicaState, Report, Span, Timestamp},
};

use super::refused;
use crate::{
    command::{Action, Command, Outcome},
    state::snapshot,
    testing::builders::{Scenario, Stack, name, replica_id},
};

fn started(replicas: u32) -> (Scenario, Vec<ReplicaId>) {
    let mut s = Scenario::new();
    s.run(Stack::new("shop").service("web", "web:1", replicas));
    let ids = s.create("shop", "web", replicas as usize);
    (s, ids)
}

fn seen(generation: u64, state: ReplicaState) -> Option<Observation> {
    Some(Observation { generation, state, ..Observation::default() })
}

#[test]
fn what_was_seen_of_another_generation_or_by_another_node_counts_for_nothing() {
    let (mut s, ids) = started(1);
    s.reconcile("shop", vec![Action::Advance { replica: ids[0].clone() }]);
    let before = s.state.clone();
    s.report(&ids[0], seen(1, ReplicaState::Running));
    s.report(&ids[0], seen(3, ReplicaState::Running));
    assert_eq!(snapshot::write(&before.at_index(s.state.index())), snapshot::write(&s.state));

    let mut s = s.with_nodes(2);
    let part = jaco_api::model::ReplicaReport {
        id: ids[0].clone(),
        observation: seen(2, ReplicaState::Running),
        prepared: None,
        log_tail: None,
    };
    let report = |node| {
        Command::Report(Report { node, replicas: vec![part.clone()], removed_volumes: vec![] })
    };
    assert_eq!(s.run(report(NodeId(2))), Outcome::Done);
    assert!(!s.replica(&ids[0]).is_running());
    assert_eq!(refused(&s.run(report(NodeId(3)))), ErrorCode::UnknownNode);
    s.run(report(NodeId(1)));
    assert!(s.replica(&ids[0]).is_running());
}

#[test]
fn times_are_those_of_the_command() {
    let (mut s, ids) = started(1);
    let id = &ids[0];
    let times = |s: &Scenario| {
        let r = s.replica(id);
        (r.starting_at, r.running_since)
    };
    s.observe(id, ReplicaState::Pulling);
    assert_eq!(times(&s), (None, None), "fetching an image is not starting");
    s.pass(Span::secs(100));
    let start = s.now;
    s.observe(id, ReplicaState::Starting);
    s.pass(Span::secs(1));
    let running = s.now;
    s.observe(id, ReplicaState::Running);
    s.pass(Span::secs(1));
    let restarted = Observation {
        generation: 1,
        state: ReplicaState::Running,
        restarts: 1,
        ..Default::default()
    };
    s.report(id, Some(restarted));
    assert_eq!(times(&s), (Some(start), Some(running)), "it did not leave running");
    s.observe(id, ReplicaState::Degraded);
    assert_eq!(times(&s), (Some(start), Some(running)), "it ran before, and that is still known");
    s.pass(Span::secs(1));
    s.observe(id, ReplicaState::Running);
    assert_eq!(times(&s), (Some(start), Some(s.now)));
    s.reconcile("shop", vec![Action::Advance { replica: id.clone() }]);
    assert_eq!(times(&s), (None, None));
}

#[test]
fn events_are_transitions_and_the_last_twenty_are_kept() {
    let (mut s, ids) = started(1);
    s.observe(&ids[0], ReplicaState::Running);
    let restarted = Observation {
        generation: 1,
        state: ReplicaState::Running,
        restarts: 1,
        ..Default::default()
    };
    s.report(&ids[0], Some(restarted));
    assert_eq!(s.state.events_of(&ids[0]).count(), 1);
    for n in 0..30 {
        let state = if n % 2 == 0 { ReplicaState::Degraded } else { ReplicaState::Running };
        s.observe(&ids[0], state);
    }
    let kept: Vec<_> = s.state.events_of(&ids[0]).map(|e| e.sequence).collect();
    assert_eq!(kept, (12..=31).collect::<Vec<_>>());
    let reason = Some(Reason { code: None, message: "waits".into() });
    let why =
        Observation { generation: 1, state: ReplicaState::Running, reason, ..Default::default() };
    s.report(&ids[0], Some(why));
    assert_eq!(s.state.events_of(&ids[0]).last().unwrap().sequence, 32);
}

#[test]
fn events_of_former_replicas_are_bounded_together() {
    let (mut s, _) = started(0);
    for round in 0..30 {
        let id = s.create("shop", "web", 1).remove(0);
        for n in 0..10 {
            let state = if n % 2 == 0 { ReplicaState::Starting } else { ReplicaState::Running };
            s.pass(Span(1));
            s.observe(&id, state);
        }
        s.reconcile("shop", vec![Action::Remove { replica: id.clone() }]);
        s.report(&id, None);
        assert!(s.state.replica(&id).is_none(), "round {round}");
        assert!(s.state.events.len() <= 200);
    }
    assert_eq!(s.state.events.len(), 200);
    assert_eq!(
        s.state.events_of(&replica_id("shop", "web", 1)).count(),
        0,
        "the oldest went first"
    );
    assert_eq!(s.state.events().last().unwrap().state, ReplicaState::Stopped);
}

#[test]
fn a_container_that_is_gone_ends_only_a_replica_that_was_to_go() {
    let (mut s, ids) = started(1);
    s.report(&ids[0], None);
    assert!(s.state.replica(&ids[0]).is_some());
    s.reconcile("shop", vec![Action::Remove { replica: ids[0].clone() }]);
    s.report(&ids[0], seen(1, ReplicaState::Stopping));
    assert_eq!(s.replica(&ids[0]).observed.state, ReplicaState::Stopping);
    s.report(&ids[0], None);
    assert!(s.state.replica(&ids[0]).is_none());
    assert!(s.state.deployment(&name("shop")).is_some());
    assert_ne!(s.now, Timestamp(0));
}
