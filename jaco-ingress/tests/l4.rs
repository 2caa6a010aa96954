//! Published ports over real sockets on loopback.

use std::{
    future::Future,
    net::SocketAddr,
    time::{Duration, Instant},
};

use jaco_api::model::{ReplicaId, Slot};
use jaco_ingress::{
    l4::{Bounds, Port, Target},
    proxy::ProxyHeader,
    route::Upstream,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

const BOUND: Duration = Duration::from_secs(10);

fn target(addresses: &[SocketAddr]) -> Target {
    let upstream = |(slot, address): (u32, &SocketAddr)| Upstream {
        address: *address,
        replica: ReplicaId {
            deployment: "shop".parse().expect("a deployment name"),
            service: "db".parse().expect("a service name"),
            slot: Slot::Index(slot),
        },
        node: "one".parse().expect("a node name"),
        local: false,
        draining: false,
    };
    Target {
        upstreams: (1..).zip(addresses).map(upstream).collect(),
        idle: Target::TCP_IDLE,
        proxy_header: None,
    }
}

struct Served {
    port: Port,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn tcp(target: Target, bounds: Bounds) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (port, stop) = (Port::new(target, bounds), CancellationToken::new());
    let (serving, stopping) = (port.clone(), stop.clone());
    let task = tokio::spawn(async move { serving.serve_tcp(listener, stopping).await });
    Served { port, address, stop, task }
}

async fn udp(target: Target) -> Served {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("bound");
    let (port, stop) = (Port::new(target, Bounds::default()), CancellationToken::new());
    let (serving, stopping) = (port.clone(), stop.clone());
    let task = tokio::spawn(async move { serving.serve_udp(socket, stopping).await });
    Served { port, address, stop, task }
}

/// Does this with every connection.
async fn replica<F, R>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads all, then says it back.
async fn at_the_end(mut stream: TcpStream) {
    let mut all = Vec::new();
    if stream.read_to_end(&mut all).await.is_ok() {
        let _ = stream.write_all(&all).await;
    }
}

/// Says a name at once, then everything as it comes.
async fn named(name: &'static str) -> SocketAddr {
    replica(move |mut stream| async move {
        stream.write_all(name.as_bytes()).await.expect("taken");
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound")
}

async fn exactly(stream: &mut TcpStream, length: usize) -> String {
    let mut all = vec![0; length];
    let reading = stream.read_exact(&mut all);
    tokio::time::timeout(BOUND, reading).await.expect("in time").expect("readable");
    String::from_utf8(all).expect("text")
}

async fn to_end(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut all = Vec::new();
    tokio::time::timeout(BOUND, stream.read_to_end(&mut all)).await.expect("an end")?;
    Ok(String::from_utf8(all).expect("text"))
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < BOUND, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn bytes_pass_and_a_half_close_is_one() {
    let served = tcp(target(&[replica(at_the_end).await]), Bounds::default()).await;
    let mut stream = TcpStream::connect(served.address).await.expect("open");
    let large = "0123456789".repeat(50_000);
    let (mut read, mut write) = stream.split();
    let sending = async {
        write.write_all(large.as_bytes()).await.expect("taken");
        write.shutdown().await.expect("half closed");
    };
    let mut back = String::new();
    let (_, received) = tokio::join!(sending, read.read_to_string(&mut back));
    received.expect("an orderly end");
    assert!(back == large);
    let length = large.len() as u64;
    eventually("counted", || {
        let stats = served.port.stats();
        (stats.begun, stats.bytes_in, stats.bytes_out) == (1, length, length)
    })
    .await;
    assert_eq!(served.port.in_flight().values().sum::<usize>(), 0);
}

#[tokio::test]
async fn another_replica_is_asked_when_one_does_not_take_the_connection() {
    let served = tcp(target(&[nobody().await, named("two").await]), Bounds::default()).await;
    for _ in 0..10 {
        let mut stream = TcpStream::connect(served.address).await.expect("open");
        assert_eq!(exactly(&mut stream, 3).await, "two");
    }
    served.port.set(target(&[nobody().await]));
    let mut stream = TcpStream::connect(served.address).await.expect("open");
    assert!(to_end(&mut stream).await.is_err(), "it is reset");
    assert_eq!(served.port.stats().refused, 1);
}

#[tokio::test]
async fn a_silent_connection_ends() {
    let mut short = target(&[named("one").await]);
    short.idle = Duration::from_millis(100);
    let served = tcp(short, Bounds::default()).await;
    let mut stream = TcpStream::connect(served.address).await.expect("open");
    assert_eq!(exactly(&mut stream, 3).await, "one");
    let _ = to_end(&mut stream).await;
}

#[tokio::test]
async fn a_replica_is_told_who_is_connected() {
    for (header, begins) in [
        (ProxyHeader::V1, "PROXY TCP4 127.0.0.1 127.0.0.1 "),
        (ProxyHeader::V2, "\r\n\r\n\0\r\nQUIT\n!\u{11}\0\u{c}"),
    ] {
        let (sender, mut told) = tokio::sync::mpsc::channel(1);
        let address = replica(move |mut stream| {
            let sender = sender.clone();
            async move {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.expect("an end");
                sender.send(all).await.expect("awaited");
            }
        })
        .await;
        let mut asking = target(&[address]);
        asking.proxy_header = Some(header);
        let served = tcp(asking, Bounds::default()).await;
        let mut stream = TcpStream::connect(served.address).await.expect("open");
        stream.write_all(b"hello").await.expect("taken");
        stream.shutdown().await.expect("half closed");
        let all = told.recv().await.expect("told");
        assert!(all.starts_with(begins.as_bytes()), "{all:?}");
        assert!(all.ends_with(b"hello"), "{all:?}");
    }
}

#[tokio::test]
async fn a_port_that_stops_is_free_at_once_and_lets_what_is_open_end() {
    let served = tcp(target(&[named("one").await]), Bounds::default()).await;
    let mut stream = TcpStream::connect(served.address).await.expect("open");
    assert_eq!(exactly(&mut stream, 3).await, "one");
    served.stop.cancel();
    let address = served.address;
    let began = Instant::now();
    while TcpStream::connect(address).await.is_ok() {
        assert!(began.elapsed() < BOUND, "it still takes connections");
    }
    stream.write_all(b"still").await.expect("open");
    assert_eq!(exactly(&mut stream, 5).await, "still");
    assert!(!served.task.is_finished());
    drop(stream);
    tokio::time::timeout(BOUND, served.task).await.expect("it stops").expect("no panic");

    let mut hasty = Bounds::default();
    hasty.drain_time = Duration::from_millis(50);
    let served = tcp(target(&[named("one").await]), hasty).await;
    let mut stream = TcpStream::connect(served.address).await.expect("open");
    assert_eq!(exactly(&mut stream, 3).await, "one");
    served.stop.cancel();
    tokio::time::timeout(BOUND, served.task).await.expect("it stops").expect("no panic");
    let _ = to_end(&mut stream).await;
}

/// A replica of UDP that says its name before what it got.
async fn datagrams(name: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let mut answer = name.as_bytes().to_vec();
            answer.extend_from_slice(from.port().to_string().as_bytes());
            answer.push(b' ');
            answer.extend_from_slice(&buffer[..length]);
            let _ = socket.send_to(&answer, from).await;
        }
    });
    address
}

async fn client(served: &Served) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    socket.connect(served.address).await.expect("connected");
    socket
}

async fn ask(socket: &UdpSocket, text: &str) -> String {
    socket.send(text.as_bytes()).await.expect("sent");
    let mut buffer = vec![0; 65_535];
    let length = tokio::time::timeout(BOUND, socket.recv(&mut buffer));
    let length = length.await.expect("an answer").expect("readable");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn a_client_has_one_flow_until_it_is_silent() {
    let mut short = target(&[datagrams("one ").await]);
    short.idle = Duration::from_secs(1);
    let served = udp(short).await;
    let (first, second) = (client(&served).await, client(&served).await);
    let begun = ask(&first, "a").await;
    let same = ask(&first, "a").await;
    assert_eq!(begun, same, "a flow has one socket");
    assert_ne!(ask(&second, "a").await, begun, "each client has its own");
    let long = "x".repeat(9000);
    assert!(ask(&first, &long).await.ends_with(&long));
    eventually("the flows end", || served.port.in_flight().values().sum::<usize>() == 0).await;
    assert_eq!(served.port.stats().begun, 2);
    ask(&first, "a").await;
    assert_eq!(served.port.stats().begun, 3);
    served.stop.cancel();
    tokio::time::timeout(BOUND, served.task).await.expect("it stops").expect("no panic");
    UdpSocket::bind(served.address).await.expect("the port is free");
}

#[tokio::test]
async fn a_flow_moves_when_its_replica_is_gone() {
    let (one, two) = (datagrams("one ").await, datagrams("two ").await);
    let served = udp(target(&[one])).await;
    let client = client(&served).await;
    assert!(ask(&client, "a").await.starts_with("one "));
    let mut draining = target(&[one, two]);
    draining.upstreams[0].draining = true;
    served.port.set(draining);
    assert!(ask(&client, "a").await.starts_with("one "), "it ends where it began");
    served.port.set(target(&[two]));
    assert!(ask(&client, "a").await.starts_with("two "));
    eventually("the old flow ends", || {
        let in_flight = served.port.in_flight();
        in_flight.get(&one).copied().unwrap_or(0) == 0 && in_flight[&two] == 1
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_refuses_datagrams_is_left() {
    let deaf = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let refusing = deaf.local_addr().expect("bound");
    drop(deaf);
    let served = udp(target(&[refusing, datagrams("two ").await])).await;
    let client = client(&served).await;
    let began = Instant::now();
    let mut buffer = [0; 64];
    let mut heard = false;
    while !heard {
        assert!(began.elapsed() < BOUND, "no answer");
        client.send(b"a").await.expect("sent");
        let answer =
            tokio::time::timeout(Duration::from_millis(50), client.recv(&mut buffer)).await;
        heard = answer.is_ok_and(|answer| answer.is_ok());
    }
    assert!(buffer.starts_with(b"two "));
}
