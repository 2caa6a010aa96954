//! Nodes that are no members any more.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jaco_engine::testing::engine::{Act, Onlooker};
use jaco_sim::scenario::Deployment;

use crate::support::{Sim, write};

/// Notes who does what.
#[derive(Default)]
struct Diary(Mutex<Vec<(String, Act)>>);

impl Onlooker for Diary {
    fn asked(&self, host: &str, act: &Act) {
        self.0.lock().unwrap().push((host.to_owned(), act.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_removed_while_it_was_away_clears_up_and_never_acts_again() {
    let diary = Arc::new(Diary::default());
    let sim = Sim::with(4, |cluster| cluster.onlooker(diary.clone())).await;
    sim.deploy(Deployment::Web, 8).await;
    sim.network().isolate("d");
    sim.client(0).remove_node(&"d".parse().unwrap(), true).await.unwrap();
    sim.until("d to be gone", |s| (s.state(0).nodes().count() == 3).then_some(())).await;
    sim.until("8 replicas on three nodes", |s| {
        ((0..3).map(|at| s.running_on(at)).sum::<usize>() == 8).then_some(())
    })
    .await;
    assert_eq!(sim.running_on(3), 2, "it cannot know");
    let term = sim.host(0).status().unwrap().term;
    diary.0.lock().unwrap().clear();
    sim.network().heal();
    sim.until("d to know it", |s| s.host(3).membership().is_none().then_some(())).await;
    assert_eq!(sim.running_on(3), 0);
    let starts =
        |(host, act): &(String, Act)| host == "d" && matches!(act, Act::Create(..) | Act::Start(_));
    assert!(!diary.0.lock().unwrap().iter().any(starts));
    diary.0.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let acts = diary.0.lock().unwrap().clone();
    assert!(acts.iter().all(|(host, _)| host != "d"), "{acts:?}");
    // Its votes disturbed nobody, and its name is free.
    assert_eq!(sim.host(0).status().unwrap().term, term);
    sim.join(3, 1).await.unwrap();
    sim.formed(4).await;
    assert_eq!(sim.host(3).member().map(|id| id.0), Some(5), "a number is not given out again");
}

/// Found by seed 100: it knew no member that it could have asked.
#[tokio::test(start_paused = true)]
async fn a_node_that_was_removed_before_the_leader_ever_reached_it_learns_of_it() {
    let mut sim = Sim::of(3).await;
    let late = sim.add_host();
    sim.start(late).await.unwrap();
    let leader = sim.leader().unwrap();
    let other = (leader + 1) % 3;
    let places = [sim.host(leader).name().clone(), sim.host(late).name().clone()];
    sim.network().cut_one_way(places[0].as_str(), places[1].as_str());
    sim.join(late, other).await.unwrap();
    sim.client(other).remove_node(&places[1], true).await.unwrap();
    sim.until("it to be gone", |s| (s.state(other).nodes().count() == 3).then_some(())).await;
    // Even by a start that finds nothing but what it was told when it joined.
    sim.crash(late).await;
    sim.start(late).await.unwrap();
    sim.until("it to know it", |s| s.host(late).membership().is_none().then_some(())).await;
    sim.network().heal();
    sim.join(late, other).await.unwrap();
    sim.formed(4).await;
    write(&sim, late).await.unwrap();
}
