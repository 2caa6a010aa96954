//! How many vote, while the cluster grows and shrinks.

use jaco_engine::testing::{Replay, replay::Content};

use crate::support::{Sim, write};

#[tokio::test(start_paused = true)]
async fn voters_follow_the_number_of_nodes_one_two_three_four_five_seven_three_one() {
    let mut sim = Sim::of(1).await;
    for size in [2, 3, 4, 5, 7] {
        while sim.hosts().len() < size {
            let at = sim.add_host();
            sim.start(at).await.unwrap();
            sim.join(at, 0).await.unwrap();
        }
        sim.formed(size).await;
        write(&sim, size - 1).await.unwrap();
    }
    for size in [3, 1] {
        for at in size..7 {
            if sim.host(at).member().is_some() {
                let name = sim.host(at).name().clone();
                sim.client(0).remove_node(&name, false).await.unwrap();
            }
        }
        sim.formed(size).await;
        for at in size..7 {
            sim.until("a removed node to know it", |s| {
                s.host(at).membership().is_none().then_some(())
            })
            .await;
        }
        write(&sim, 0).await.unwrap();
    }
    every_group_was_odd(&sim);
}

/// Reads the log as it was committed, from the first entry on.
fn every_group_was_odd(sim: &Sim) {
    let (mut replay, mut groups) = (Replay::default(), Vec::new());
    let commit = sim.host(0).status().unwrap().commit;
    while replay.next() <= commit {
        let entry = sim.host(0).disk().entry(replay.next()).unwrap();
        if let Content::Members { voters, .. } = replay.apply(entry).unwrap().content {
            groups.push(voters.last().unwrap().len());
        }
    }
    assert!(groups.iter().all(|size| size % 2 == 1 && *size <= 7), "{groups:?}");
    assert!([1, 3, 5, 7].iter().all(|size| groups.contains(size)), "{groups:?}");
}
