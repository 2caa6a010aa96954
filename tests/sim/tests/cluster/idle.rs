//! A cluster at rest.

use std::time::Duration;

use jaco_sim::scenario::Deployment;

use crate::support::Sim;

#[tokio::test(start_paused = true)]
async fn more_than_an_idle_hour_writes_nothing() {
    let sim = Sim::of(3).await;
    sim.deploy(Deployment::Web, 6).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let index = |at: usize| (sim.state(at).index(), sim.host(at).status().unwrap().commit);
    let before = [index(0), index(1), index(2)];
    tokio::time::sleep(Duration::from_secs(70 * 60)).await;
    assert_eq!([index(0), index(1), index(2)], before);
    assert_eq!((0..3).map(|at| sim.running_on(at)).sum::<usize>(), 6);
}
