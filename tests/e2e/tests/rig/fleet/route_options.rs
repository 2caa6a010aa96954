//! What a route asks for holds on every node.
//!
//! The witness is a visitor on the switch between the hosts, and a service that tells what it was asked.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jaco_e2e::{Fleet, Outcome};
use jaco_harness::Patience;
use serde_json::json;

use super::secrecy::only_in_memory;
use crate::stacks::mirrors;

/// A value that nothing else contains.
const PASSWORD: &str = "door-password-3c9e17ab";

/// `PASSWORD` is put in.
const ROUTES: &str = "deployment: site
routes:
  - domain: strip.test
    path: /api
    service: app
    port: 8080
    tls: 'off'
    strip_path: true
    headers:
      request: {set: {X-Tenant: shop}, remove: X-Gone}
      response: {set: {X-Answered: 'yes'}}
  - {domain: moved.test, service: app, port: 8080, tls: 'off', redirect_to: {url: 'https://new.test', permanent: true}}
  - {domain: door.test, service: app, port: 8080, tls: 'off', basic_auth: {ann: PASSWORD}}
  - {domain: far.test, service: app, port: 8080, tls: 'off', allow: 192.0.2.0/24}
  - {domain: near.test, service: app, port: 8080, tls: 'off', allow: 0.0.0.0/0, deny: 192.0.2.0/24}
  - {domain: shut.test, service: app, port: 8080, tls: 'off', allow: 0.0.0.0/0, deny: 0.0.0.0/0}
  - {domain: slow.test, service: app, port: 8080, tls: 'off', rate_limit: {requests: 1, per: 1h, burst: 2}}
  - {domain: small.test, service: app, port: 8080, tls: 'off', max_body: 10}
  - {domain: stay.test, service: app, port: 8080, tls: 'off', sticky: cookie}
  - {domain: address.test, service: app, port: 8080, tls: 'off', sticky: ip}
";

/// Where the service tells what it was asked.
const MIRROR: &str = "/cgi-bin/mirror";

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// The value of a header.
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// A variable that the service was told.
    fn told(&self, name: &str) -> Option<&str> {
        let mut lines = self.body.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    }
}

/// One request to a host: `lines` are further header lines, each with its end.
fn ask(at: Ipv4Addr, target: &str, host: &str, lines: &str, body: &str) -> Result<Answer, String> {
    let patience = Duration::from_secs(5);
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(at.into(), 80), patience)?;
        stream.set_read_timeout(Some(patience))?;
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let head = format!("{target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        stream.write_all(format!("{head}{length}{lines}\r\n{body}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error| format!("{host} at {at}: {error}"))?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(Answer {
        status: status.ok_or_else(|| answer.clone())?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

fn mirror(at: Ipv4Addr, host: &str, lines: &str) -> Result<Answer, String> {
    ask(at, &format!("GET {MIRROR}"), host, lines, "")
}

pub(crate) fn options_of_a_route_hold(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = fleet.stack(&ROUTES.replace("PASSWORD", PASSWORD), &mirrors(3))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let hosts: Vec<Ipv4Addr> = fleet.cluster().rig().hosts().iter().map(|h| h.address()).collect();
    for host in &hosts {
        fleet.cluster().until(Patience::NORMAL, "the routes", || {
            match mirror(*host, "near.test", "")?.status {
                200 => Ok(()),
                other => Err(format!("{other} at {host}")),
            }
        })?;
        changed(*host)?;
        admitted(*host)?;
        bounded(*host)?;
    }
    kept(&hosts)?;
    hidden(fleet)?;
    // The same passwords again are no new revision.
    let again = fleet.cli(1).json(&["apply", &stack.manifest()])?;
    assert_eq!((&again["changed"], &again["revision"]), (&json!(false), &json!(1)), "{again}");
    fleet.cli(1).run(&["delete", "site", "--wait=60s"])?;
    Ok(())
}

/// Paths, headers and redirects.
fn changed(at: Ipv4Addr) -> Outcome {
    let lines = "X-Gone: 1\r\nX-Tenant: spoofed\r\n";
    let answer = ask(at, &format!("GET /api{MIRROR}?y=1"), "strip.test", lines, "")?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.told("REQUEST_URI"), Some("/cgi-bin/mirror?y=1"), "{}", answer.body);
    assert_eq!(answer.told("HTTP_X_FORWARDED_PREFIX"), Some("/api"));
    assert_eq!(answer.told("HTTP_X_TENANT"), Some("shop"));
    assert_eq!(answer.told("HTTP_X_GONE"), None);
    assert_eq!(answer.header("x-answered"), Some("yes"), "{}", answer.head);
    assert_eq!(mirror(at, "strip.test", "")?.status, 404, "the route has a path");
    let moved = ask(at, "GET /a?b", "moved.test", "", "")?;
    let to = moved.header("location");
    assert_eq!((moved.status, to), (308, Some("https://new.test/a?b")), "{}", moved.head);
    Ok(())
}

/// Passwords and addresses.
fn admitted(at: Ipv4Addr) -> Outcome {
    let with = |pair: String| format!("Authorization: Basic {}\r\n", STANDARD.encode(pair));
    for (lines, status) in [
        (String::new(), 401),
        (with("ann:".to_owned()), 401),
        (with(format!("bob:{PASSWORD}")), 401),
        (with(format!("ann:{PASSWORD}")), 200),
    ] {
        let answer = mirror(at, "door.test", &lines)?;
        assert_eq!(answer.status, status, "{lines:?} at {at}: {}", answer.head);
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
        assert_eq!(answer.told("HTTP_AUTHORIZATION"), None, "the service sees no password");
    }
    for (host, status) in [("far.test", 403), ("near.test", 200), ("shut.test", 403)] {
        assert_eq!(mirror(at, host, "")?.status, status, "{host} at {at}");
    }
    Ok(())
}

/// Rates and sizes.
fn bounded(at: Ipv4Addr) -> Outcome {
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(mirror(at, "slow.test", "")?.status);
    }
    assert_eq!(statuses, [200, 200, 429, 429], "at {at}");
    for (body, status) in [("0123456789", 200), ("0123456789a", 413)] {
        let answer = ask(at, &format!("POST {MIRROR}"), "small.test", "", body)?;
        assert_eq!(answer.status, status, "{} bytes at {at}: {}", body.len(), answer.body);
    }
    Ok(())
}

/// Visitors stay with one replica, whichever host they ask.
fn kept(hosts: &[Ipv4Addr]) -> Outcome {
    let first = mirror(hosts[0], "stay.test", "")?;
    let by = first.told("BY").ok_or_else(|| first.body.clone())?;
    let cookie = first.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    let lines = format!("Cookie: {}\r\n", cookie.ok_or_else(|| first.head.clone())?);
    let (mut others, mut drawn) = (BTreeSet::new(), BTreeSet::new());
    for host in hosts {
        for _ in 0..5 {
            let again = mirror(*host, "stay.test", &lines)?;
            assert_eq!(again.told("BY"), Some(by), "{} at {host}", again.body);
            others.extend(mirror(*host, "stay.test", "")?.told("BY").map(str::to_owned));
            drawn.extend(mirror(*host, "address.test", "")?.told("BY").map(str::to_owned));
        }
    }
    assert!(others.len() > 1, "without the cookie all are asked: {others:?}");
    assert_eq!(drawn.len(), 1, "one address, one replica: {drawn:?}");
    Ok(())
}

/// The password is in no file of the hosts and in no answer; who has one is shown.
fn hidden(fleet: &Fleet) -> Outcome {
    only_in_memory(fleet, PASSWORD, 0, &fleet.scratch()?)?;
    for arguments in [
        &["get", "deployment", "site", "--show-secrets"][..],
        &["get", "routes"],
        &["status"],
        &["audit", "--since", "1h"],
    ] {
        for format in ["table", "json"] {
            let said = fleet.cli(2).run(&[arguments, &["-o", format]].concat())?.stdout;
            assert!(!said.contains(PASSWORD), "{arguments:?} shows the password");
        }
    }
    let routes = fleet.cli(2).run(&["get", "routes"])?.stdout;
    assert!(routes.contains("basic_auth ann") && routes.contains("strip_path"), "{routes}");
    Ok(())
}
