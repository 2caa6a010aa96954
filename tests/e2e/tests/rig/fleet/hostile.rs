//! Hostile visitors are refused or bounded, and cost the others nothing.
//!
//! They come from one address, that of the third host; the others are a crowd on the switch, who visit the same node. What
//! is refused and why is the proxy's own tests; here a daemon has all of it at once.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jaco_e2e::{Crowd, CrowdOptions, Fleet, Outcome, observe, times};
use jaco_harness::{Patience, Vantage, until};

use super::{memory, peers};

const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that one address opens, and those that it may have.
const IDLE: (usize, usize) = (10_000, 1_024);
/// What the connections that it may have take, with room for what the others do meanwhile.
const MOST_GROWTH_KIB: u64 = 64 * 1024;

/// What two readers could read differently, is no message, or is too much of one. Behind each comes another request.
const BAD: [&str; 14] = [
    "POST / HTTP/1.1\r\nHost: peer.test\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "POST / HTTP/1.1\r\nHost: peer.test\r\nContent-Length: +4\r\n\r\nabcd",
    "POST / HTTP/1.1\r\nHost: peer.test\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: peer.test\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: peer.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: peer.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: peer.test\r\nX-A: b\r\n c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : peer.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: peer.test\r\nX-A: b\0c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: peer.test\r\nHost: other.test\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET /\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: peer.test\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: peer.test\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n",
];
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: peer.test\r\n\r\n";

fn connect(from: &Vantage, at: SocketAddr) -> Outcome<TcpStream> {
    let stream = from.enter(move || TcpStream::connect_timeout(&at, PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// All that is answered to these bytes until the connection ends.
fn answered(from: &Vantage, at: SocketAddr, bytes: &[u8]) -> Outcome<String> {
    let mut stream = connect(from, at)?;
    // It may be closed before all was sent.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error.into()),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// Messages that are none, or too much: none is answered as a request, and nothing behind one is read.
fn nonsense(from: &Vantage, at: SocketAddr) -> Outcome {
    for bad in BAD {
        let answer = answered(from, at, format!("{bad}{SMUGGLED}").as_bytes())?;
        assert!(!answer.contains("HTTP/1.1 200"), "{bad:?} got {answer:?}");
        assert!(answer.matches("HTTP/1.1").count() <= 1, "{bad:?} got {answer:?}");
    }
    let long = format!("X-Long: {}\r\n", "a".repeat(1 << 20));
    let many: String = (0..1_000).map(|n| format!("X-{n}: a\r\n")).collect();
    for lines in [long, many] {
        let head = format!("GET / HTTP/1.1\r\nHost: peer.test\r\n{lines}\r\n");
        let answer = answered(from, at, head.as_bytes())?;
        // What is closed with bytes unread is reset, and the answer with it.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    Ok(())
}

/// Connections that say nothing, or begin a request and never end it.
fn silent(from: &Vantage, at: SocketAddr) -> Outcome<Vec<TcpStream>> {
    let connections = from.enter(move || {
        let connect = |number| {
            let mut stream = TcpStream::connect_timeout(&at, PATIENCE)?;
            if number % 2 == 1 {
                let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: peer.test\r\nX-");
            }
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        (0..IDLE.0).map(connect).collect::<io::Result<Vec<_>>>()
    });
    Ok(connections?)
}

fn open(connections: &[TcpStream]) -> usize {
    let waits = |stream: &&TcpStream| {
        let peeked = stream.peek(&mut [0]);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    };
    connections.iter().filter(waits).count()
}

/// Requests over HTTP/2 that are taken back as soon as they are sent, until the connection ends; how many.
async fn taken_back(stream: TcpStream) -> Outcome<usize> {
    stream.set_nonblocking(true)?;
    let io = TokioIo::new(tokio::net::TcpStream::from_std(stream)?);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await?;
    tokio::spawn(connection);
    let mut sent = 0;
    while !client.is_closed() && sent < 200_000 {
        let ask = |_| {
            let request = Request::get("http://peer.test/slow?ms=1000").body(Empty::<Bytes>::new());
            request.map(|request| client.send_request(request))
        };
        let requests: Vec<_> = (0..100).map(ask).collect::<Result<_, _>>()?;
        tokio::task::yield_now().await;
        drop(requests);
        tokio::task::yield_now().await;
        sent += 100;
    }
    assert!(client.is_closed(), "{sent} requests and their ends were borne");
    Ok(sent)
}

pub(crate) fn hostile_visitors_cost_the_others_nothing(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    peers::apply(fleet, 2, "")?;
    let nodes: Vec<_> =
        peers::hosts(fleet).into_iter().map(|host| SocketAddr::new(host.into(), 80)).collect();
    let (victim, from) = (nodes[0], Vantage::of_host(fleet.cluster().rig().host(2)));
    let others = Crowd::gather(&CrowdOptions {
        nodes: nodes[..2].to_vec(),
        domain: "peer.test".to_owned(),
        path: "/".to_owned(),
        per_second: 50,
        connections: 2,
        sockets: 1,
    });
    memory::grows_at_most(fleet, 0, MOST_GROWTH_KIB, |fleet| {
        nonsense(&from, victim)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sent = runtime.block_on(taken_back(connect(&from, victim)?))?;
        fleet.measured("requests that were taken back", sent);
        let silent = silent(&from, victim)?;
        let left = until(Patience::NORMAL, "connections to be closed", || match open(&silent) {
            left if left <= IDLE.1 => Ok(left),
            left => Err(format!("{left} are open")),
        })?;
        observe(Duration::from_secs(3), || Ok(()))?;
        if times(0, 1) > 0 {
            // A head that does not come is waited for half a minute.
            until(Patience(Duration::from_secs(45)), "the last to be closed", || {
                match open(&silent) {
                    0 => Ok(()),
                    left => Err(format!("{left} are open")),
                }
            })?;
        }
        Ok(format!("{} silent connections of one address, {left} kept", IDLE.0))
    })?;
    let seen = others.leave();
    fleet.measured("requests of others", seen.answered);
    assert!(seen.failed.is_empty() && seen.broken.is_empty(), "{seen:#?}");
    Ok(())
}
