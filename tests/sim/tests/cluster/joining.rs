//! Joining: one token, one node.

use std::time::Duration;

use jaco_api::{error::ErrorCode, model::AuditKind};

use crate::support::Sim;

#[tokio::test(start_paused = true)]
async fn of_two_that_join_with_one_token_at_once_one_is_admitted() {
    let mut sim = Sim::of(1).await;
    for _ in 0..2 {
        let at = sim.add_host();
        sim.start(at).await.unwrap();
    }
    let issued = sim.client(0).issue_join_token(None).await.unwrap();
    let (one, other) = (sim.client(1), sim.client(2));
    let (one, other) = tokio::join!(
        one.join(&issued.peer, &issued.token),
        other.join(&issued.peer, &issued.token)
    );
    let (joined, refused) = match (one, other) {
        (Ok(joined), Err(refused)) | (Err(refused), Ok(joined)) => (joined, refused),
        both => panic!("one wins: {both:?}"),
    };
    assert_eq!(refused.code(), Some(ErrorCode::JoinTokenConsumed), "{refused}");
    sim.formed(2).await;
    let names: Vec<_> = sim.state(0).nodes().map(|n| n.name.clone()).collect();
    assert_eq!(names, ["a".parse().unwrap(), joined.node]);
}

#[tokio::test(start_paused = true)]
async fn who_joins_is_not_taken_for_lost_before_it_could_give_a_sign_of_life() {
    let mut sim = Sim::of(2).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let late = sim.add_host();
    sim.start(late).await.unwrap();
    let leader = sim.leader().unwrap();
    let [name, leads] = [late, leader].map(|at| sim.host(at).name().to_string());
    sim.network().cut_one_way(name.as_str(), leads.as_str());
    sim.join(late, 1 - leader).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    sim.network().heal();
    sim.formed(3).await;
    let state = sim.state(0);
    let downs: Vec<_> = state.audit_after(0).filter(|e| e.kind == AuditKind::NodeDown).collect();
    assert!(downs.is_empty(), "{downs:?}");
}
