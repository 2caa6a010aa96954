//! `bench`: kernels of the code under the stop-watch, and JACO beside its peers.
//!
//! What is measured beside a peer is measured in turn, so that whatever else the machine does meets both.

mod ingress;

use std::{fs, time::Duration};

use clap::Subcommand;
use jaco_bench::{
    Cable, Contender, Jaco, JacoMesh, NameServer, Pace, Swarm, Times, Traffic, Tunnel, WireguardGo,
    median, race, throughput,
};
use jaco_harness::{Rig, RigOptions};

use crate::{
    build,
    error::{Result, TaskError},
    machine::{cargo, has, is_root, run, target},
    rig::load_images,
    say, setup,
};

/// What the comparison of tunnels runs, and the packages that bring it.
const TUNNEL_PROGRAMS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("iperf3", "iperf3"),
    ("ping", "iputils-ping"),
    ("wg", "wireguard-tools"),
    ("wireguard-go", "wireguard-go"),
];
const REPLICAS: usize = 30;
const HOSTS: u8 = 3;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Kernels of the code
    Code {
        /// Passed on to the benchmarks
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Answers to names: JACO's responder and dnsmasq, in turn
    Names {
        /// How often; the median counts
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
    },
    /// Requests through a proxy: JACO's, HAProxy, nginx and Caddy, in turn
    Ingress {
        /// How often all are started anew
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
        /// How many bouts of about a second each load has in a round; the median of all counts
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
        seconds: u8,
    },
    /// Thirty replicas on three hosts, then on two: JACO and Docker Swarm on one rig, in turn
    Swarm {
        /// How often; the median counts
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
    },
    /// A tunnel between two namespaces: the mesh in user space and wireguard-go, in turn
    Mesh {
        /// How often; the median counts
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
        /// How long each time
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
        seconds: u8,
    },
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Code { arguments } => code(arguments),
            Self::Names { rounds } => names(*rounds),
            Self::Ingress { rounds, seconds } => ingress::ingress(*rounds, *seconds),
            Self::Swarm { rounds } => swarm(*rounds),
            Self::Mesh { rounds, seconds } => mesh(*rounds, *seconds),
        }
    }
}

fn code(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&mut cargo(
        &[&["bench", "-p", "jaco-api", "-p", "jaco-engine", "--benches", "--"][..], &arguments]
            .concat(),
    ))
}

fn names(rounds: u8) -> Result<()> {
    for (program, package) in [("dnsperf", "dnsperf"), ("dnsmasq", "dnsmasq-base")] {
        if !has(program) {
            let what = format!("{program} is not installed: apt-get install {package}");
            return Err(TaskError::Check { what });
        }
    }
    run(&mut cargo(&["build", "--release", "-p", "jaco-bench", "--bin", "responder"]))?;
    let directory = target().join("bench-names");
    fs::create_dir_all(&directory).map_err(|source| TaskError::File {
        operation: "create",
        path: directory.display().to_string(),
        source,
    })?;
    let ours = NameServer::jaco(&target().join("release/responder"), &directory)?;
    let theirs = NameServer::dnsmasq(&directory)?;
    let (mut our_paces, mut their_paces) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        say::step(&format!("Round {round} of {rounds}"));
        // In turn, so that whatever else the machine does meets both.
        for (server, paces) in [(&ours, &mut our_paces), (&theirs, &mut their_paces)] {
            let pace = server.race(&directory)?;
            say::note(&format!("{}: {pace:?}", server.name()));
            paces.push(pace);
        }
    }
    say::step("Medians");
    let middle = |paces: &[Pace]| {
        let mut all: Vec<f64> = paces.iter().map(|pace| pace.per_second).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (jaco, dnsmasq) = (middle(&our_paces), middle(&their_paces));
    let ratio = jaco / dnsmasq;
    say::data(&format!(
        "answers per second: JACO {jaco:.0}, dnsmasq {dnsmasq:.0}, ratio {ratio:.2}"
    ));
    Ok(())
}

fn swarm(rounds: u8) -> Result<()> {
    if !is_root() {
        return Err(TaskError::NotRoot { what: "the comparison" });
    }
    setup::install()?;
    let (_, binaries) = build::binaries()?;
    let rig = Rig::up(&RigOptions { hosts: HOSTS, ..RigOptions::default() })?;
    load_images(&rig, &binaries)?;
    let (mut jaco, mut swarm) = (Jaco::of(binaries), Swarm::default());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        say::step(&format!("Round {round} of {rounds}"));
        ours.push(timed(&mut jaco, &rig)?);
        theirs.push(timed(&mut swarm, &rig)?);
    }
    drop(jaco);
    rig.down()?;
    say::step("Medians");
    compare("30 replicas start", &ours, &theirs, |times| times.start);
    compare("30 run again on 2 of 3 hosts", &ours, &theirs, |times| times.recovery);
    Ok(())
}

fn mesh(rounds: u8, seconds: u8) -> Result<()> {
    if !is_root() {
        return Err(TaskError::NotRoot { what: "the comparison" });
    }
    setup::install_all(TUNNEL_PROGRAMS)?;
    // As it is shipped: optimised for size, but for what works on every packet.
    run(&mut cargo(&["build", "--profile", "dist", "-p", "jaco-bench", "--bin", "mesh-node"]))?;
    let cable = Cable::plug()?;
    let traffic = [1, 4].map(|streams| Traffic { streams, seconds });
    let mut tunnels: [Box<dyn Tunnel>; 2] =
        [Box::new(JacoMesh::of(target().join("dist/mesh-node"))), Box::new(WireguardGo::default())];
    let mut rates = [Vec::new(), Vec::new()];
    let mut bare = Vec::new();
    for round in 1..=rounds {
        say::step(&format!("Round {round} of {rounds}"));
        bare.push(cable.bare(traffic[0])?);
        for (tunnel, rates) in tunnels.iter_mut().zip(&mut rates) {
            let measured = throughput(tunnel.as_mut(), &cable, &traffic)?;
            say::note(&format!("{}: {measured:.0?} Mbit/s", tunnel.name()));
            rates.push(measured);
        }
    }
    say::step("Medians");
    say::data(&format!("the cable alone: {:.0} Mbit/s", middle(bare.into_iter())));
    for (n, traffic) in traffic.iter().enumerate() {
        let [ours, theirs] = rates.each_ref().map(|rates| middle(rates.iter().map(|r| r[n])));
        let streams = traffic.streams;
        say::data(&format!(
            "TCP, {streams} streams: JACO {ours:.0} Mbit/s, wireguard-go {theirs:.0} Mbit/s, ratio {:.2}",
            ours / theirs
        ));
    }
    Ok(())
}

fn middle(rates: impl Iterator<Item = f64>) -> f64 {
    let mut rates: Vec<f64> = rates.collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Prints the medians of one part of the race, and what one is in parts of the other.
fn compare(what: &str, ours: &[Times], theirs: &[Times], part: fn(&Times) -> Duration) {
    let middle = |times: &[Times]| median(times.iter().map(part).collect()).as_secs_f64();
    let (jaco, swarm) = (middle(ours), middle(theirs));
    let ratio = jaco / swarm;
    say::data(&format!("{what}: JACO {jaco:.1} s, Docker Swarm {swarm:.1} s, ratio {ratio:.2}"));
}

fn timed(contender: &mut dyn Contender, rig: &Rig) -> Result<Times> {
    let times = race(contender, rig, REPLICAS)?;
    let (start, recovery) = (times.start.as_secs_f64(), times.recovery.as_secs_f64());
    say::note(&format!(
        "{}: start {start:.1} s, again after the loss of a host {recovery:.1} s",
        contender.name()
    ));
    Ok(times)
}
