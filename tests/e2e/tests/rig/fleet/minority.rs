//! Cut off from the majority: what runs goes on, what is known is told, nothing is changed.

use std::time::Duration;

use jaco_e2e::{Fleet, Outcome, observe};
use jaco_harness::Patience;

use super::lives::{Lives, lives};
use crate::stacks::{many, named};

const WRITE: Duration = Duration::from_secs(2);
const WATCHED: Duration = Duration::from_secs(5);

pub(crate) fn one_of_three_goes_on_and_changes_nothing(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    work(fleet, 9)?;
    let alone = (fleet.cluster().leader(&[0, 1, 2])? + 1) % 3;
    let others: Vec<usize> = (0..3).filter(|n| *n != alone).collect();
    cut_off(fleet, alone)?;
    // The others have not waited for it.
    fleet.cli(others[0]).run(&["token", "issue", "--name", "majority"])?;
    reunited(fleet, &[0, 1, 2], 9)
}

/// The one that is left of two has no majority, although nobody else is gone.
pub(crate) fn one_of_two_goes_on_and_changes_nothing(fleet: &mut Fleet) -> Outcome {
    fleet.daemons()?;
    fleet.cluster().init()?;
    fleet.cluster().join(1, 0)?;
    fleet.cluster().ready_among(&[0, 1], Patience::NORMAL)?;
    work(fleet, 4)?;
    let leader = fleet.cluster().leader(&[0, 1])?;
    cut_off(fleet, 1 - leader)?;
    reunited(fleet, &[0, 1], 4)
}

fn work(fleet: &mut Fleet, replicas: usize) -> Outcome {
    let stack = fleet.stack(&named("fleet"), &many(replicas, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    Ok(())
}

/// Cuts a node off and looks at it from its own side.
fn cut_off(fleet: &mut Fleet, n: usize) -> Outcome {
    let before = lives(fleet, "app")?.swap_remove(n);
    assert!(!before.is_empty(), "it has something to lose");
    fleet.cluster().rig().host(n).cut()?;
    alone(fleet, n, &before)?;

    fleet.cluster_mut().node_mut(n).stop()?;
    fleet.cluster_mut().node_mut(n).start()?;
    alone(fleet, n, &before)?;
    fleet.cluster_mut().node_mut(n).kill()?;
    fleet.cluster_mut().node_mut(n).start()?;
    alone(fleet, n, &before)
}

/// Reads are answered and marked, writes are refused soon, containers are left alone.
fn alone(fleet: &Fleet, n: usize, before: &Lives) -> Outcome {
    fleet.cluster().everywhere(&[n], Patience::SHORT, "stale answers", &["status"], |status| {
        status["stale"] == true
    })?;
    let status = fleet.cli(n).run(&["status"])?;
    assert!(status.stderr.contains("old"), "people are warned: {status:?}");
    assert!(status.stdout.contains("fleet.app.1"), "what is known is told: {status:?}");
    for write in [&["token", "issue", "--name", "minority"][..], &["scale", "fleet/app=1"]] {
        let output = fleet.cli(n).try_run(write)?;
        assert_eq!((output.code, output.error_code()), (1, Some("quorum_lost")), "{output:?}");
        assert!(output.took <= WRITE, "{output:?}");
    }
    observe(WATCHED, || {
        let now = lives(fleet, "app")?.swap_remove(n);
        if now == *before { Ok(()) } else { Err(format!("{before:?}\nbecame\n{now:?}").into()) }
    })
}

/// The cable is mended: nothing of what was refused has happened, and every replica runs once.
fn reunited(fleet: &Fleet, members: &[usize], replicas: usize) -> Outcome {
    for n in members {
        fleet.cluster().rig().host(*n).heal()?;
    }
    fleet.cluster().ready_among(members, Patience::NORMAL)?;
    fleet.cluster().until(Patience::NORMAL, "one container per replica", || {
        let counts = fleet.running("app").map_err(|error| error.to_string())?;
        if counts.iter().sum::<usize>() == replicas { Ok(()) } else { Err(format!("{counts:?}")) }
    })?;
    for n in members {
        let tokens = fleet.cli(*n).json(&["token", "list"])?;
        assert!(!tokens.to_string().contains("minority"), "{tokens}");
        let row = fleet.active(*n, "fleet")?;
        assert_eq!(row["services"][0]["desired"], replicas, "{row}");
    }
    Ok(())
}
