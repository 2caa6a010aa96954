//! Where and whom a node answers.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use hickory_proto::{op::Message, rr::RecordType};
use jaco_net::{
    dns::{Forwarders, Listening, Resolver, Responders, Zone},
    testing::{Manners, Says},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
    time::timeout,
};

use crate::world::{BOUND, World, ask, at, connect, framed, names, query, read, service, upstream};

fn nobody() -> Forwarders {
    Forwarders::Given(Vec::new())
}

#[tokio::test]
async fn only_the_block_of_the_bridge_is_answered() {
    let _world = World::of(vec![service("web", &["10.244.0.2"])], nobody()).await;
    let outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let packet = query("web.", RecordType::A, None).to_vec().unwrap();
    outside.send_to(&packet, at(1)).await.unwrap();
    // Datagrams are looked at in turn: when this one is answered, that one was not.
    assert_eq!(ask("web.", RecordType::A).await.answers.len(), 1);
    let nothing = outside.try_recv(&mut [0; 512]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    let mut stream = tokio::net::TcpStream::connect(at(1)).await.unwrap();
    let end = timeout(BOUND, stream.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "a stranger's stream is closed: {end:?}");
}

#[tokio::test]
async fn a_stream_takes_many_questions_and_a_slow_one_holds_up_nobody() {
    let outside = upstream(2).await;
    let contents = vec!["192.0.2.1".to_owned()];
    outside.say("slow.example", Says::Records { contents, ttl: 60 });
    outside.behave(Manners { delay: Duration::from_millis(200), ..Manners::default() });
    let forwarders = Forwarders::Given(vec![outside.address()]);
    let _world = World::of(vec![service("web", &["10.244.0.2"])], forwarders).await;
    let mut stream = connect().await.unwrap();
    let slow = query("slow.example.", RecordType::A, None);
    let quick: Vec<Message> = (0..50).map(|_| query("web.", RecordType::A, None)).collect();
    let all: Vec<u8> = std::iter::once(&slow).chain(&quick).flat_map(framed).collect();
    stream.write_all(&all).await.unwrap();
    // The client says that it asks no more; what it asked is answered all the same.
    stream.shutdown().await.unwrap();
    for query in &quick {
        let reply = Message::from_vec(&read(&mut stream).await.unwrap()).unwrap();
        assert_eq!(reply.metadata.id, query.metadata.id);
    }
    let reply = Message::from_vec(&read(&mut stream).await.unwrap()).unwrap();
    assert_eq!((reply.metadata.id, reply.answers.len()), (slow.metadata.id, 1));
    assert_eq!(timeout(BOUND, stream.read(&mut [0; 16])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn one_client_cannot_take_all_streams() {
    let _world = World::of(vec![service("web", &["10.244.0.2"])], nobody()).await;
    let web = query("web.", RecordType::A, None);
    let mut open = Vec::new();
    for _ in 0..16 {
        let mut stream = connect().await.unwrap();
        stream.write_all(&framed(&web)).await.unwrap();
        read(&mut stream).await.unwrap();
        open.push(stream);
    }
    let mut refused = connect().await.unwrap();
    let end = timeout(BOUND, refused.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    // A stream that is closed makes room for another.
    drop(open.pop());
    let deadline = Instant::now() + BOUND;
    loop {
        let mut stream = connect().await.unwrap();
        if stream.write_all(&framed(&web)).await.is_ok() && read(&mut stream).await.is_ok() {
            break;
        }
        assert!(Instant::now() < deadline, "no room again");
    }
}

#[tokio::test]
async fn a_question_that_is_too_long_ends_the_stream() {
    let _world = World::of(Vec::new(), nobody()).await;
    let mut stream = connect().await.unwrap();
    stream.write_all(&[0xff, 0xff, 0, 0]).await.unwrap();
    let end = timeout(Duration::from_secs(5), stream.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[tokio::test]
async fn the_set_of_addresses_is_converged_to() {
    let resolver = Resolver::new(Zone::new(&names(at(1).ip(), Vec::new())), nobody());
    let responders = Responders::start(resolver);
    let mut status = responders.watch();
    let mut wait = async |what: &str, wanted: &[(SocketAddr, bool)]| {
        let wanted: Vec<_> = wanted.to_vec();
        let reached = status.wait_for(|all| {
            all.iter().map(|(at, how)| (*at, how.is_bound())).collect::<Vec<_>>() == wanted
        });
        let reached = timeout(BOUND, reached).await;
        assert!(reached.is_ok(), "{what}: {:?}", responders.status());
    };
    responders.set([at(1), at(2)].into());
    wait("both", &[(at(1), true), (at(2), true)]).await;
    // Somebody else is in the way of a third, for datagrams or for streams.
    let squatter = UdpSocket::bind(at(3)).await.unwrap();
    responders.set([at(2), at(3)].into());
    wait("one goes, one cannot come", &[(at(2), true), (at(3), false)]).await;
    let Listening::Failed(why) = responders.status()[&at(3)].clone() else { panic!("bound") };
    assert_eq!(why.to_string(), "UDP cannot be listened on");
    drop(squatter);
    wait("it comes when it can", &[(at(2), true), (at(3), true)]).await;
    // What was let go is free for others.
    let deadline = Instant::now() + BOUND;
    while UdpSocket::bind(at(1)).await.is_err() {
        assert!(Instant::now() < deadline, "still taken");
        tokio::task::yield_now().await;
    }
    responders.set(BTreeSet::new());
    wait("nothing", &[]).await;
    responders.stop().await;
    UdpSocket::bind(at(3)).await.unwrap();
}

/// In a network of its own, so that an address can come after the responder.
#[test]
fn an_address_is_answered_at_as_soon_as_it_exists() {
    const INSIDE: &str = "JACO_TEST_INSIDE_NETNS";
    if std::env::var_os(INSIDE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(bind_before_it_exists());
    }
    let this = std::env::current_exe().unwrap();
    let mut inside = Command::new("unshare");
    inside.args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]).arg(this);
    let name = "sockets::an_address_is_answered_at_as_soon_as_it_exists";
    inside.args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
    let able = Command::new("unshare").args(["--net", "true"]).output();
    if !able.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "SKIPPED: no network of its own without root; an address that comes later was not tested"
        );
        return;
    }
    let output = inside.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn bind_before_it_exists() {
    let ip = |arguments: &str| {
        let done = Command::new("ip").args(arguments.split(' ')).output().unwrap();
        assert!(done.status.success(), "ip {arguments}: {done:?}");
    };
    let gateway: SocketAddr = "10.244.7.1:53".parse().unwrap();
    let known = names(gateway.ip(), vec![service("web", &["10.244.7.2"])]);
    let resolver = Resolver::new(Zone::new(&known), nobody());
    let responders = Responders::start(Arc::clone(&resolver));
    responders.set([gateway].into());
    let mut status = responders.watch();
    let failed = status.wait_for(|all| all.get(&gateway).is_some_and(|how| !how.is_bound()));
    timeout(BOUND, failed).await.unwrap().unwrap();
    ip("link add jdns-br0 type bridge");
    ip("addr add 10.244.7.1/24 dev jdns-br0");
    ip("link set jdns-br0 up");
    timeout(Duration::from_secs(2), responders.bound(gateway)).await.unwrap();
    let client = UdpSocket::bind("10.244.7.1:0").await.unwrap();
    client.connect(gateway).await.unwrap();
    client.send(&query("web.", RecordType::A, None).to_vec().unwrap()).await.unwrap();
    let mut reply = [0; 512];
    let length = timeout(BOUND, client.recv(&mut reply)).await.unwrap().unwrap();
    assert_eq!(Message::from_vec(&reply[..length]).unwrap().answers.len(), 1);
}
