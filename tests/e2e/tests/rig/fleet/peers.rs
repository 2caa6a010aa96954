//! A deployment of peers: programs that speak everything an ingress carries.

use std::{net::Ipv4Addr, path::Path};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Patience, Stack, program_image};

use super::{
    places::{Place, places},
    visitors,
};

/// Loads the image `peer:rig` into every engine.
pub(super) fn load(fleet: &Fleet) -> Outcome {
    let rig = fleet.cluster().rig();
    let tar = program_image(Path::new(env!("CARGO_BIN_EXE_rig-peer")), &rig.directory())?;
    let changes = ["ENTRYPOINT [\"/rig-peer\"]", "CMD [\"serve\"]"];
    Ok(rig.load_image(&tar, "peer:rig", &changes)?)
}

/// A compose file with a service `app` of two peers and these further lines of it.
pub(super) fn two(further: &str) -> String {
    many(2, further)
}

/// The same of that many, which are replaced one by one.
pub(super) fn many(replicas: usize, further: &str) -> String {
    format!(
        "services:\n  app:\n    image: peer:rig\n    pull_policy: never\n    healthcheck:\n      \
         test: [\"CMD\", \"/rig-peer\", \"healthy\"]\n      interval: 1s\n      timeout: 2s\n      \
         retries: 1\n    environment: {{VERSION: one}}\n{further}    deploy:\n      \
         replicas: {replicas}\n      update_config:\n        order: start-first\n        monitor: 1s\n"
    )
}

/// Deploys that many peers at `http://peer.test/`, and waits until every host leads there.
pub(super) fn apply(fleet: &mut Fleet, replicas: usize, further: &str) -> Outcome<Stack> {
    load(fleet)?;
    let route = "  - {domain: peer.test, service: app, port: 8080, tls: 'off'}\n";
    let routes = format!("deployment: site\nroutes:\n{route}");
    let stack = fleet.stack(&routes, &many(replicas, further))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    for host in hosts(fleet) {
        fleet.cluster().until(Patience::NORMAL, "a page", || {
            match visitors::head(host, "peer.test", "/")? {
                (200, _) => Ok(()),
                (_, head) => Err(head),
            }
        })?;
    }
    Ok(stack)
}

/// Where the two peers of the deployment `site` are, and the number of the host that has none.
pub(super) fn apart(fleet: &Fleet) -> Outcome<(Vec<Place>, usize)> {
    let places = places(fleet, "site", "app")?;
    let hosts: Vec<usize> = places.iter().map(|place| place.host).collect();
    match *hosts.as_slice() {
        [one, other] if one != other => Ok((places, 3 - one - other)),
        _ => Err(format!("not on two hosts: {hosts:?}").into()),
    }
}

/// The addresses of the hosts.
pub(super) fn hosts(fleet: &Fleet) -> Vec<Ipv4Addr> {
    fleet.cluster().rig().hosts().iter().map(jaco_harness::Host::address).collect()
}
