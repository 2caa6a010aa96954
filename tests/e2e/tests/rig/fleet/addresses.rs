//! Networks have addresses of their own on each host, which are given to others once they are free.
//!
//! The witnesses are the engines: the subnets of their networks and the addresses of their containers.

use std::collections::BTreeSet;

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::Patience;
use serde_json::Value;

use crate::stacks::{many, named};

/// Two blocks: a deployment on three hosts does not fit.
const TWO_BLOCKS: &str = "10.87.0.0/28:29";
const MORE: &str = "10.87.0.0/28:29, 10.88.0.0/24:26";

/// The subnet of a network on each host that has it.
fn subnets(fleet: &Fleet, network: &str) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for engine in fleet.engines() {
        if !engine.networks()?.iter().any(|name| name == network) {
            continue;
        }
        let format = "{{(index .IPAM.Config 0).Subnet}} {{index .Labels \"jaco.subnet\"}}";
        let shown = engine.docker(&["network", "inspect", "-f", format, network])?;
        let (subnet, label) = shown.split_once(' ').unwrap_or_default();
        assert_eq!(subnet, label, "the label says what the engine has");
        found.push(subnet.to_owned());
    }
    Ok(found)
}

/// Blocks in use, in quarantine and free, over all pools.
fn blocks(fleet: &Fleet) -> Result<(u64, u64, u64), String> {
    let status = fleet.cli(0).json(&["cluster", "status"]).map_err(|e| e.to_string())?;
    let pools: Vec<&Value> = status["address_pools"].as_array().into_iter().flatten().collect();
    let sum = |key: &str| pools.iter().filter_map(|pool| pool[key].as_u64()).sum();
    Ok((sum("used"), sum("quarantined"), sum("free")))
}

fn until_blocks(fleet: &Fleet, what: &str, expected: (u64, u64, u64)) -> Outcome {
    Ok(fleet.cluster().until(Patience::NORMAL, what, || match blocks(fleet)? {
        found if found == expected => Ok(()),
        found => Err(format!("{found:?}")),
    })?)
}

pub(crate) fn each_host_has_its_block_until_all_have_let_go(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = fleet.stack(&named("fleet"), &many(6, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    let network = "jaco_fleet_default";
    let blocks = subnets(fleet, network)?;
    let distinct: BTreeSet<&String> = blocks.iter().collect();
    assert_eq!((blocks.len(), distinct.len()), (3, 3), "one for each host: {blocks:?}");
    for (host, containers) in fleet.containers("app")?.into_iter().enumerate() {
        let block: ipnet::IpNet = blocks[host].parse()?;
        for container in containers {
            let address: std::net::IpAddr = container.addresses[network].parse()?;
            assert!(block.contains(&address), "{address} of {} in {block}", container.name);
        }
    }
    until_blocks(fleet, "three blocks to be in use", (3, 0, 1_021))?;
    fleet.cli(0).run(&["delete", "fleet", "--wait=60s"])?;
    until_blocks(fleet, "every block to be free again", (0, 0, 1_024))?;
    assert_eq!(subnets(fleet, network)?, [""; 0], "no bridge is left");
    Ok(())
}

pub(crate) fn a_replica_without_a_block_waits_for_another_pool(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    fleet.cli(0).run(&["cluster", "set", "address_pools", TWO_BLOCKS])?;
    let stack = fleet.stack(&named("fleet"), &many(3, ""))?;
    // Three replicas on the two hosts that have a block.
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    until_blocks(fleet, "both blocks to be in use", (2, 0, 0))?;
    let late = fleet.stack(&named("late"), &many(1, ""))?;
    fleet.cli(0).run(&["apply", &late.manifest()])?;
    let why = "without a free address block: 2 of 2 in use, 0 in quarantine";
    fleet.cluster().until(Patience::NORMAL, "it to say what it waits for", || {
        let list = fleet.cli(0).json(&["get", "deployments"]).map_err(|e| e.to_string())?;
        let rows = list.as_array().into_iter().flatten();
        let row = rows.into_iter().find(|row| row["name"] == "late");
        let told = row.is_some_and(|row| row.to_string().contains(why));
        if told { Ok(()) } else { Err(list.to_string()) }
    })?;
    let audit = fleet.cli(0).json(&["audit"])?;
    let low = audit.as_array().into_iter().flatten().filter(|e| e["type"] == "subnet_pool_low");
    assert!(low.count() > 0, "the log warned that blocks become few: {audit}");
    let error = fleet.cli(0).try_run(&["cluster", "set", "address_pools", "10.88.0.0/24:26"])?;
    assert_eq!(error.error_code(), Some("validation_failed"), "{error:?}");

    fleet.cli(0).run(&["cluster", "set", "address_pools", MORE])?;
    fleet.active(0, "late")?;
    fleet.cli(0).run(&["delete", "fleet", "--wait=60s"])?;
    fleet.cli(0).run(&["delete", "late", "--wait=60s"])?;
    until_blocks(fleet, "every block to be free again", (0, 0, 6))
}
