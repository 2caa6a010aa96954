//! Three members on the simulated network, with time that passes by itself when all wait.

use std::{collections::BTreeSet, time::Duration};

use jaco_api::{
    error::ErrorCode,
    model::{Actor, NodeId},
};
use tokio::time::Instant;

use super::nodes::{Nodes, mark, marks, write};
use crate::raft::{RaftTiming, error::RaftError, types::Proposal};

#[tokio::test(start_paused = true)]
async fn any_node_accepts_writes_and_reads_its_own() {
    let nodes = Nodes::three(RaftTiming::default()).await;
    for id in 1..=3 {
        write(nodes.raft(id), mark(id)).await.unwrap();
        assert!(marks(&nodes.raft(id).state().newest()).contains(&id.to_string()));
    }
    let state = nodes.same_everywhere().await;
    assert_eq!(marks(&state), ["1", "2", "3"]);
    for id in 1..=3 {
        assert!(nodes.until(id, |s| s.caught_up).await.applied >= 6);
        let index = nodes.raft(id).read_index().await.unwrap();
        assert_eq!(index, state.index());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_leader_is_replaced_within_three_seconds_and_comes_back_as_follower() {
    let nodes = Nodes::three(RaftTiming::default()).await;
    nodes.network.isolate(NodeId(1));
    let lost = Instant::now();
    write(nodes.raft(2), mark("after")).await.unwrap();
    assert!(lost.elapsed() < Duration::from_secs(3), "{:?}", lost.elapsed());
    // The old leader knows that it leads no more, and why nothing is accepted there.
    nodes.until(1, |s| !s.is_leader).await;
    let error = write(nodes.raft(1), mark("lost")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::QuorumLost);
    assert!(nodes.raft(1).read_index().await.is_err());

    nodes.network.heal();
    let leader = nodes.leader_among(&[2, 3]).await;
    nodes.until(1, |s| s.leader == Some(NodeId(leader))).await;
    write(nodes.raft(1), mark("healed")).await.unwrap();
    let state = nodes.same_everywhere().await;
    assert_eq!(marks(&state), ["after", "healed"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_does_not_disturb_when_it_returns() {
    let nodes = Nodes::three(RaftTiming::default()).await;
    let before = nodes.until(1, |s| s.is_leader).await.term;
    nodes.network.isolate(NodeId(3));
    tokio::time::sleep(Duration::from_secs(60)).await;
    nodes.network.heal();
    nodes.until(3, |s| s.leader == Some(NodeId(1))).await;
    write(nodes.raft(3), mark("back")).await.unwrap();
    let after = nodes.until(1, |s| s.is_leader).await.term;
    assert_eq!(before, after, "no election took place");
    nodes.same_everywhere().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_far_behind_gets_a_snapshot_that_replaces_everything() {
    let timing = RaftTiming { snapshot_every: 20, keep: 5, ..RaftTiming::default() };
    let mut nodes = Nodes::three(timing).await;
    nodes.network.isolate(NodeId(3));
    for n in 0..100 {
        write(nodes.raft(2), mark(n)).await.unwrap();
    }
    nodes.network.heal();
    nodes.until(3, |s| s.snapshot > 20 && s.applied > 100).await;
    let state = nodes.same_everywhere().await;
    assert_eq!(marks(&state).len(), 100);
    // And it starts from that snapshot when it dies.
    nodes.restart(3).await;
    nodes.until(3, |s| s.caught_up).await;
    write(nodes.raft(3), mark("again")).await.unwrap();
    nodes.same_everywhere().await;
}

#[tokio::test(start_paused = true)]
async fn writes_from_everywhere_survive_elections_and_are_applied_once() {
    let nodes = Nodes::three(RaftTiming::default()).await;
    let writers = (1..=3_u64).flat_map(|id| (0..10).map(move |w| (id, w))).map(|(id, w)| {
        let submitter = nodes.raft(id).submitter();
        tokio::spawn(async move {
            let (mut accepted, mut refused) = (Vec::new(), Vec::new());
            for n in 0..10 {
                let (text, began) = (format!("{id}.{w}.{n}"), Instant::now());
                match submitter.submit(Actor::system(None), None, mark(&text)).await {
                    Ok(_) => accepted.push(text),
                    Err(error) => refused.push((id, began, Instant::now(), error.code)),
                }
                tokio::time::sleep(Duration::from_millis(170)).await;
            }
            (accepted, refused)
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut cuts = Vec::new();
    for _ in 0..3 {
        let leader = nodes.leader_among(&[1, 2, 3]).await;
        let began = Instant::now();
        nodes.network.isolate(NodeId(leader));
        let others: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
        nodes.leader_among(&others).await;
        nodes.network.heal();
        cuts.push((leader, began, Instant::now()));
    }
    let (mut accepted, mut refused) = (BTreeSet::new(), Vec::new());
    for writer in writers {
        let (done, not_done) = writer.await.unwrap();
        accepted.extend(done);
        refused.extend(not_done);
    }
    let state = nodes.same_everywhere().await;
    let applied = marks(&state);
    let once: BTreeSet<String> = applied.iter().cloned().collect();
    assert_eq!(once.len(), applied.len(), "nothing was applied twice");
    assert!(accepted.is_subset(&once), "nothing that was acknowledged is lost");
    // Whoever writes through a node that is cut off is told soon; all others get through.
    for (node, began, ended, code) in refused {
        assert_eq!(code, ErrorCode::QuorumLost);
        let cut = cuts.iter().find(|(id, from, to)| *id == node && began < *to && ended > *from);
        let (_, from, _) = cut.unwrap_or_else(|| {
            panic!("node {node} was not cut off between {began:?} and {ended:?}: {cuts:?}")
        });
        let told = ended - began.max(*from);
        assert!(told < Duration::from_millis(1_900), "told after {told:?}");
    }
    assert!(accepted.len() > 200, "only {} of 300 got through", accepted.len());
}

#[tokio::test(start_paused = true)]
async fn the_lead_is_handed_over_and_a_dead_follower_is_no_loss() {
    let mut nodes = Nodes::three(RaftTiming::default()).await;
    nodes.raft(1).transfer_leader(NodeId(2)).await.unwrap();
    let began = Instant::now();
    nodes.until(2, |s| s.is_leader).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    nodes.restart(1).await;
    write(nodes.raft(3), mark("x")).await.unwrap();
    nodes.until(1, |s| s.caught_up).await;
    nodes.same_everywhere().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_group_writes_nothing_and_its_status_is_still() {
    let nodes = Nodes::three(RaftTiming::default()).await;
    nodes.until(1, |s| s.members.values().all(|m| m.lag == Some(0))).await;
    nodes.same_everywhere().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut watches: Vec<_> = (1..=3).map(|id| nodes.raft(id).status()).collect();
    let before: Vec<_> = watches.iter_mut().map(|w| w.borrow_and_update().clone()).collect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    for (watch, before) in watches.iter().zip(before) {
        assert!(!watch.has_changed().unwrap(), "{before:#?} became {:#?}", *watch.borrow());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_command_stops_the_node_and_says_why() {
    let nodes = Nodes::three(RaftTiming::default()).await;
    let foreign = Proposal(bytes::Bytes::from_static(&[0xfa, 0x3f, 0x00]));
    let _ = nodes.raft(1).service().raft.client_write(foreign).await;
    for id in 1..=3 {
        let status = nodes.until(id, |s| s.fault.is_some()).await;
        assert!(matches!(status.fault.as_deref(), Some(RaftError::Entry { .. })), "{status:?}");
        assert!(!status.is_leader);
        let error = write(nodes.raft(id), mark("no")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::VersionMismatch);
    }
}
