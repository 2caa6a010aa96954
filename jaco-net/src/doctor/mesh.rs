//! Whether the mesh interface is as configured, and whether each peer has agreed on keys.

use std::{collections::BTreeMap, time::Duration};

use jaco_api::model::{Check, Finding};
use tokio::time::{Instant, sleep, timeout};

use super::{PATIENCE, WantedMesh, WantedPeer, few, told};
use crate::{
    MeshConfig, MeshDevice, NetError, PeerStatus, PublicKey,
    mesh::link::{Link, Links},
};

/// How long a peer that was not heard of yet is waited for: the probes that go out at the same time make both ends
/// agree on keys.
const HANDSHAKE: Duration = Duration::from_millis(1500);
/// Pause between two looks.
const AGAIN: Duration = Duration::from_millis(100);

/// What there is of the mesh.
struct Seen {
    /// The interface and what it holds; absent when there is none.
    held: Option<(bool, MeshConfig)>,
    peers: BTreeMap<PublicKey, PeerStatus>,
}

/// One finding for the interface, and one for each peer.
pub(super) async fn look(wanted: &WantedMesh, device: &dyn MeshDevice) -> Vec<Finding> {
    let cause = match timeout(PATIENCE, see(wanted, device)).await {
        Ok(Ok(seen)) => return judge(wanted, &seen),
        Ok(Err(error)) => told(&error),
        Err(_) => "the mesh device has not answered within 2 s".to_owned(),
    };
    let fix = "look into the log of jacod; `ip -d link show` and `ip address` show what there is";
    vec![Finding::failed(Check::Mesh, &wanted.interface, cause, fix)]
}

async fn see(wanted: &WantedMesh, device: &dyn MeshDevice) -> Result<Seen, NetError> {
    let (kernel, given_up) = (Links::connect()?, Instant::now() + HANDSHAKE);
    loop {
        let link = kernel.find(wanted.interface.as_str()).await?;
        let held = match (link, device.read().await?) {
            (Some(Link { up, .. }), Some(config)) => Some((up, config)),
            _ => None,
        };
        let peers = device.peers().await?;
        let all = wanted.peers.keys().all(|key| peers.get(key).is_some_and(PeerStatus::connected));
        if all || held.is_none() || Instant::now() >= given_up {
            return Ok(Seen { held, peers });
        }
        sleep(AGAIN).await;
    }
}

fn judge(wanted: &WantedMesh, seen: &Seen) -> Vec<Finding> {
    let held = seen.held.as_ref().map(|(_, config)| config);
    let mut findings = vec![judge_interface(wanted, seen.held.as_ref())];
    findings.extend(wanted.peers.iter().map(|(key, peer)| match held {
        None => {
            let why = format!("the mesh interface {} is missing", wanted.interface);
            Finding::skipped(Check::Mesh, &peer.name, why)
        }
        Some(held) => judge_peer(wanted, (key, peer), held, seen.peers.get(key)),
    }));
    findings
}

fn judge_interface(wanted: &WantedMesh, held: Option<&(bool, MeshConfig)>) -> Finding {
    let name = &wanted.interface;
    let failed = |cause: String, fix: String| Finding::failed(Check::Mesh, name, cause, fix);
    let again = format!(
        "the repair puts it right; if it is changed again, `ip monitor` says by whom ({name})"
    );
    let Some((up, held)) = held else {
        let cause = format!("there is no mesh interface {name}");
        return failed(cause, again);
    };
    let config = &wanted.config;
    let mut wrong = Vec::new();
    if !up {
        wrong.push(format!("{name} is down"));
    }
    let missing = config.addresses.difference(&held.addresses);
    wrong.extend(missing.map(|address| format!("{name} does not have its address {address}")));
    let strange = held.addresses.difference(&config.addresses);
    wrong.extend(
        strange.map(|address| format!("{name} has the address {address}, which is not its own")),
    );
    if held.mtu != config.mtu {
        wrong.push(format!("the MTU of {name} is {} instead of {}", held.mtu, config.mtu));
    }
    if held.listen_port != config.listen_port {
        wrong.push(format!(
            "it listens on UDP {} instead of {}",
            held.listen_port, config.listen_port
        ));
    }
    let strangers = held.peers.keys().filter(|key| !config.peers.contains_key(key)).count();
    if strangers > 0 {
        wrong.push(format!("it has {strangers} peers that are no members"));
    }
    if wrong.is_empty() { Finding::ok(Check::Mesh, name) } else { failed(few(wrong), again) }
}

fn judge_peer(
    wanted: &WantedMesh,
    (key, peer): (&PublicKey, &WantedPeer),
    held: &MeshConfig,
    status: Option<&PeerStatus>,
) -> Finding {
    let name = &peer.name;
    let failed = |cause: String, fix: String| Finding::failed(Check::Mesh, name, cause, fix);
    let again =
        "the repair configures it again; if it goes again, `wg show` says what the interface holds";
    let (Some(entry), Some(status)) = (held.peers.get(key), status) else {
        return failed(
            format!("{} does not know the key of {name}", wanted.interface),
            again.to_owned(),
        );
    };
    let allowed = wanted.config.peers.get(key).map(|wanted| &wanted.allowed);
    if allowed.is_some_and(|allowed| *allowed != entry.allowed) {
        let cause = format!("{} takes other addresses for {name}'s than it has", wanted.interface);
        return failed(cause, again.to_owned());
    }
    if status.connected() {
        return Finding::ok(Check::Mesh, name);
    }
    let port = wanted.config.listen_port;
    let when = match status.last_handshake {
        None => format!("no keys were ever agreed on with {name}"),
        Some(age) => format!("the last keys were agreed on with {name} {} s ago", age.as_secs()),
    };
    let Some(endpoint) = status.endpoint else {
        let fix = format!(
            "one of the two must reach the other: give {name} an `advertise_addr` that other nodes reach, and open \
             UDP {port} there"
        );
        return failed(format!("{when}: nobody knows where it is"), fix);
    };
    let fix = format!(
        "open UDP {port} in both directions between this node and {endpoint} (firewalls of the hosts, security \
         groups of the provider); look whether jacod runs on {name}, and whether `jaco node inspect {name}` shows the \
         same mesh key on both nodes"
    );
    failed(format!("{when}: nothing that can be read comes back from {endpoint}"), fix)
}

#[cfg(test)]
mod tests {
    use jaco_api::model::FindingOutcome;

    use super::*;
    use crate::MeshPeer;

    const KEY: PublicKey = PublicKey([2; 32]);

    fn wanted() -> WantedMesh {
        let peer = MeshPeer {
            endpoint: Some("192.0.2.2:51820".parse().unwrap()),
            allowed: ["10.243.0.2/32".parse().unwrap()].into(),
            keepalive: None,
        };
        WantedMesh {
            interface: "jaco0".parse().unwrap(),
            config: MeshConfig {
                addresses: ["10.243.0.1/32".parse().unwrap()].into(),
                listen_port: 51820,
                mtu: 1420,
                peers: [(KEY, peer)].into(),
            },
            peers: [(
                KEY,
                WantedPeer {
                    name: "node-b".parse().unwrap(),
                    address: "10.243.0.2".parse().unwrap(),
                },
            )]
            .into(),
            probe_port: 51821,
        }
    }

    fn connected() -> PeerStatus {
        PeerStatus {
            endpoint: Some("192.0.2.2:51820".parse().unwrap()),
            last_handshake: Some(Duration::from_secs(10)),
            received: 1,
            sent: 1,
        }
    }

    /// Cause of a failure by subject; empty where there is none.
    fn causes(seen: &Seen) -> Vec<(String, String)> {
        let cause = |finding: Finding| match finding.outcome {
            FindingOutcome::Failed { cause, .. } => (finding.subject, cause),
            FindingOutcome::Skipped { why } => (finding.subject, format!("skipped: {why}")),
            _ => (finding.subject, String::new()),
        };
        judge(&wanted(), seen).into_iter().map(cause).collect()
    }

    #[test]
    fn what_the_interface_lacks_is_named() {
        let peers = || BTreeMap::from([(KEY, connected())]);
        let sound = Seen { held: Some((true, wanted().config)), peers: peers() };
        assert!(causes(&sound).iter().all(|(_, cause)| cause.is_empty()));

        let mut config = wanted().config;
        config.addresses = ["10.243.0.9/32".parse().unwrap()].into();
        config.mtu = 1500;
        config.listen_port = 1;
        let cause = &causes(&Seen { held: Some((false, config)), peers: peers() })[0].1;
        for part in [
            "jaco0 is down",
            "its address 10.243.0.1/32",
            "10.243.0.9/32",
            "MTU of jaco0 is 1500 instead of 1420",
        ] {
            assert!(cause.contains(part), "{part}: {cause}");
        }
        let gone = causes(&Seen { held: None, peers: BTreeMap::new() });
        assert_eq!(gone[0], ("jaco0".into(), "there is no mesh interface jaco0".into()));
        assert!(gone[1].1.starts_with("skipped"), "{gone:?}");
    }

    #[test]
    fn a_peer_without_keys_says_where_it_was_looked_for() {
        let with = |status: PeerStatus, config: MeshConfig| {
            let seen = Seen { held: Some((true, config)), peers: [(KEY, status)].into() };
            causes(&seen)[1].1.clone()
        };
        let never = PeerStatus { last_handshake: None, ..connected() };
        let cause = with(never.clone(), wanted().config);
        assert_eq!(
            cause,
            "no keys were ever agreed on with node-b: nothing that can be read comes back from 192.0.2.2:51820"
        );
        let nowhere = PeerStatus { endpoint: None, ..never };
        assert!(with(nowhere, wanted().config).ends_with("nobody knows where it is"));
        let old = PeerStatus { last_handshake: Some(Duration::from_secs(600)), ..connected() };
        assert!(
            with(old, wanted().config)
                .starts_with("the last keys were agreed on with node-b 600 s ago")
        );

        let mut other = wanted().config;
        other.peers.get_mut(&KEY).unwrap().allowed.clear();
        assert!(with(connected(), other).contains("other addresses"));
        let mut without = wanted().config;
        without.peers.clear();
        assert!(with(connected(), without).contains("does not know the key"));
    }
}
