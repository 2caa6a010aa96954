//! One host becomes three and one again; who leaves is clean, and may come back.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::Patience;

use super::strangers::{Door, Shown};
use crate::stacks::{many, named};

pub(crate) fn members_come_and_go_without_a_trace(fleet: &mut Fleet) -> Outcome {
    fleet.daemons()?;
    let fresh: Vec<Host> = (0..3).map(|n| Host::look(fleet, n)).collect::<Outcome<_>>()?;
    fleet.cluster().init()?;
    fleet.cluster().voters(&[0], Patience::NORMAL, 1)?;
    fleet.cluster().join(1, 0)?;
    fleet.cluster().ready_among(&[0, 1], Patience::NORMAL)?;
    fleet.cluster().voters(&[0, 1], Patience::NORMAL, 1)?;
    fleet.cluster().join(2, 1)?;
    fleet.cluster().ready(Patience::NORMAL)?;
    fleet.cluster().voters(&[0, 1, 2], Patience::NORMAL, 3)?;
    let stack = fleet.stack(&named("fleet"), &many(6, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;

    // The leader goes, asked through itself: it hands over first.
    let gone = fleet.cluster().leader(&[0, 1, 2])?;
    let name = fleet.cluster().node(gone).name().to_owned();
    let rest: Vec<usize> = (0..3).filter(|n| *n != gone).collect();
    let shown = Shown::of(fleet.cluster().node(gone).data_dir(), &name)?;
    fleet.cli(gone).run(&["node", "remove", &name, "--wait=90s"])?;
    fleet.cluster().ready_among(&rest, Patience::NORMAL)?;
    fleet.cluster().voters(&rest, Patience::NORMAL, 1)?;
    clean(fleet, gone, &fresh[gone])?;
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
    fleet.cluster().voters(&[0, 1, 2], Patience::NORMAL, 3)?;

    // Two go, and the last one carries everything.
    let last = fleet.cluster().leader(&[0, 1, 2])?;
    let mut left = vec![0, 1, 2];
    for n in (0..3).filter(|n| *n != last) {
        let name = fleet.cluster().node(n).name().to_owned();
        fleet.cli(last).run(&["node", "remove", &name, "--wait=90s"])?;
        left.retain(|other| *other != n);
        fleet.cluster().ready_among(&left, Patience::NORMAL)?;
        fleet.cluster().voters(&left, Patience::NORMAL, 1)?;
        clean(fleet, n, &fresh[n])?;
    }
    fleet.cli(last).run(&["scale", "fleet/app=7", "--wait=60s"])?;
    assert_eq!(fleet.running("app")?[last], 7);
    let audit = fleet.cli(last).json(&["audit", "--type", "node_remove"])?;
    assert_eq!(audit.as_array().map(Vec::len), Some(3), "{audit}");
    Ok(())
}

/// What a host keeps: names of containers, networks and volumes, rules of ours, and files with their sizes.
#[derive(Debug, PartialEq)]
struct Host {
    engine: Vec<String>,
    rules: Vec<String>,
    files: BTreeMap<PathBuf, u64>,
}

impl Host {
    fn look(fleet: &Fleet, n: usize) -> Outcome<Self> {
        let rules = fleet.cluster().rig().host(n).rules()?;
        let ours = rules.lines().filter(|line| line.contains("jaco")).map(str::to_owned);
        let mut files = BTreeMap::new();
        sizes(fleet.cluster().node(n).data_dir(), &mut files)?;
        Ok(Self { engine: fleet.engine(n).everything()?, rules: ours.collect(), files })
    }
}

fn sizes(directory: &Path, files: &mut BTreeMap<PathBuf, u64>) -> Outcome {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match path.metadata()? {
            kind if kind.is_dir() => sizes(&path, files)?,
            kind => drop(files.insert(path, kind.len())),
        }
    }
    Ok(())
}

/// Nothing is left of a membership: no container, network, rule, certificate, key or entry.
fn clean(fleet: &Fleet, n: usize, fresh: &Host) -> Outcome {
    fleet.cluster().until(Patience::NORMAL, "the removed node to be as if it were new", || {
        let status = fleet.cli(n).json(&["cluster", "status"]).map_err(|e| e.to_string())?;
        let now = Host::look(fleet, n).map_err(|error| error.to_string())?;
        if status["initialized"] == false && now == *fresh {
            return Ok(());
        }
        Err(format!("{status}\n{now:#?}\nwas when it was new\n{fresh:#?}"))
    })?;
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
    fleet.cluster().voters(&rest, Patience::NORMAL, 1)?;
    fleet.until_replicas(rest[1], Patience::NORMAL, "all six to run on two hosts", |rows| {
        rows.len() == 6 && rows.iter().all(|r| r.state == "running" && r.node != name)
    })?;
    fleet.cli(rest[1]).run(&["token", "issue", "--name", "after"])?;
    Ok(())
}
