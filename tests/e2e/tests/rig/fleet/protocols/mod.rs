//! Every protocol that an ingress carries goes through every node.
//!
//! The witness is a visitor on the switch between the hosts, who compares what the peers say with what was sent.

mod client;
mod pages;
mod raw;
mod transfers;
mod words;

use std::{
    fs,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use jaco_e2e::{Fleet, Outcome, times};

use self::client::{Version, Visit};
use super::{memory, own_certificates::made, peers};

const PLAIN: &str = "plain.test";
const SECURE: &str = "own.example";

/// gRPC needs HTTP/2 all the way.
const ROUTES: &str = "deployment: site
routes:
  - {domain: plain.test, service: app, port: 8080, tls: 'off'}
  - {domain: plain.test, path: /talk.Talk, service: app, port: 8080, tls: 'off', protocol: h2c}
  - {domain: own.example, service: app, port: 8080, tls: own.example}
  - {domain: own.example, path: /talk.Talk, service: app, port: 8080, tls: own.example, protocol: h2c}
";

/// Most time for what is said in one protocol over one way.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much the memory of a daemon may grow, whatever passes through it: a few connections with their buffers.
const MOST_GROWTH_KIB: u64 = 32 * 1024;

/// How a node can be visited.
fn ways(node: Ipv4Addr, root: &Arc<str>) -> Vec<Visit> {
    let mut ways = Vec::new();
    for version in [Version::Http1, Version::Http2] {
        ways.push(Visit { node, domain: PLAIN, root: None, version });
        ways.push(Visit { node, domain: SECURE, root: Some(root.clone()), version });
    }
    ways
}

/// What is said, with its name when it fails or takes too long.
async fn said(visit: &Visit, what: &str, talk: impl Future<Output = Outcome>) -> Outcome {
    let outcome = tokio::time::timeout(PATIENCE, talk).await;
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{what}, {visit}: {error}").into()),
        Err(_) => Err(format!("{what}, {visit}: no end after {PATIENCE:?}").into()),
    }
}

/// Everything over one way.
async fn everything(visit: &Visit) -> Outcome {
    said(visit, "pages", pages::pages(visit)).await?;
    said(visit, "events", pages::events(visit)).await?;
    said(visit, "trailers", pages::trailers(visit)).await?;
    said(visit, "a body of some size", transfers::both(visit, 8 << 20)).await?;
    match visit.version {
        Version::Http1 => {
            said(visit, "a WebSocket", words::socket(visit)).await?;
            said(visit, "100-continue", raw::continued(visit)).await?;
            said(visit, "a body that is not wanted", raw::refused(visit)).await
        }
        Version::Http2 => said(visit, "gRPC", words::grpc(visit)).await,
    }
}

pub(crate) fn every_protocol_goes_through_every_node(fleet: &mut Fleet) -> Outcome {
    peers::load(fleet)?;
    fleet.form()?;
    let [cert, key] = made(&fleet.scratch()?, SECURE, 2040)?;
    let stack = fleet.stack(ROUTES, &peers::two(""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    fleet.cli(0).run(&["cert", "import", SECURE, "--cert", &cert, "--key", &key])?;
    let (_, without) = peers::apart(fleet)?;
    let root: Arc<str> = fs::read_to_string(&cert)?.into();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for node in peers::hosts(fleet) {
        for visit in ways(node, &root) {
            // The certificate has to come to this node.
            fleet.cluster().until(jaco_harness::Patience::NORMAL, "a page", || {
                let page = runtime.block_on(visit.get("/page")).map_err(|e| e.to_string())?;
                if page.status() == 200 { Ok(()) } else { Err(format!("{page:?}")) }
            })?;
            runtime.block_on(everything(&visit))?;
        }
    }

    let node = peers::hosts(fleet)[without];
    let visit = Visit { node, domain: PLAIN, root: None, version: Version::Http1 };
    let bytes = times(128, 1024) as u64 * (1 << 20);
    memory::grows_at_most(fleet, without, MOST_GROWTH_KIB, |_| {
        let began = Instant::now();
        runtime.block_on(transfers::up(&visit, bytes))?;
        let up = began.elapsed();
        runtime.block_on(transfers::down(&visit, bytes))?;
        Ok(format!(
            "{} MiB up in {:.1} s, down in {:.1} s",
            bytes >> 20,
            up.as_secs_f32(),
            (began.elapsed() - up).as_secs_f32()
        ))
    })
}
