//! A deployment of peers: programs that speak everything an ingress carries.

use std::{net::Ipv4Addr, path::Path};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::program_image;

use super::places::{Place, places};

/// Loads the image `peer:rig` into every engine.
pub(super) fn load(fleet: &Fleet) -> Outcome {
    let rig = fleet.cluster().rig();
    let tar = program_image(Path::new(env!("CARGO_BIN_EXE_rig-peer")), &rig.directory())?;
    let changes = ["ENTRYPOINT [\"/rig-peer\"]", "CMD [\"serve\"]"];
    Ok(rig.load_image(&tar, "peer:rig", &changes)?)
}

/// A compose file with a service `app` of two peers and these further lines of it.
pub(super) fn two(further: &str) -> String {
    format!(
        "services:\n  app:\n    image: peer:rig\n    pull_policy: never\n    healthcheck:\n      \
         test: [\"CMD\", \"/rig-peer\", \"healthy\"]\n      interval: 1s\n      timeout: 2s\n      \
         retries: 1\n{further}    deploy:\n      replicas: 2\n"
    )
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
