//! One host becomes three and one again; who leaves is clean, and may come back.

use std::fs;

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::Patience;

use super::{
    leadership::voters_among,
    strangers::{Door, Shown},
};
use crate::stacks::{many, named};

pub(crate) fn members_come_and_go_without_a_trace(fleet: &mut Fleet) -> Outcome {
    fleet.daemons()?;
    let rules: Vec<String> =
        fleet.cluster().rig().hosts().iter().map(|h| h.rules()).collect::<Result<_, _>>()?;
    fleet.cluster().init()?;
    voters_among(fleet, &[0], 1)?;
    fleet.cluster().join(1, 0)?;
    fleet.cluster().ready_among(&[0, 1], Patience::NORMAL)?;
    voters_among(fleet, &[0, 1], 1)?;
    fleet.cluster().join(2, 1)?;
    fleet.cluster().ready(Patience::NORMAL)?;
    voters_among(fleet, &[0, 1, 2], 3)?;
    let stack = fleet.stack(&named("fleet"), &many(6, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;

    // The leader goes, asked through itself: it hands over first.
    let gone = fleet.cluster().leader(&[0, 1, 2])?;
    let name = fleet.cluster().node(gone).name().to_owned();
    let rest: Vec<usize> = (0..3).filter(|n| *n != gone).collect();
    let shown = Shown::of(fleet.cluster().node(gone).data_dir(), &name)?;
    fleet.cli(gone).run(&["node", "remove", &name, "--wait=90s"])?;
    fleet.cluster().ready_among(&rest, Patience::NORMAL)?;
    voters_among(fleet, &rest, 1)?;
    clean(fleet, gone, &rules[gone])?;
    for n in &rest {
        let opened = Door::at(fleet, *n, 7000, Some(&shown))?.internal(None)?;
        assert!(opened.iter().all(Result::is_err), "its certificate opens nothing: {opened:?}");
        assert!(Door::at(fleet, *n, 7001, Some(&shown))?.vote(None).is_ok_and(|v| v.is_err()));
    }
    fleet.until_replicas(rest[0], Patience::NORMAL, "all six to run on two hosts", |rows| {
        rows.len() == 6 && rows.iter().all(|r| r.state == "running" && r.node != name)
    })?;

    fleet.cluster().join(gone, rest[0])?;
    fleet.cluster().ready(Patience::NORMAL)?;
    voters_among(fleet, &[0, 1, 2], 3)?;

    // Two go, and the last one carries everything.
    let last = fleet.cluster().leader(&[0, 1, 2])?;
    let mut left = vec![0, 1, 2];
    for n in (0..3).filter(|n| *n != last) {
        let name = fleet.cluster().node(n).name().to_owned();
        fleet.cli(last).run(&["node", "remove", &name, "--wait=90s"])?;
        left.retain(|other| *other != n);
        fleet.cluster().ready_among(&left, Patience::NORMAL)?;
        voters_among(fleet, &left, 1)?;
        clean(fleet, n, &rules[n])?;
    }
    fleet.cli(last).run(&["scale", "fleet/app=7", "--wait=60s"])?;
    assert_eq!(fleet.running("app")?[last], 7);
    let audit = fleet.cli(last).json(&["audit", "--type", "node_remove"])?;
    assert_eq!(audit.as_array().map(Vec::len), Some(3), "{audit}");
    Ok(())
}

/// Nothing is left of a membership: no container, network, rule, certificate, key or log.
fn clean(fleet: &Fleet, n: usize, rules: &str) -> Outcome {
    let node = fleet.cluster().node(n);
    fleet.cluster().until(Patience::NORMAL, "the removed node to be clean", || {
        let status = node.cli().json(&["cluster", "status"]).map_err(|error| error.to_string())?;
        let left = fleet.engine(n).everything().map_err(|error| error.to_string())?;
        let mut files = Vec::new();
        for directory in ["node", "keys", "raft"] {
            let list = fs::read_dir(node.data_dir().join(directory)).into_iter().flatten();
            files.extend(list.flatten().map(|entry| entry.path()));
        }
        if status["initialized"] == false && left.is_empty() && files.is_empty() {
            return Ok(());
        }
        Err(format!("{status}\n{left:?}\n{files:?}"))
    })?;
    let now = fleet.cluster().rig().host(n).rules()?;
    let ours = |text: &str| text.lines().filter(|l| l.contains("jaco")).count();
    assert_eq!(ours(&now), ours(rules), "no rule is left:\n{now}");
    Ok(())
}

/// A host that is gone for good is removed by force; the others go on.
pub(crate) fn a_dead_host_is_removed_by_force(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = fleet.stack(&named("fleet"), &many(6, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    let dead = fleet.cluster().leader(&[0, 1, 2])?;
    let rest: Vec<usize> = (0..3).filter(|n| *n != dead).collect();
    let name = fleet.cluster().node(dead).name().to_owned();
    fleet.cluster().rig().host(dead).cut()?;
    fleet.cluster_mut().node_mut(dead).kill()?;
    fleet.cli(rest[0]).run(&["node", "remove", &name, "--force", "--wait=60s"])?;
    fleet.cluster().ready_among(&rest, Patience::NORMAL)?;
    voters_among(fleet, &rest, 1)?;
    fleet.until_replicas(rest[1], Patience::NORMAL, "all six to run on two hosts", |rows| {
        rows.len() == 6 && rows.iter().all(|r| r.state == "running" && r.node != name)
    })?;
    fleet.cli(rest[1]).run(&["token", "issue", "--name", "after"])?;
    Ok(())
}
