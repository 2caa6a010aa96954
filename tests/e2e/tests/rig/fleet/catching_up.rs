//! A node that was away for long holds exactly what the others hold.

use std::{fs, time::Instant};

use jaco_client::{Client, IssueToken, model::Role};
use jaco_e2e::{Fleet, Outcome, times};
use jaco_engine::raft::{DiskStorage, RaftStorage as _};
use jaco_harness::Patience;
use serde_json::Value;

use crate::stacks::{many, named};

/// How many writes are under way at once.
const AT_ONCE: usize = 64;

pub(crate) fn a_node_that_was_away_for_long_holds_the_same_state(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = fleet.stack(&named("fleet"), &many(6, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    let leader = fleet.cluster().leader(&[0, 1, 2])?;
    let away = (leader + 1) % 3;
    fleet.cluster_mut().node_mut(away).stop()?;
    let missed = status(fleet, leader)?["applied_index"].as_u64().ok_or("no index")?;

    // More than a snapshot's worth, so that the log alone could not bring it back.
    let entries = times(12_000, 20_000);
    let started = Instant::now();
    write(fleet, leader, entries)?;
    let took = started.elapsed().as_secs_f64();
    fleet.measured("entries per second", format!("{:.0}", entries as f64 / took));
    fleet.cli(leader).run(&["scale", "fleet/app=3", "--wait=60s"])?;
    for n in [leader, (away + 1) % 3, (away + 2) % 3] {
        let first = first_entry(fleet, n)?;
        assert!(first > missed + 1, "the log of node{} goes back to {first}", n + 1);
    }

    let started = Instant::now();
    fleet.cluster_mut().node_mut(away).start()?;
    fleet.cluster().ready(Patience::LONG)?;
    equal(fleet)?;
    fleet.measured("started → holds the same", format!("{:.1?}", started.elapsed()));
    Ok(())
}

fn status(fleet: &Fleet, n: usize) -> Outcome<Value> {
    Ok(fleet.cli(n).json(&["cluster", "status"])?)
}

/// The first entry that a node still has in its log, as a copy of its files says.
fn first_entry(fleet: &Fleet, n: usize) -> Outcome<u64> {
    let copy = fleet.scratch()?.join(format!("log{n}"));
    fs::create_dir_all(&copy)?;
    for entry in fs::read_dir(fleet.cluster().node(n).data_dir().join("raft"))? {
        let path = entry?.path();
        fs::copy(&path, copy.join(path.file_name().unwrap_or_default()))?;
    }
    let storage = DiskStorage::open(&copy)?;
    let first = storage.extent().start;
    storage.close();
    Ok(first)
}

/// That many writes through one node, each an entry of its own.
fn write(fleet: &Fleet, n: usize, entries: usize) -> Outcome {
    let socket = fleet.cluster().node(n).socket();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::builder().socket(socket).connect().await?;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..AT_ONCE {
            let client = client.clone();
            writers.spawn(async move {
                let token = token(writer);
                for _ in 0..entries / AT_ONCE {
                    client.issue_token(&token).await?;
                }
                Ok::<_, jaco_client::Error>(())
            });
        }
        while let Some(written) = writers.join_next().await {
            written??;
        }
        Ok(())
    })
}

/// A token that replaces the one of the same writer: each time an entry, and never more rows.
fn token(writer: usize) -> IssueToken {
    IssueToken {
        identity: format!("writer-{writer}").parse().expect("lowercase, digits and a hyphen"),
        role: Role::Viewer,
        deployments: Vec::new(),
        allow_privileged: false,
        ttl: None,
        rotate: true,
    }
}

/// Waits until every node has applied the same entries, and compares everything they tell.
fn equal(fleet: &Fleet) -> Outcome {
    const ALL: &[&[&str]] = &[
        &["get", "deployments"],
        &["get", "replicas"],
        &["get", "revisions", "fleet"],
        &["token", "list"],
        &["audit"],
        &["events"],
        &["cluster", "get"],
    ];
    let index = |n: usize| -> Result<u64, String> {
        let status = fleet.cli(n).json(&["cluster", "status"]).map_err(|e| e.to_string())?;
        status["applied_index"].as_u64().ok_or_else(|| status.to_string())
    };
    let tell = |n: usize| -> Result<Vec<Value>, String> {
        ALL.iter().map(|ask| fleet.cli(n).json(ask).map_err(|e| e.to_string())).collect()
    };
    fleet.cluster().until(Patience::NORMAL, "the same state everywhere", || {
        let before: Vec<u64> = (0..3).map(index).collect::<Result<_, _>>()?;
        if before.iter().any(|i| *i != before[0]) {
            return Err(format!("applied: {before:?}"));
        }
        let told: Vec<Vec<Value>> = (0..3).map(tell).collect::<Result<_, _>>()?;
        // What was told belongs to that index only if nothing was written meanwhile.
        let after: Vec<u64> = (0..3).map(index).collect::<Result<_, _>>()?;
        if after != before {
            return Err(format!("written meanwhile: {before:?}, {after:?}"));
        }
        for (n, ask) in ALL.iter().enumerate() {
            assert!(told[0][n].as_array().is_none_or(|rows| !rows.is_empty()), "{ask:?} is empty");
            for node in 1..3 {
                assert_eq!(told[node][n], told[0][n], "{ask:?} differs on node{}", node + 1);
            }
        }
        Ok(())
    })?;
    Ok(())
}
