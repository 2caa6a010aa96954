//! Joining: one token, one node.

use jaco_api::error::ErrorCode;

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
