//! Every node serves every route and every published port.
//!
//! The witness is a visitor on the switch between the hosts.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Patience, Vantage};

use super::places::places;
use crate::stacks::pages;

const ROUTES: &str =
    "deployment: site\nroutes:\n  - {domain: site.test, service: app, port: 8080, tls: 'off'}\n";

/// What a host answers to one request for a page of `host`: the status and the body.
fn visit(at: Ipv4Addr, port: u16, host: &str) -> Result<(u16, String), String> {
    let answer = ask(at, port, host, "/index.html")?;
    let body = answer.1.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned());
    Ok((answer.0, body.unwrap_or_default()))
}

/// What a host answers to a plain request for a path of `host`: the status and the head.
pub(crate) fn head(at: Ipv4Addr, host: &str, path: &str) -> Result<(u16, String), String> {
    let (status, answer) = ask(at, 80, host, path)?;
    let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    Ok((status, head))
}

fn ask(at: Ipv4Addr, port: u16, host: &str, path: &str) -> Result<(u16, String), String> {
    let patience = Duration::from_secs(2);
    let exchange = || -> std::io::Result<String> {
        let at = SocketAddr::new(at.into(), port);
        let mut stream = TcpStream::connect_timeout(&at, patience)?;
        stream.set_read_timeout(Some(patience))?;
        let ask = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error| error.to_string())?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| answer.clone())?, answer))
}

pub(crate) fn every_node_serves_every_route_and_port(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let compose = pages("$$HOSTNAME", 3, "    ports: [\"18080:8080\"]\n");
    let stack = fleet.stack(ROUTES, &compose)?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let hosts: Vec<Ipv4Addr> = fleet.cluster().rig().hosts().iter().map(|h| h.address()).collect();
    // Each node prefers its own replica while none has more to do than another.
    let mut answering = BTreeSet::new();
    for host in &hosts {
        for port in [80, 18080] {
            let page = fleet.cluster().until(Patience::NORMAL, "a page", || {
                match visit(*host, port, "site.test")? {
                    (200, page) => Ok(page),
                    other => Err(format!("{other:?} at {host}:{port}")),
                }
            })?;
            answering.insert(page);
        }
        assert_eq!(visit(*host, 80, "other.test")?.0, 404, "a name that nobody has");
    }
    assert_eq!(answering.len(), 3, "{answering:?}");
    // Containers visit like anybody else, on their own host, too.
    for place in places(fleet, "site", "app")? {
        let own = fleet.cluster().rig().host(place.host).address();
        let ports = [80, 18080].map(|port| SocketAddr::new(own.into(), port));
        let reached = Vantage::of(&place.container).connects(&ports)?;
        assert_eq!(reached.len(), 2, "{} reaches {reached:?}", place.container.name);
    }
    // From now on what comes to the third host is served by others.
    let there = fleet.containers("app")?;
    let lost = there[2].first().ok_or("none on node3")?;
    fleet.engine(2).docker(&["kill", &lost.name])?;
    let (began, mut failed, mut asked) = (Instant::now(), Vec::new(), 0);
    while began.elapsed() < Duration::from_secs(4) {
        for host in &hosts {
            asked += 1;
            let at = began.elapsed();
            match visit(*host, 80, "site.test") {
                Ok((200, _)) => {}
                other => failed.push((at, other)),
            }
        }
    }
    let late = failed.iter().filter(|(at, _)| *at > Duration::from_secs(1)).count();
    fleet.measured("a replica killed", format!("{} of {asked} requests failed", failed.len()));
    assert_eq!(late, 0, "{failed:?}");

    fleet.cli(1).run(&["delete", "site", "--wait=60s"])?;
    for host in &hosts {
        fleet.cluster().until(Patience::NORMAL, "the route to go", || {
            match visit(*host, 80, "site.test")? {
                (404, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
        let gone = visit(*host, 18080, "site.test");
        assert!(gone.is_err(), "the port is closed: {gone:?}");
    }
    Ok(())
}
