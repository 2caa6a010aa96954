//! A hundred whole nodes with five thousand replicas in one process. One of them is lost.
//!
//! Each of the hundred applies what happens to each replica: a debug build has two thousand of them, unless
//! `JACO_LONG` is set.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant as WallClock},
};

use jaco_api::model::{Intent, NodeCondition};
use jaco_engine::{
    scheduler,
    testing::{Cluster, cluster::EPOCH},
};
use jaco_sim::{
    scenario::{Deployment, Recipe},
    world::manifest::manifest,
};
use tokio::time::Instant;

const NODES: usize = 100;
const DEPLOYMENTS: usize = 50;

/// Of each deployment.
fn replicas() -> u32 {
    let short = cfg!(debug_assertions) && std::env::var_os("JACO_LONG").is_none();
    if short { 40 } else { 100 }
}

/// Memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

async fn until(what: &str, bound: Duration, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < bound, "{what} did not happen within {bound:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_one_of_a_hundred_nodes_is_replanned_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let (empty, began) = (resident(), WallClock::now());
    let mut cluster = Cluster::of(dir.path(), NODES).await;
    until("every node to be ready", Duration::from_secs(120), || {
        let state = cluster.host(0).state().unwrap();
        let ready = state.nodes().filter(|n| n.condition == NodeCondition::Ready).count();
        ready == NODES && cluster.host(0).status().unwrap().voters().count() == 7
    })
    .await;
    println!("{NODES} nodes formed in {:.1?}", began.elapsed());
    cluster.client(0).set_setting("node_down_grace", "0s").await.unwrap();
    // A block for each deployment on each node.
    cluster.client(0).set_setting("address_pools", "10.128.0.0/11:24").await.unwrap();
    for n in 0..DEPLOYMENTS {
        let mut apply = manifest(Deployment::Web, &Recipe::good(1, replicas()), 1);
        apply.jaco = format!("deployment: web-{n}\n");
        cluster.client(n % NODES).apply(apply).await.unwrap();
    }
    let all = DEPLOYMENTS * replicas() as usize;
    let running = |cluster: &Cluster| {
        let state = cluster.host(0).state().unwrap();
        state.replicas().filter(|r| r.is_running()).count()
    };
    until("every replica to run", Duration::from_secs(120), || running(&cluster) == all).await;
    println!("{all} replicas running after {:.1?}", began.elapsed());
    let per_node = (resident() - empty) / NODES as u64;
    println!("memory: {per_node} KiB per node, with its fake engine and disk");

    let lost = cluster.host(NODES - 1).member().unwrap();
    cluster.crash(NODES - 1).await;
    let state = || cluster.host(0).state().unwrap();
    until("it to be down", Duration::from_secs(10), || {
        state().node(lost).is_none_or(|n| n.condition == NodeCondition::Down)
    })
    .await;
    let before = state();
    let (known, wall) = (Instant::now(), WallClock::now());
    until("all its replicas to be placed elsewhere", Duration::from_secs(10), || {
        let elsewhere = |r: &&std::sync::Arc<jaco_api::model::Replica>| {
            r.intent == Intent::Run && r.node != lost
        };
        state().replicas().filter(elsewhere).count() >= all
    })
    .await;
    let (simulated, on_this_machine) = (known.elapsed(), wall.elapsed());
    println!("re-planned and committed after {simulated:?}; {on_this_machine:?} for all nodes");
    assert!(simulated < Duration::from_secs(1), "{simulated:?}");

    // The leader's share of that work: the plan alone.
    let touched: BTreeSet<_> = before.deployments().map(|d| d.name.clone()).collect();
    let wall = WallClock::now();
    let plan = scheduler::plan(&before, &touched, EPOCH.after(Duration::from_secs(3_600)));
    println!("{} batches planned in {:.0?}", plan.batches.len(), wall.elapsed());
    assert!(wall.elapsed() < Duration::from_secs(1), "{:?}", wall.elapsed());
    until("them to run", Duration::from_secs(20), || running(&cluster) >= all).await;
}
