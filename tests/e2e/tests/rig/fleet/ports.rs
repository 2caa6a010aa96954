//! Published ports of TCP and UDP lead to replicas that are well, from every node.
//!
//! The witness is a visitor on the switch between the hosts; replicas say who they are and whom they see.

use std::{
    fmt::Debug,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use jaco_e2e::{Fleet, Outcome, Replica};
use jaco_harness::{Patience, until};

use super::{peers, places::Place};

const LINES: u16 = 16379;
const PROXIED: [(u16, &str); 2] = [(16380, "v1"), (16381, "v2")];
const DATAGRAMS: u16 = 15353;

const PORTS: &str = "    ports:
      - '16379:6379'
      - {target: 6380, published: 16380, x-jaco-proxy-protocol: v1}
      - {target: 6380, published: 16381, x-jaco-proxy-protocol: v2}
      - '15353:5353/udp'
";

/// Most time until nothing new comes to a replica of which the state says that it is not well.
const BOUND: Duration = Duration::from_secs(1);
/// How long that is watched.
const WATCHED: Duration = Duration::from_secs(4);

/// A connection to which lines are said.
struct Line(BufReader<TcpStream>);

impl Line {
    fn to(node: Ipv4Addr, port: u16) -> Outcome<Self> {
        let patience = Duration::from_secs(2);
        let stream = TcpStream::connect_timeout(&SocketAddr::new(node.into(), port), patience)?;
        stream.set_read_timeout(Some(patience))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn ask(&mut self, words: &str) -> Outcome<String> {
        self.0.get_mut().write_all(format!("{words}\r\n").as_bytes())?;
        let mut answer = String::new();
        if let Err(error) = self.0.read_line(&mut answer) {
            return Err(format!("{words} at {}: {error}", self.0.get_ref().peer_addr()?).into());
        }
        let answer = answer.strip_suffix("\r\n").and_then(|line| line.strip_prefix('+'));
        Ok(answer.ok_or("the connection ended")?.to_owned())
    }

    /// Says that nothing more comes, and reads what is still said.
    fn end(mut self) -> Outcome<String> {
        self.0.get_mut().shutdown(Shutdown::Write)?;
        let mut rest = String::new();
        self.0.read_to_string(&mut rest)?;
        Ok(rest)
    }
}

/// A visitor of a node who sends datagrams.
fn sender(node: Ipv4Addr) -> Outcome<UdpSocket> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    socket.connect((node, DATAGRAMS))?;
    Ok(socket)
}

/// Who answers a datagram.
fn echoed(socket: &UdpSocket, words: &str) -> Outcome<String> {
    socket.send(words.as_bytes())?;
    let mut buffer = [0; 1500];
    let length = socket.recv(&mut buffer)?;
    let answer = std::str::from_utf8(&buffer[..length])?;
    let (host, echo) = answer.split_once(' ').ok_or("no name")?;
    assert_eq!(echo, words);
    Ok(host.to_owned())
}

fn everything_is_said(node: Ipv4Addr) -> Outcome {
    let mut line = Line::to(node, LINES)?;
    assert_eq!(line.ask("PING")?, "PONG");
    let who = line.ask("WHO")?;
    // 6 bytes and 5, then nothing more: the answer to that still comes.
    assert_eq!(line.end()?, "+BYE 11\r\n", "{who} at {node}");
    for (port, version) in PROXIED {
        let mut line = Line::to(node, port)?;
        assert_eq!(line.ask("HEADER")?, version, "{node}");
        let own = line.0.get_ref().local_addr()?;
        assert_eq!(line.ask("FROM")?, own.to_string(), "the visitor, {version} at {node}");
        assert_eq!(line.end()?, "+BYE 14\r\n");
    }
    heard(&sender(node)?, "hello")
}

/// Waits for an answer to one of several datagrams: the first ones may be lost while a tunnel is opened.
fn heard(socket: &UdpSocket, words: &str) -> Outcome {
    until(Patience::SHORT, "an answer to a datagram", || {
        echoed(socket, words).map_err(|error| error.to_string())
    })?;
    Ok(())
}

/// Who served when, from the moment when the state told of a change.
#[derive(Default)]
struct Served {
    asked: usize,
    failed: Vec<(Duration, String)>,
    /// When `gone` served nevertheless, and how.
    gone: Vec<(Duration, &'static str)>,
}

/// Watches who serves new connections, new senders and old ones, until the replica is well again.
fn watch(fleet: &Fleet, nodes: &[Ipv4Addr], old: &[UdpSocket], gone: &str) -> Outcome<Served> {
    let (told, mut served) = (Instant::now(), Served::default());
    while told.elapsed() < WATCHED {
        let mut round = Served::default();
        for (node, old) in nodes.iter().zip(old) {
            let mut heard = |kind, ask: &dyn Fn() -> Outcome<String>| {
                let at = told.elapsed();
                round.asked += 1;
                match ask() {
                    Ok(host) if host == gone => round.gone.push((at, kind)),
                    Ok(_) => {}
                    Err(error) => round.failed.push((at, format!("{kind} at {node}: {error}"))),
                }
            };
            heard("a connection", &|| Line::to(*node, LINES)?.ask("WHO"));
            heard("a new sender", &|| echoed(&sender(*node)?, "?"));
            heard("an old sender", &|| echoed(old, "?"));
        }
        // What was begun when it was well again may come to it.
        if well(&fleet.replicas(0)?) > 1 {
            break;
        }
        served.asked += round.asked;
        served.failed.extend(round.failed);
        served.gone.extend(round.gone);
    }
    Ok(served)
}

/// Nothing comes to a replica, or fails, later than the bound.
fn judge(fleet: &Fleet, what: &str, served: &Served) {
    fn late<T: Debug>(all: &[(Duration, T)]) -> Vec<&(Duration, T)> {
        all.iter().filter(|(at, _)| *at > BOUND).collect()
    }
    let last = served.gone.iter().map(|(at, _)| *at).max().unwrap_or_default();
    let (asked, failed) = (served.asked, served.failed.len());
    let numbers = format!("served for {} ms more, {failed} of {asked} failed", last.as_millis());
    fleet.measured(what, numbers);
    assert!(late(&served.gone).is_empty(), "{what}: {:?}", served.gone);
    assert!(late(&served.failed).is_empty(), "{what}: {:?}", served.failed);
}

/// How many replicas run and are healthy.
fn well(rows: &[Replica]) -> usize {
    rows.iter().filter(|r| r.state == "running" && r.health == "healthy").count()
}

/// Waits until the state says of `count` replicas that they run and are healthy.
fn healthy(fleet: &Fleet, patience: Patience, count: usize) -> Outcome {
    let what = format!("{count} healthy replicas");
    fleet.until_replicas(0, patience, &what, |rows| well(rows) == count).map(drop)
}

fn name(place: &Place) -> Outcome<String> {
    let format = "{{.Config.Hostname}}";
    let arguments = ["inspect", "--format", format, &place.container.name];
    Ok(place.engine.docker(&arguments)?.trim().to_owned())
}

pub(crate) fn tcp_and_udp_go_through_every_node(fleet: &mut Fleet) -> Outcome {
    peers::load(fleet)?;
    fleet.form()?;
    let stack = fleet.stack("deployment: site\n", &peers::two(PORTS))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    healthy(fleet, Patience::NORMAL, 2)?;
    let (places, _) = peers::apart(fleet)?;
    let nodes = peers::hosts(fleet);
    for node in &nodes {
        // The port opens a moment after the replicas are known.
        fleet.cluster().until(Patience::SHORT, "the port", || {
            Line::to(*node, LINES)
                .and_then(|mut line| line.ask("WHO"))
                .map_err(|error| error.to_string())
        })?;
        everything_is_said(*node)?;
    }

    let [stays, goes] = places.as_slice() else { return Err("not two".into()) };
    let (stays_name, goes_name) = (name(stays)?, name(goes)?);
    // A node prefers its own replica.
    let mut idle = Line::to(nodes[stays.host], LINES)?;
    assert_eq!(idle.ask("WHO")?, stays_name);
    let silent = Instant::now();

    let old: Vec<UdpSocket> = nodes.iter().map(|node| sender(*node)).collect::<Outcome<_>>()?;
    old.iter().try_for_each(|socket| heard(socket, "before"))?;
    goes.run(&["/rig-peer", "sick"])?;
    healthy(fleet, Patience::NORMAL, 1)?;
    judge(fleet, "a replica that is not healthy", &watch(fleet, &nodes, &old, &goes_name)?);
    goes.run(&["/rig-peer", "well"])?;
    healthy(fleet, Patience::LONG, 2)?;

    old.iter().try_for_each(|socket| heard(socket, "again"))?;
    goes.engine.docker(&["kill", &goes.container.name])?;
    healthy(fleet, Patience::SHORT, 1)?;
    judge(fleet, "a replica that was killed", &watch(fleet, &nodes, &old, &goes_name)?);

    let silence = silent.elapsed();
    assert!(silence > WATCHED);
    assert_eq!(idle.ask("WHO")?, stays_name, "silent for {silence:?}");
    fleet.measured("a connection was silent for", format!("{:.1} s", silence.as_secs_f32()));

    fleet.cli(1).run(&["delete", "site", "--wait=60s"])?;
    for node in nodes {
        for port in [LINES, PROXIED[0].0, PROXIED[1].0] {
            fleet.cluster().until(
                Patience::SHORT,
                "the port to close",
                || match TcpStream::connect((node, port)) {
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
                    other => Err(format!("{other:?} at {node}:{port}")),
                },
            )?;
        }
        let sent = sender(node).and_then(|socket| echoed(&socket, "gone"));
        assert!(sent.is_err(), "{node} answers datagrams: {sent:?}");
    }
    Ok(())
}
