//! The doctor names what is broken, and repairs what can be.
//!
//! The hosts do not repair by themselves here: what is damaged stays until the doctor is asked to.

use std::collections::BTreeSet;

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{NodeOptions, Patience, Run as _};
use serde_json::Value;

use crate::stacks::{named, pages};

/// The bridge of the one network that is there.
const BRIDGE: &str =
    "$(ip -o link show type bridge | sed -n 's/.*: \\(jaco-[0-9a-f]*\\):.*/\\1/p' | head -1)";

/// What is broken on the first host, how, and what is named: a check and of what.
const REPAIRED: [(&str, &str, &str, &str); 10] = [
    ("the mesh interface deleted", "ip link del jaco0", "mesh", "jaco0"),
    ("its addresses flushed", "ip addr flush dev jaco0", "mesh", "jaco0"),
    ("it was set down", "ip link set jaco0 down", "mesh", "jaco0"),
    ("its routes flushed", "ip route flush dev jaco0", "route", "node2"),
    ("a bridge deleted", "ip link del BRIDGE", "bridge", "alpha/default"),
    ("a bridge set down", "ip link set BRIDGE down", "bridge", "alpha/default"),
    ("its addresses flushed", "ip addr flush dev BRIDGE", "bridge", "alpha/default"),
    ("the rules deleted", "nft delete table inet jaco", "rules", ""),
    ("the rules flushed", "nft flush table inet jaco", "rules", ""),
    ("nothing is passed on", "echo 0 >/proc/sys/net/ipv4/ip_forward", "kernel", ""),
];

/// What no repair of the node can undo: rules of somebody else.
const NAMED: [(&str, &str, &str, &str); 3] = [
    ("the mesh port closed", "input udp dport 51820 drop", "probe", "node2"),
    ("large packets lost", "output udp dport 51820 ip length > 1300 drop", "path_mtu", "node2"),
    ("port 53 closed", "input udp dport 53 drop", "names", "alpha/default"),
];

/// Each check of the first node with its subject and its outcome.
fn findings(fleet: &Fleet, flags: &[&str]) -> Result<BTreeSet<[String; 3]>, String> {
    let asked = fleet.cli(0).try_run(&[&["doctor", "node1", "-o", "json"], flags].concat());
    let output = asked.map_err(|error| error.to_string())?;
    let reports: Value = serde_json::from_str(&output.stdout)
        .map_err(|_| format!("{}{}", output.stdout, output.stderr))?;
    let all = reports[0]["findings"].as_array().cloned().unwrap_or_default();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    Ok(all.iter().map(|f| ["check", "subject", "outcome"].map(|key| text(f, key))).collect())
}

fn failed(found: &BTreeSet<[String; 3]>) -> Vec<&[String; 3]> {
    found.iter().filter(|[_, _, outcome]| outcome == "failed").collect()
}

/// Waits until a look finds nothing broken.
fn sound(fleet: &Fleet, what: &str, flags: &[&str]) -> Outcome {
    Ok(fleet.cluster().until(Patience::NORMAL, what, || {
        let found = findings(fleet, flags)?;
        match failed(&found).as_slice() {
            [] if found.len() > 8 => Ok(()),
            failed => Err(format!("{failed:?} of {found:?}")),
        }
    })?)
}

fn names(fleet: &Fleet, what: &str, check: &str, subject: &str) -> Outcome {
    let expected = [check, subject, "failed"].map(str::to_owned);
    Ok(fleet.cluster().until(Patience::NORMAL, what, || {
        let found = findings(fleet, &["--no-repair"])?;
        if found.contains(&expected) { Ok(()) } else { Err(format!("{found:?}")) }
    })?)
}

pub(crate) fn the_doctor_names_what_is_broken_and_repairs_it(fleet: &mut Fleet) -> Outcome {
    let unrepaired = NodeOptions { config: "repair: 'off'\n".to_owned(), ..Default::default() };
    fleet.cluster_mut().prepare(&unrepaired)?;
    fleet.cluster_mut().start()?;
    fleet.cluster().form()?;
    let stack = fleet.stack(&named("alpha"), &pages("alpha", 3, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    sound(fleet, "a sound node", &["--no-repair"])?;
    let break_it = |fleet: &Fleet, script: &str| {
        let mut damage = fleet.cluster().rig().host(0).command("sh");
        damage.args(["-c", &script.replace("BRIDGE", BRIDGE)]).text()
    };
    for (what, damage, check, subject) in REPAIRED {
        break_it(fleet, damage)?;
        names(fleet, what, check, subject)?;
        sound(fleet, "the repair", &[])?;
    }
    for (what, rule, check, subject) in NAMED {
        let (hook, rest) = rule.split_once(' ').unwrap_or_default();
        let chain = format!("{{ type filter hook {hook} priority -300; }}");
        let script = format!(
            "add table inet other; add chain inet other c {chain}; add rule inet other c {rest}"
        );
        break_it(fleet, &format!("nft '{script}'"))?;
        names(fleet, what, check, subject)?;
        break_it(fleet, "nft delete table inet other")?;
        sound(fleet, "it to be sound again", &["--no-repair"])?;
    }
    Ok(())
}
