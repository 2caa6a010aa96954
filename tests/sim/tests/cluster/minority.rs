//! The smaller side of a partition: it says how old its answers are, refuses writes, and leaves alone
//! what runs.

use std::time::Duration;

use jaco_api::{error::ErrorCode, model::NodeStatus};
use jaco_client::StatusQuery;
use jaco_sim::scenario::Deployment;
use tokio::time::Instant;

use crate::support::{Sim, write};

/// A write through the node of a host is refused for lack of a quorum, soon.
async fn is_refused(sim: &Sim, at: usize) {
    let asked = Instant::now();
    assert_eq!(write(sim, at).await, Err(ErrorCode::QuorumLost));
    assert!(asked.elapsed() <= Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_answers_with_what_it_knows_and_keeps_what_runs() {
    let mut sim = Sim::of(3).await;
    sim.deploy(Deployment::Web, 6).await;
    assert_eq!(sim.running_on(2), 2);
    sim.network().isolate("c");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let view = sim.client(2).status(&StatusQuery::default()).await.unwrap();
    assert!(view.is_stale() && view.replicas().count() == 6);
    is_refused(&sim, 2).await;
    assert_eq!(sim.running_on(2), 2, "nothing is swept");
    // Nor by a daemon that starts there.
    sim.crash(2).await;
    sim.start(2).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    is_refused(&sim, 2).await;
    assert_eq!(sim.running_on(2), 2);
    // The others go on meanwhile, and have replaced what they lost.
    write(&sim, 0).await.unwrap();
    let status = |s: &Sim| s.state(0).nodes().last().map(|n| n.status);
    assert_eq!(status(&sim), Some(NodeStatus::Down));
    assert_eq!((sim.running_on(0), sim.running_on(1)), (3, 3));
    sim.network().heal();
    sim.until("c to have nothing that is not its own", |s| {
        let running: usize = (0..3).map(|at| s.running_on(at)).sum();
        (status(s) == Some(NodeStatus::Ready) && running == 6).then_some(())
    })
    .await;
    sim.same_on(&[0, 1, 2]).await;
}

#[tokio::test(start_paused = true)]
async fn two_of_two_with_one_lost_refuse_writes_where_the_voter_is_gone() {
    let mut sim = Sim::of(2).await;
    sim.crash(1).await;
    write(&sim, 0).await.unwrap();
    sim.start(1).await.unwrap();
    sim.until("b to be back", |s| s.host(1).status()?.caught_up.then_some(())).await;
    sim.crash(0).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    is_refused(&sim, 1).await;
    assert!(sim.client(1).status(&StatusQuery::default()).await.unwrap().is_stale());
    sim.start(0).await.unwrap();
    write(&sim, 1).await.unwrap();
}
