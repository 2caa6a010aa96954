//! Becoming a member, and not becoming one.

use std::time::{Duration, Instant};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Capture, CliOutput, Node, NodeOptions, Patience, Traffic, until};

const LIMIT: Duration = Duration::from_secs(5);
/// What the secret of a token takes on the wire, whichever way it is written.
const SECRET: usize = 32;

fn join(fleet: &Fleet, n: usize, peer: &str, token: &str) -> Outcome<CliOutput> {
    Ok(fleet.cli(n).try_run(&["node", "join", "--peer", peer, "--token", token, "-o", "json"])?)
}

fn refused(output: &CliOutput, code: &str) {
    assert_eq!((output.code, output.error_code()), (1, Some(code)), "{output:?}");
}

fn uninitialized(fleet: &Fleet, n: usize) -> Outcome {
    let status = fleet.cli(n).json(&["cluster", "status"])?;
    assert_eq!(status["initialized"], false, "a refused join leaves no trace: {status}");
    Ok(())
}

pub(crate) fn a_token_opens_the_door_once(fleet: &mut Fleet) -> Outcome {
    fleet.daemons()?;
    fleet.cluster().init()?;
    let peer = fleet.cluster().node(0).server().to_owned();
    let token = fleet.cluster().token(0)?;
    let (secret, fingerprint) = token.split_once('.').ok_or("a token has two parts")?;
    assert_eq!((secret.len(), fingerprint.len()), (64, 32), "64 and 32 hex digits: {token}");

    wrong_authority(fleet, &peer, secret)?;
    refused(
        &join(fleet, 1, &peer, &format!("{}.{fingerprint}", "0".repeat(64)))?,
        "join_token_invalid",
    );
    expired(fleet, &peer)?;
    duplicate_name(fleet, &peer, &token)?;
    uninitialized(fleet, 1)?;

    // All the refusals have not used it up. Now it is used twice at once.
    let started = Instant::now();
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| join(fleet, 1, &peer, &token));
        let two = join(fleet, 2, &peer, &token);
        (one.join().unwrap(), two)
    });
    let outputs = [one?, two?];
    let winners: Vec<usize> = (1..=2).filter(|n| outputs[n - 1].code == 0).collect();
    assert_eq!(winners.len(), 1, "one of the two wins: {outputs:#?}");
    let (winner, loser) = (winners[0], 3 - winners[0]);
    refused(&outputs[loser - 1], "join_token_consumed");
    uninitialized(fleet, loser)?;
    fleet.cluster().ready_among(&[0, winner], LIMIT.into())?;
    fleet.measured("first join → ready on every node", format!("{:.1?}", started.elapsed()));

    // Any member can be the peer, and pass on what only the leader can do.
    let started = Instant::now();
    fleet.cluster().join(loser, winner)?;
    fleet.cluster().ready(LIMIT.into())?;
    let took = started.elapsed();
    fleet.measured("second join → ready on every node", format!("{took:.1?}"));
    assert!(took <= LIMIT, "{took:?}");
    members_stay(fleet, &peer, loser)
}

/// A token that names another authority: the peer is left before it learns the secret.
fn wrong_authority(fleet: &Fleet, peer: &str, secret: &str) -> Outcome {
    let capture = Capture::start(fleet.cluster().rig(), "join")?;
    refused(&join(fleet, 1, peer, &format!("{secret}.{}", "ab".repeat(16)))?, "ca_mismatch");
    uninitialized(fleet, 1)?;
    let traffic = capture.finish(fleet.cluster().rig())?;
    let room = after_hello(&traffic, fleet)?;
    fleet.measured("bytes to the wrong authority after the greeting", room);
    assert!(room < SECRET, "{room} bytes could hold the secret");
    assert_eq!(traffic.holding(secret.as_bytes()), Vec::<String>::new());
    Ok(())
}

/// How many encrypted bytes the second host has sent to the first one's API, over all connections. The
/// authentication tag and type of each record are not counted: they hold nothing.
fn after_hello(traffic: &Traffic, fleet: &Fleet) -> Outcome<usize> {
    const APPLICATION_DATA: u8 = 23;
    let (from, to) =
        (fleet.cluster().rig().host(1).address(), fleet.cluster().rig().host(0).address());
    let ours = |(flow, _): &&(jaco_harness::Flow, Vec<u8>)| {
        (*flow.from.ip(), *flow.to.ip()) == (from, to) && flow.to.port() == 7000
    };
    let (mut connections, mut sum) = (0, 0);
    for (_, mut stream) in traffic.streams().iter().filter(ours).map(|(f, b)| (f, b.as_slice())) {
        connections += 1;
        while let [kind, _, _, high, low, rest @ ..] = stream {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if *kind == APPLICATION_DATA {
                sum += length.saturating_sub(17);
            }
            stream = rest.get(length..).unwrap_or_default();
        }
    }
    assert!(connections > 0, "the capture holds the attempt: {} packets", traffic.packets());
    Ok(sum)
}

fn expired(fleet: &Fleet, peer: &str) -> Outcome {
    let issued = fleet.cli(0).json(&["node", "issue-join-token", "--ttl", "1s"])?;
    let token = issued["token"].as_str().ok_or("no token")?;
    // Before that second is over, an attempt would succeed: the server's own word is waited for.
    let expires = issued["expires_at"].as_str().ok_or("no time")?;
    until(Patience::SHORT, "the token to expire", || {
        let now = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
        if now.as_str() > expires { Ok(()) } else { Err(format!("{now} of {expires}")) }
    })?;
    refused(&join(fleet, 1, peer, token)?, "join_token_expired");
    Ok(())
}

/// A daemon of another host under the name of a member.
fn duplicate_name(fleet: &mut Fleet, peer: &str, token: &str) -> Outcome {
    fleet.cluster_mut().node_mut(1).stop()?;
    let (host, binaries) = (fleet.cluster().rig().host(1), fleet.cluster().binaries());
    let mut twin = Node::prepare(host, "node1", binaries, &NodeOptions::default())?;
    twin.start()?;
    let join = ["node", "join", "--peer", peer, "--token", token];
    refused(&twin.cli().try_run(&join)?, "node_already_member");
    twin.stop()?;
    fleet.cluster_mut().node_mut(1).start()?;
    Ok(())
}

/// Who is a member cannot become one again, nor found a cluster.
fn members_stay(fleet: &Fleet, peer: &str, n: usize) -> Outcome {
    let token = fleet.cluster().token(0)?;
    refused(&join(fleet, n, peer, &token)?, "cluster_already_initialized");
    let init = fleet.cli(n).try_run(&["cluster", "init"])?;
    refused(&init, "cluster_already_initialized");
    let audit = fleet.cli(n).json(&["audit", "--type", "node_join"])?;
    assert_eq!(audit.as_array().map(Vec::len), Some(2), "two have joined: {audit}");
    Ok(())
}
