//! Nothing that passes between hosts can be read.

use std::io::Write as _;

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Capture, NodeOptions, Patience, until};

use crate::stacks::{FOREVER, named, shell};

const SECRET: &str = "plum-colored-giraffe";
const SPOKEN: &str = "whispering-in-the-log";
const PLAIN: &str = "this-one-is-plain-on-purpose";

pub(crate) fn nothing_between_hosts_is_readable(fleet: &mut Fleet) -> Outcome {
    fleet.cluster_mut().prepare(&NodeOptions::default())?;
    let capture = Capture::start(fleet.cluster().rig(), "wire")?;
    fleet.cluster_mut().start()?;
    let init = fleet.cluster().init()?;
    let operator = init["token"].as_str().ok_or("no token")?.to_owned();
    let mut secrets = vec![operator.clone()];
    for n in 1..3 {
        let token = fleet.cluster().token(0)?;
        let peer = fleet.cluster().node(0).server();
        fleet.cli(n).run(&["node", "join", "--peer", peer, "--token", &token])?;
        secrets.push(token.split('.').next().unwrap_or_default().to_owned());
    }
    fleet.cluster().ready(Patience::NORMAL)?;
    work(fleet, init["ca_fingerprint"].as_str().ok_or("no fingerprint")?, &operator)?;
    say_plainly(fleet)?;

    let traffic = capture.finish(fleet.cluster().rig())?;
    fleet.measured("captured", format!("{} packets, {} bytes", traffic.packets(), traffic.bytes()));
    let control = traffic.holding(PLAIN.as_bytes());
    assert!(!control.is_empty(), "the search finds what is there in the clear");
    for flow in [(0, 1), (0, 2)] {
        let address = |n: usize| fleet.cluster().rig().host(n).address();
        let both = |(a, b)| {
            traffic
                .streams()
                .iter()
                .any(|(f, bytes)| (*f.from.ip(), *f.to.ip()) == (a, b) && bytes.len() > 1000)
        };
        assert!(both((address(flow.0), address(flow.1))), "{flow:?} have talked");
    }
    let names = ["node1", "node2", "node3", "confidential", "hushhush", "busybox:rig"];
    let commands = ["jaco.v1", "Propose", "AppendEntries", "PRI * HTTP/2.0", "grpc"];
    let texts = [SECRET, SPOKEN].into_iter().chain(names).chain(commands);
    for text in texts.chain(secrets.iter().map(String::as_str)) {
        assert_eq!(traffic.holding(text.as_bytes()), Vec::<String>::new(), "{text:?} is readable");
    }
    Ok(())
}

/// What people do in a day, through a node that does not run what it is asked for.
fn work(fleet: &mut Fleet, fingerprint: &str, operator: &str) -> Outcome {
    let script = format!("echo {SPOKEN}; {FOREVER}");
    let further =
        format!("    environment:\n      HUSHHUSH: {SECRET}\n    deploy:\n      replicas: 3\n");
    let stack = fleet.stack(&named("confidential"), &shell(&script, &further))?;
    fleet.cli(1).run(&["apply", &stack.manifest(), "--wait=60s"])?;
    for n in 0..3 {
        let said = until(Patience::SHORT, "the output of all three", || {
            let said =
                fleet.cli(n).run(&["logs", "confidential/app"]).map_err(|e| e.to_string())?;
            let lines = said.stdout.lines().filter(|line| line.contains(SPOKEN)).count();
            if lines == 3 { Ok(said) } else { Err(format!("{said:?}")) }
        })?;
        assert!(said.stdout.contains("confidential.app.2@"), "{said:?}");
    }
    for replica in ["confidential.app.1", "confidential.app.2", "confidential.app.3"] {
        let said = fleet.cli(2).run(&["exec", replica, "--", "sh", "-c", "echo $HUSHHUSH"])?;
        assert_eq!(said.stdout.trim(), SECRET, "{said:?}");
    }
    let shown = fleet.cli(1).run(&["get", "deployment", "confidential", "--show-secrets"])?;
    assert!(shown.stdout.contains(SECRET), "{shown:?}");
    fleet.cli(2).run(&["token", "issue", "--name", "hushhush"])?;
    let flags = ["--token", operator, "--ca-fingerprint", fingerprint];
    let remote = fleet.cli(0).over_tls(fleet.cluster().node(2).server(), &flags);
    remote.run(&["scale", "confidential/app=4", "--wait=60s"])?;
    fleet.cli(2).run(&["delete", "confidential", "--wait=60s"])?;
    Ok(())
}

/// One line in the clear from the second host to the first, for the search to find.
fn say_plainly(fleet: &Fleet) -> Outcome {
    let to = fleet.cluster().rig().host(0).address().to_string();
    let mut nc = fleet.cluster().rig().host(1).command("busybox");
    nc.args(["nc", "-w", "2", &to, "7000"]).stdin(std::process::Stdio::piped());
    let mut nc = nc.stdout(std::process::Stdio::null()).spawn()?;
    nc.stdin.take().ok_or("no standard input")?.write_all(PLAIN.as_bytes())?;
    nc.wait()?;
    Ok(())
}
