//! What is damaged by hand, or was away, is whole again without anybody's help.
//!
//! The witnesses are the containers: each reaches each.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use jaco_e2e::{Fleet, Outcome, times};
use jaco_harness::{Container, Patience, Run as _, Vantage};

use super::places::{Place, places};
use crate::stacks::{QUIET, named, pages};

/// Deletes the bridge of the one network that is there.
const DELETE_BRIDGE: &str = "ip link del $(ip -o link show type bridge | sed -n 's/.*: \\(jaco-[0-9a-f]*\\):.*/\\1/p' | head -1)";

/// Every container of a service gets the page of each other, by the addresses that they have now.
fn all_reach_all(fleet: &Fleet, deployment: &str, count: usize) -> Result<(), String> {
    let places = places(fleet, deployment, "app").map_err(|error| error.to_string())?;
    if places.len() != count {
        return Err(format!("{} of {count} run", places.len()));
    }
    let all: Vec<_> = places.iter().map(|place| SocketAddr::new(place.address, 8080)).collect();
    for from in &places {
        let reached = Vantage::of(&from.container).connects(&all).map_err(|e| e.to_string())?;
        if reached.len() < all.len() {
            return Err(format!("{} reaches {reached:?} of {all:?}", from.container.name));
        }
        from.page("app")?;
    }
    Ok(())
}

pub(crate) fn what_is_damaged_by_hand_comes_back(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = fleet.stack(&named("alpha"), &pages("alpha", 3, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let whole = |fleet: &Fleet, what: &str| -> Outcome {
        let began = Instant::now();
        fleet.cluster().until(Patience::LONG, what, || all_reach_all(fleet, "alpha", 3))?;
        fleet.measured(what, format!("all reach all after {:.1?}", began.elapsed()));
        Ok(())
    };
    whole(fleet, "everything as it was made")?;
    for (what, damage) in [
        ("the mesh interface deleted", "ip link del jaco0"),
        ("its addresses flushed", "ip addr flush dev jaco0"),
        ("it was set down", "ip link set jaco0 down"),
        ("its routes flushed", "ip route flush dev jaco0"),
        ("an accept of ours in the engine's chains removed", "iptables -D DOCKER-USER 1"),
        ("a bridge deleted", DELETE_BRIDGE),
    ] {
        fleet.cluster().rig().host(0).command("sh").args(["-c", damage]).text()?;
        whole(fleet, what)?;
    }
    let key = |fleet: &Fleet| -> Outcome<String> {
        let inspected = fleet.cli(2).json(&["node", "inspect", "node1"])?;
        Ok(inspected["mesh"]["public_key"].as_str().ok_or("no key")?.to_owned())
    };
    let former = key(fleet)?;
    fleet.cli(1).run(&["node", "rotate-key", "node1"])?;
    whole(fleet, "another key in the mesh")?;
    assert_ne!(key(fleet)?, former, "the members know the new key");
    fleet.cluster_mut().node_mut(0).stop()?;
    fleet.cluster_mut().node_mut(0).start()?;
    whole(fleet, "a daemon stopped and started")?;
    fleet.cluster_mut().node_mut(1).kill()?;
    fleet.cluster_mut().node_mut(1).start()?;
    whole(fleet, "a daemon killed and started")?;
    let host = fleet.cluster_mut().rig_mut().host_mut(2);
    host.stop_engine()?;
    host.start_engine()?;
    host.wait_for_engine()?;
    whole(fleet, "an engine stopped and started")?;
    fleet.cluster_mut().node_mut(1).kill()?;
    let host = fleet.cluster_mut().rig_mut().host_mut(1);
    host.power_off()?;
    host.start_engine()?;
    host.wait_for_engine()?;
    fleet.cluster_mut().node_mut(1).start()?;
    whole(fleet, "a host without power, from when its engine answers")?;
    fleet.cluster().ready(Patience::LONG)?;
    Ok(())
}

/// What of a host belongs to networks of the cluster, as the host's own tools show it.
fn traces(fleet: &Fleet, n: usize) -> Result<BTreeSet<String>, String> {
    let shown = |script: &str| {
        let mut command = fleet.cluster().rig().host(n).command("sh");
        command.args(["-c", script]).text().map_err(|error| error.to_string())
    };
    let mut all = BTreeSet::new();
    for script in [
        "ip -o link | sed 's/^[0-9]*: //; s/[@:].*//'",
        "ip -o addr | awk '{print $2, $4}'",
        "ip route",
        "ip rule",
        "nft -s list table inet jaco",
        "iptables-save | grep -v '^[:#]'",
        "ss -Hlnut 'sport = :53' | awk '{print $5}'",
    ] {
        all.extend(shown(script)?.lines().map(|line| format!("{script}: {}", line.trim())));
    }
    all.extend(fleet.engine(n).networks().map_err(|error| error.to_string())?);
    Ok(all)
}

pub(crate) fn a_deleted_deployment_leaves_no_trace_on_any_host(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    for n in 0..3 {
        // With its first network an engine makes rules that it keeps.
        fleet.engine(n).docker(&["network", "create", "first"])?;
        fleet.engine(n).docker(&["network", "rm", "first"])?;
    }
    let before: Vec<_> = (0..3).map(|n| traces(fleet, n)).collect::<Result<_, _>>()?;
    for deployment in ["alpha", "beta"] {
        let stack = fleet.stack(&named(deployment), &pages(deployment, 3, ""))?;
        fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    }
    for (n, before) in before.iter().enumerate() {
        let new = traces(fleet, n)?.difference(before).count();
        assert!(new > 10, "host {n} shows only {new} traces of what runs there");
    }
    for deployment in ["alpha", "beta"] {
        fleet.cli(1).run(&["delete", deployment, "--wait=60s"])?;
    }
    for (n, before) in before.iter().enumerate() {
        fleet.cluster().until(Patience::NORMAL, "all traces to go", || {
            let now = traces(fleet, n)?;
            let left: Vec<_> = now.symmetric_difference(before).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("host {n}: {left:#?}")) }
        })?;
    }
    Ok(())
}

pub(crate) fn a_host_that_cannot_isolate_runs_nothing(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let programs = fleet.scratch()?.join("programs");
    fs::create_dir_all(&programs)?;
    let node = fleet.cluster_mut().node_mut(2);
    node.stop()?;
    node.finds_programs_in(Some(&programs));
    node.start()?;
    let condition = |fleet: &Fleet| -> Result<(String, String), String> {
        let nodes = fleet.cli(0).json(&["node", "list"]).map_err(|error| error.to_string())?;
        let rows = nodes.as_array().cloned().unwrap_or_default();
        let row = rows.into_iter().find(|row| row["name"] == "node3").unwrap_or_default();
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        Ok((text("status"), text("reason")))
    };
    fleet.cluster().until(Patience::NORMAL, "node3 to say so", || match condition(fleet)? {
        (status, reason) if status == "isolation_unavailable" && reason.contains("nft") => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    let stack = fleet.stack(&named("alpha"), &pages("alpha", 4, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    assert_eq!(fleet.running("app")?, [2, 2, 0]);
    for program in
        ["nft", "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore"]
    {
        symlink(format!("/usr/sbin/{program}"), programs.join(program))?;
    }
    let began = Instant::now();
    fleet.cluster().until(Patience::LONG, "node3 to be ready", || match condition(fleet)? {
        (status, _) if status == "ready" => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    fleet.measured("nft repaired", format!("ready after {:.1?}", began.elapsed()));
    fleet.cli(0).run(&["scale", "alpha/app=6", "--wait=60s"])?;
    assert!(fleet.running("app")?[2] > 0, "{:?}", fleet.running("app")?);
    // It loses its firewall while containers run: they run on, and nothing new comes.
    let before = fleet.containers("app")?;
    fs::remove_file(programs.join("nft"))?;
    fleet.cluster().rig().host(2).command("nft").args(["flush", "table", "inet", "jaco"]).text()?;
    fleet.cluster().until(Patience::NORMAL, "node3 to say so", || match condition(fleet)? {
        (status, _) if status == "isolation_unavailable" => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    fleet.cli(0).run(&["scale", "alpha/app=8", "--wait=60s"])?;
    let after = fleet.containers("app")?;
    let pids = |all: &[Container]| all.iter().map(|c| (c.name.clone(), c.pid)).collect::<Vec<_>>();
    assert_eq!(pids(&after[2]), pids(&before[2]), "what runs there runs on, and nothing else");
    symlink("/usr/sbin/nft", programs.join("nft"))?;
    fleet.cluster().until(Patience::LONG, "node3 to be ready", || match condition(fleet)? {
        (status, _) if status == "ready" => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    fleet.cluster_mut().node_mut(2).finds_programs_in(None);
    Ok(())
}

pub(crate) fn names_of_a_lost_host_are_forgotten_and_come_back(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let direct = pages("alpha", 3, "")
        .replace("      replicas: 3\n", "      replicas: 3\n      endpoint_mode: dnsrr\n");
    let client = format!(
        "  client:\n    image: busybox:rig\n    pull_policy: never\n    stop_grace_period: 1s\n    \
         command: [\"sh\", \"-c\", {QUIET:?}]\n    deploy:\n      placement:\n        constraints: [node.hostname == node1]\n"
    );
    let stack = fleet.stack(&named("alpha"), &format!("{direct}{client}"))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let client = places(fleet, "alpha", "client")?.remove(0);
    let (near, far) = (0, 2);
    let mut slowest = Duration::ZERO;
    let all = places(fleet, "alpha", "app")?;
    let of = |host| all.iter().find(|p| p.host == host).map(|p| p.address.to_string());
    let (near, lost) = (of(near).ok_or("none on node1")?, of(far).ok_or("none on node3")?);
    let answered = |address: &str| -> Result<bool, String> {
        let said = client.run(&["nslookup", "app"])?;
        Ok(said.lines().any(|line| line == format!("Address: {address}")))
    };
    health_is_answered_within_a_second(fleet, &client, all.iter().find(|p| p.host == 1))?;
    for round in 0..times(3, 20) {
        fleet.cluster().until(Patience::NORMAL, "both to be answered", || {
            match (answered(&near)?, answered(&lost)?) {
                (true, true) => client.page(&lost).map(drop),
                other => Err(format!("{other:?} in round {round}")),
            }
        })?;
        fleet.cluster().rig().host(far).cut()?;
        let began = Instant::now();
        fleet.cluster().until(Patience::NORMAL, "its name to be forgotten", || {
            if answered(&lost)? { Err(format!("round {round}")) } else { Ok(()) }
        })?;
        slowest = slowest.max(began.elapsed());
        assert!(answered(&near)?, "the others are answered");
        fleet.cluster().rig().host(far).heal()?;
    }
    fleet.measured("a lost host's names", format!("forgotten after {slowest:.1?} at most"));
    assert!(slowest < Duration::from_secs(12), "{slowest:?}");
    Ok(())
}

/// A replica that is not healthy any more is not answered any more; when it was restarted for that and is
/// healthy, it is answered again.
fn health_is_answered_within_a_second(
    fleet: &Fleet,
    client: &Place,
    replica: Option<&Place>,
) -> Outcome {
    let replica = replica.ok_or("none on node2")?;
    let answers = |address: IpAddr, expected: bool, what: &str| -> Outcome {
        let began = Instant::now();
        fleet.cluster().until(Patience::NORMAL, "the answers to follow", || {
            let said = client.run(&["nslookup", "app"])?;
            let line = format!("Address: {address}");
            if said.lines().any(|l| l == line) == expected { Ok(()) } else { Err(said) }
        })?;
        let took = began.elapsed();
        fleet.measured(what, format!("answers follow in {took:.2?}"));
        assert!(took < Duration::from_secs(1), "{took:?}: {what}");
        Ok(())
    };
    let verdict = |wanted: &str| {
        fleet.cluster().until(Patience::NORMAL, wanted, || {
            let format = "{{.State.Pid}} {{.State.Health.Status}}";
            let inspect = ["inspect", "-f", format, &replica.container.name];
            let said = replica.engine.docker(&inspect).map_err(|error| error.to_string())?;
            match said.trim().split_once(' ') {
                Some((pid, verdict)) if verdict == wanted => Ok(pid.to_owned()),
                _ => Err(said),
            }
        })
    };
    replica.run(&["sh", "-c", "rm /tmp/index.html"])?;
    let sick = verdict("unhealthy")?;
    answers(replica.address, false, "a replica unhealthy")?;
    assert_ne!(verdict("healthy")?, sick, "it was restarted");
    let now = places(fleet, "alpha", "app")?.into_iter().find(|place| place.host == replica.host);
    answers(now.ok_or("none on node2")?.address, true, "a replica healthy")
}

pub(crate) fn a_taken_port_53_is_told_and_waited_for(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let resolver = Vantage::of_host(fleet.cluster().rig().host(2)).udp(53)?;
    let stack = fleet.stack(&named("alpha"), &pages("alpha", 3, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest()])?;
    fleet.cluster().until(Patience::NORMAL, "the replica there to say so", || {
        let rows = fleet.cli(0).json(&["get", "replicas"]).map_err(|error| error.to_string())?;
        let all = rows.as_array().into_iter().flatten();
        let row = all.into_iter().find(|row| row["node"] == "node3").map(ToString::to_string);
        match row.unwrap_or_default() {
            row if row.contains("UDP cannot be listened on") => Ok(()),
            row => Err(row),
        }
    })?;
    assert_eq!(fleet.running("app")?[2], 0, "nothing runs there without names");
    drop(resolver);
    fleet
        .cluster()
        .until(Patience::NORMAL, "it to run by itself", || all_reach_all(fleet, "alpha", 3))?;
    Ok(())
}
