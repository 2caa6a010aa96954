//! Nodes that are behind: a learner that cannot keep up, a follower that was away for long.

use std::time::Duration;

use jaco_api::model::{Actor, NodeId, RaftRole};

use crate::support::{Sim, mark};

/// Writes so many entries through the leader, many at a time.
async fn write_many(sim: &Sim, count: usize) {
    let leader = sim.leader().expect("somebody leads");
    let submitter = sim.host(leader).membership().unwrap().submitter.clone();
    let mut left = count;
    while left > 0 {
        let batch = left.min(500);
        let writes = (0..batch).map(|_| {
            let submitter = submitter.clone();
            tokio::spawn(async move { submitter.submit(Actor::system(None), None, mark()).await })
        });
        let writes: Vec<_> = writes.collect();
        for write in writes {
            write.await.unwrap().unwrap();
        }
        left -= batch;
    }
}

#[tokio::test(start_paused = true)]
async fn a_learner_far_behind_is_not_given_a_vote() {
    let mut sim = Sim::of(2).await;
    let slow = sim.add_host();
    sim.host(slow).disk().set_flush(Duration::from_secs(3), Duration::from_secs(3));
    sim.start(slow).await.unwrap();
    sim.join(slow, 0).await.unwrap();
    let id = NodeId(3);
    let role = |sim: &Sim| sim.host(0).status()?.members.get(&id).map(|m| (m.role, m.lag));
    sim.until("it to follow", |s| role(s)).await;
    for _ in 0..40 {
        write_many(&sim, 200).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        // It gives its signs of life all the time: only its log is behind.
        assert_eq!(role(&sim).unwrap().0, RaftRole::Learner, "{:?}", role(&sim));
    }
    sim.host(slow).disk().set_flush(Duration::ZERO, Duration::ZERO);
    sim.until("it to vote", |s| (role(s)?.0 == RaftRole::Voter).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_away_for_twenty_thousand_entries_comes_back_by_snapshot() {
    let mut sim = Sim::of(3).await;
    sim.crash(2).await;
    write_many(&sim, 20_000).await;
    let before = sim.state(0).index();
    sim.start(2).await.unwrap();
    sim.until("it to catch up", |s| (s.host(2).status()?.applied >= before).then_some(())).await;
    let status = sim.host(2).status().unwrap();
    assert!(status.snapshot > 15_000 && status.caught_up, "it came by a snapshot: {status:?}");
    sim.same_on(&[0, 1, 2]).await;
    // And it starts from there.
    sim.crash(2).await;
    write_many(&sim, 10).await;
    sim.start(2).await.unwrap();
    sim.until("it to catch up", |s| s.host(2).status()?.caught_up.then_some(())).await;
    sim.same_on(&[0, 1, 2]).await;
}
