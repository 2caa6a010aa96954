//! The leader dies, and dies again.

use std::time::{Duration, Instant};

use jaco_e2e::{Fleet, Outcome, times};
use jaco_harness::Patience;

const USUALLY: Duration = Duration::from_secs(3);
const ALWAYS: Duration = Duration::from_secs(10);

pub(crate) fn writes_go_on_when_the_leader_is_killed(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let mut took = Vec::new();
    for kill in 0..times(5, 20) {
        fleet.cluster().voters(&[0, 1, 2], Patience::NORMAL, 3)?;
        let leader = fleet.cluster().leader(&[0, 1, 2])?;
        let survivor = (leader + 1) % 3;
        let name = format!("after-kill-{kill}");
        fleet.cluster_mut().node_mut(leader).kill()?;
        let killed = Instant::now();
        fleet.cli(survivor).run(&["token", "issue", "--name", &name])?;
        took.push(killed.elapsed());

        fleet.cluster_mut().node_mut(leader).start()?;
        fleet.cluster().ready(Patience::NORMAL)?;
        // The one that was dead knows what was written meanwhile.
        fleet.cluster().everywhere(
            &[leader],
            Patience::SHORT,
            "the write to be known",
            &["token", "list"],
            |list| list.to_string().contains(&name),
        )?;
    }
    took.sort();
    let median = took[took.len() / 2];
    fleet.measured("leader killed → next write accepted", format!("{took:.1?}"));
    fleet.measured("median", format!("{median:.1?}"));
    assert!(median <= USUALLY, "{median:?}");
    assert!(took.iter().all(|t| *t <= ALWAYS), "{took:?}");
    let tokens = fleet.cli(0).json(&["token", "list"])?;
    let kept = tokens.as_array().map_or(0, Vec::len);
    assert_eq!(kept, took.len() + 1, "every acknowledged write is there: {tokens}");
    Ok(())
}
