//! A leader that dies.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Sim, write};

#[tokio::test(start_paused = true)]
async fn a_write_is_accepted_within_three_seconds_of_a_leaders_death() {
    let mut sim = Sim::of(3).await;
    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        let leader = sim.leader().expect("somebody leads");
        let others = [(leader + 1) % 3, (leader + 2) % 3];
        sim.crash(leader).await;
        let died = Instant::now();
        write(&sim, others[round % 2]).await.unwrap();
        slowest = slowest.max(died.elapsed());
        sim.start(leader).await.unwrap();
        sim.until("it to be back", |s| s.host(leader).status()?.caught_up.then_some(())).await;
        sim.until("a leader", |s| s.leader()).await;
    }
    println!("slowest of 20: {slowest:?}");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    sim.same_on(&[0, 1, 2]).await;
}
