//! `bench ingress`: JACO's proxy beside HAProxy, nginx and Caddy.

use std::fs;

use jaco_bench::{Gateway, Latency, Quiet, Stage};

use super::middle;
use crate::{
    error::{Result, TaskError},
    machine::{cargo, is_root, run, target},
    say, setup,
};

/// What the comparison runs, and the packages that bring it.
const PROGRAMS: &[(&str, &str)] = &[
    ("haproxy", "haproxy"),
    ("nginx", "nginx-light"),
    ("caddy", "caddy"),
    ("wrk", "wrk"),
    ("h2load", "nghttp2-client"),
    ("curl", "curl"),
    ("openssl", "openssl"),
    ("taskset", "util-linux"),
    ("chrt", "util-linux"),
];
const IDLE: usize = 5000;

/// What one contender did, bout by bout.
#[derive(Default)]
struct Column {
    name: &'static str,
    http1: Vec<f64>,
    medium: Vec<f64>,
    http2: Vec<f64>,
    handshakes: Vec<f64>,
    /// Beyond what the upstream takes, in microseconds.
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// Whole, and for each idle connection, in KiB.
    memory: Vec<f64>,
    idle: Vec<f64>,
    layer4: Vec<f64>,
}

/// What costs processor time. All contenders bear it for about a second each, again and again and in changing order: the
/// machine changes within seconds, and what counts is how they compare in each of these bouts.
#[derive(Clone, Copy)]
enum Load {
    Http1,
    Medium,
    Http2,
    Handshakes,
    Layer4,
}

const LOADS: &[Load] = &[Load::Http1, Load::Medium, Load::Http2, Load::Handshakes, Load::Layer4];

pub(super) fn ingress(rounds: u8, seconds: u8) -> Result<()> {
    if !is_root() {
        return Err(TaskError::NotRoot { what: "the comparison" });
    }
    setup::install_all(PROGRAMS)?;
    // As it is shipped: with the optimisations of the daemon.
    run(&mut cargo(&["build", "--profile", "dist", "-p", "jaco-bench", "--bin", "proxy-node"]))?;
    let directory = target().join("bench-ingress");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).map_err(|source| TaskError::File {
        operation: "create",
        path: directory.display().to_string(),
        source,
    })?;
    let stage = Stage::set(&directory)?;
    let program = target().join("dist/proxy-node");
    let mut columns: [Column; 5] = Default::default();
    for round in 1..=rounds {
        say::step(&format!("Round {round} of {rounds}"));
        // Each round has them anew: memory is counted from the start.
        let gateways = [
            Gateway::jaco(&program, &stage)?,
            Gateway::haproxy(&stage)?,
            Gateway::nginx(&stage)?,
            Gateway::caddy(&stage)?,
            Gateway::jaco_of_many(&program, &stage)?,
        ];
        for (gateway, column) in gateways.iter().zip(&mut columns) {
            column.name = gateway.name();
            column.idle(gateway)?;
        }
        for load in LOADS {
            for bout in 0..seconds {
                let mut pairs: Vec<_> = gateways.iter().zip(&mut columns).collect();
                if bout % 2 == 1 {
                    pairs.reverse();
                }
                for (gateway, column) in pairs {
                    column.bear(*load, gateway)?;
                }
            }
        }
        // The load at which JACO's processor is half busy.
        let pace = middle(columns[0].http1.iter().copied()) / 2.0;
        let quiet = Quiet::set(&stage, &gateways)?;
        for _ in 0..seconds {
            let direct = gateways[0].latency(true, pace)?;
            for (gateway, column) in gateways.iter().zip(&mut columns) {
                column.latency(gateway.latency(false, pace)?, direct);
            }
        }
        drop(quiet);
        for column in &columns[..2] {
            say::note(&column.last());
        }
    }
    table(&columns);
    Ok(())
}

impl Column {
    fn idle(&mut self, gateway: &Gateway) -> Result<()> {
        let held = gateway.idle(IDLE)?;
        self.memory.push(held.with as f64 / 1024.0);
        self.idle.push(held.with.saturating_sub(held.before) as f64 / IDLE as f64);
        Ok(())
    }

    fn bear(&mut self, load: Load, gateway: &Gateway) -> Result<()> {
        let (to, served) = match load {
            Load::Http1 => (&mut self.http1, gateway.http1("small")?),
            Load::Medium => (&mut self.medium, gateway.http1("medium")?),
            Load::Http2 => (&mut self.http2, gateway.http2()?),
            Load::Handshakes => (&mut self.handshakes, gateway.handshakes(1500)?),
            Load::Layer4 if !gateway.carries_bytes() => return Ok(()),
            Load::Layer4 => (&mut self.layer4, gateway.layer4()?),
        };
        to.push(served);
        Ok(())
    }

    fn latency(&mut self, seen: Latency, direct: Latency) {
        self.p50.push(seen.p50 - direct.p50);
        self.p99.push(seen.p99 - direct.p99);
    }

    fn last(&self) -> String {
        let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
        format!(
            "{}: {:.0} requests, {:.0} over HTTP/2, {:.0} handshakes per second of its processor",
            self.name,
            last(&self.http1),
            last(&self.http2),
            last(&self.handshakes)
        )
    }
}

/// A line of the table: what it is called, where it is, and whether more is better.
type Line = (&'static str, fn(&Column) -> &[f64], bool);

const LINES: &[Line] = &[
    ("HTTP/1.1, 15 bytes: requests per CPU second", |c| &c.http1, true),
    ("HTTP/1.1, 10 KiB: requests per CPU second", |c| &c.medium, true),
    ("HTTP/2 over TLS: requests per CPU second", |c| &c.http2, true),
    ("TLS handshakes per CPU second", |c| &c.handshakes, true),
    ("layer 4: MiB per CPU second", |c| &c.layer4, true),
    ("added at half load, p50, microseconds", |c| &c.p50, false),
    ("added at half load, p99, microseconds", |c| &c.p99, false),
    ("memory with 5,000 idle connections, MiB", |c| &c.memory, false),
    ("of it for each connection, KiB", |c| &c.idle, false),
];

/// Medians, and in brackets the median of JACO in parts of the other, bout by bout; more is better, or less.
fn table(columns: &[Column]) {
    say::step("Medians, and in brackets how many times as good JACO is");
    for (what, values, more) in LINES {
        let ours = middle(values(&columns[0]).iter().copied());
        let mut line = format!("{what}: JACO {ours:.0}");
        for column in columns[1..].iter().filter(|column| !values(column).is_empty()) {
            let bouts = values(&columns[0]).iter().zip(values(column));
            let ratio = middle(bouts.map(|(o, t)| if *more { o / t } else { t / o }));
            let theirs = middle(values(column).iter().copied());
            line.push_str(&format!("; {} {theirs:.0} ({ratio:.2})", column.name));
        }
        say::data(&line);
    }
}
