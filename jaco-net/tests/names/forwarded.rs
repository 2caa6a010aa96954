//! What others answer.

use std::time::{Duration, Instant};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::RecordType,
};
use jaco_net::{
    dns::{Forwarders, QueryOutcome},
    testing::{FakeUpstream, Manners, Says},
};

use crate::world::{
    BOUND, World, addresses, ask, at, explanation, over_tcp, over_udp, query, service, texts,
    upstream,
};

const NAME: &str = "www.example.com.";

fn says(upstream: &FakeUpstream, content: &str, ttl: u32) {
    let contents = vec![content.to_owned()];
    upstream.say("www.example.com", Says::Records { contents, ttl });
}

fn slow(millis: u64) -> Manners {
    Manners { delay: Duration::from_millis(millis), ..Manners::default() }
}

/// Asks with EDNS, so that a failure can be explained.
async fn explained(name: &str) -> Message {
    over_udp(&query(name, RecordType::A, Some(1232))).await
}

#[tokio::test]
async fn any_type_is_handed_on_and_asked_for_once_until_it_is_over() {
    let outside = upstream(2).await;
    says(&outside, "192.0.2.1", 1);
    let _world = World::forwarding_to(&[outside.address()]).await;
    let first = ask("WWW.example.com.", RecordType::A).await;
    assert_eq!(addresses(&first), ["192.0.2.1".to_owned()].into());
    assert!(!first.metadata.authoritative);
    says(&outside, "192.0.2.2", 60);
    let deadline = Instant::now() + BOUND;
    while addresses(&ask(NAME, RecordType::A).await) != ["192.0.2.2".to_owned()].into() {
        assert!(Instant::now() < deadline, "kept for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(outside.asked().len(), 2, "once for each time that it was good for");
    says(&outside, "some text", 60);
    assert_eq!(texts(&ask(NAME, RecordType::TXT).await), ["some text"]);
    let unheard_of = ask(NAME, RecordType::Unknown(65280)).await;
    assert_eq!(unheard_of.answers[0].record_type(), RecordType::Unknown(65280));
    // What is not there is remembered too.
    for _ in 0..2 {
        let nothing = ask("nope.example.com.", RecordType::A).await;
        assert_eq!(nothing.metadata.response_code, ResponseCode::NXDomain);
    }
    assert_eq!(outside.asked().len(), 5);
}

#[tokio::test]
async fn names_of_the_cluster_never_leave_it() {
    let outside = upstream(2).await;
    let forwarders = Forwarders::Given(vec![outside.address()]);
    let _world = World::of(vec![service("web", &["10.244.0.2"])], forwarders).await;
    for name in [
        "web.",
        "nope.",
        "nope.shop.",
        "9.web.",
        "x.jaco.internal.",
        "web.blog.jaco.internal.",
        "1.0.244.10.in-addr.arpa.",
    ] {
        for kind in [RecordType::A, RecordType::AAAA, RecordType::TXT, RecordType::PTR] {
            ask(name, kind).await;
        }
    }
    assert_eq!(outside.asked(), []);
}

#[tokio::test]
async fn a_question_that_many_ask_at_once_is_asked_once() {
    let outside = upstream(2).await;
    says(&outside, "192.0.2.1", 0);
    outside.behave(slow(300));
    let _world = World::forwarding_to(&[outside.address()]).await;
    let together = query(NAME, RecordType::A, None);
    let (a, b, c, d) = tokio::join!(
        over_udp(&together),
        over_tcp(&together),
        over_udp(&together),
        over_tcp(&together)
    );
    for reply in [a, b, c, d] {
        assert_eq!(addresses(&reply).len(), 1);
    }
    assert_eq!(outside.asked().len(), 1);
    // It was good for no time at all.
    ask(NAME, RecordType::A).await;
    assert_eq!(outside.asked().len(), 2);
}

#[tokio::test]
async fn what_does_not_fit_into_a_datagram_is_fetched_over_tcp() {
    let outside = upstream(2).await;
    let contents = (0..200).map(|n| format!("192.0.2.{n}")).collect();
    outside.say("www.example.com", Says::Records { contents, ttl: 60 });
    outside.behave(Manners { truncates: true, ..Manners::default() });
    let _world = World::forwarding_to(&[outside.address()]).await;
    let cut = ask(NAME, RecordType::A).await;
    assert!(cut.metadata.truncation && cut.answers.len() > 20);
    let whole = over_tcp(&query(NAME, RecordType::A, None)).await;
    assert_eq!(addresses(&whole).len(), 200);
    let over: Vec<bool> = outside.asked().iter().map(|asked| asked.tcp).collect();
    assert_eq!(over, [false, true]);
}

#[tokio::test]
async fn ids_and_ports_are_not_to_be_guessed_and_forged_answers_are_not_believed() {
    let outside = upstream(2).await;
    outside.behave(Manners { forged: true, ..Manners::default() });
    let _world = World::forwarding_to(&[outside.address()]).await;
    for n in 0..16 {
        let name = format!("n{n}.example.com");
        let contents = vec![format!("192.0.2.{n}")];
        outside.say(&name, Says::Records { contents: contents.clone(), ttl: 60 });
        let reply = ask(&format!("{name}."), RecordType::A).await;
        assert_eq!(addresses(&reply), contents.into_iter().collect());
    }
    let asked = outside.asked();
    let distinct = |all: Vec<u16>| std::collections::BTreeSet::from_iter(all).len();
    assert!(distinct(asked.iter().map(|asked| asked.id).collect()) > 12);
    assert!(distinct(asked.iter().map(|asked| asked.port).collect()) > 12);
}

#[tokio::test]
async fn signatures_are_asked_for_when_the_client_does() {
    let outside = upstream(2).await;
    says(&outside, "192.0.2.1", 60);
    let _world = World::forwarding_to(&[outside.address()]).await;
    let mut signed = query(NAME, RecordType::A, Some(4096));
    signed.edns.as_mut().unwrap().set_dnssec_ok(true);
    ask(NAME, RecordType::A).await;
    let reply = over_udp(&signed).await;
    assert!(reply.edns.unwrap().flags().dnssec_ok);
    over_udp(&signed).await;
    let asked: Vec<_> = outside.asked().iter().map(|asked| (asked.edns, asked.dnssec_ok)).collect();
    assert_eq!(asked, [(None, false), (Some(1232), true)]);
}

#[tokio::test]
async fn one_who_does_not_know_edns_is_asked_without() {
    let outside = upstream(2).await;
    says(&outside, "192.0.2.1", 60);
    outside.behave(Manners { old: true, ..Manners::default() });
    let _world = World::forwarding_to(&[outside.address()]).await;
    assert_eq!(addresses(&explained(NAME).await).len(), 1);
}

#[tokio::test]
async fn a_dead_upstream_is_passed_over_at_once_and_a_slow_one_is_overtaken() {
    let (silent, slow_one, good) = (upstream(2).await, upstream(3).await, upstream(4).await);
    silent.say("www.example.com", Says::Nothing);
    says(&slow_one, "192.0.2.1", 0);
    slow_one.behave(slow(1500));
    says(&good, "192.0.2.2", 0);
    // Nobody listens at 5: the kernel says so.
    let _world =
        World::forwarding_to(&[at(5), silent.address(), slow_one.address(), good.address()]).await;
    let started = Instant::now();
    let reply = ask(NAME, RecordType::A).await;
    let took = started.elapsed();
    assert_eq!(addresses(&reply), ["192.0.2.2".to_owned()].into());
    assert!(took >= Duration::from_millis(550), "two head starts: {took:?}");
    // Who stays silent three times is asked after the others.
    for _ in 0..2 {
        ask(NAME, RecordType::A).await;
    }
    let asked = silent.asked().len();
    ask(NAME, RecordType::A).await;
    assert_eq!(silent.asked().len(), asked);
}

#[tokio::test]
async fn an_upstream_that_fails_is_not_the_last_word() {
    let (failing, good) = (upstream(2).await, upstream(3).await);
    for code in [2, 5] {
        let name = format!("code{code}.example.com");
        failing.say(&name, Says::Code(code));
        good.say(&name, Says::Records { contents: vec!["192.0.2.1".to_owned()], ttl: 60 });
    }
    let _world = World::forwarding_to(&[failing.address(), good.address()]).await;
    for code in [2, 5] {
        let reply = ask(&format!("code{code}.example.com."), RecordType::A).await;
        assert_eq!(addresses(&reply).len(), 1, "{code}");
    }
}

#[tokio::test]
async fn when_all_are_dead_that_is_said_and_not_that_the_name_does_not_exist() {
    let silent = upstream(2).await;
    silent.say("www.example.com", Says::Nothing);
    let _world = World::forwarding_to(&[silent.address(), at(5)]).await;
    let started = Instant::now();
    let reply = explained(NAME).await;
    let took = started.elapsed();
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(explanation(&reply), Some(22));
    assert!(took >= Duration::from_millis(1900), "it was given its time: {took:?}");
    assert!(took < Duration::from_secs(5), "a client would have given up: {took:?}");
    // Without EDNS there is no room for a reason.
    silent.say("www.example.com", Says::Code(5));
    assert_eq!(ask(NAME, RecordType::A).await.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn without_anybody_to_ask_it_fails_at_once() {
    // It would ask itself, for ever.
    for upstreams in [vec![], vec![at(1)]] {
        let world = World::forwarding_to(&upstreams).await;
        let started = Instant::now();
        let reply = explained(NAME).await;
        assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
        assert_eq!(explanation(&reply), Some(22));
        assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
        world._responders.stop().await;
    }
}

#[tokio::test]
async fn when_all_are_dead_what_was_said_before_is_better_than_nothing() {
    let outside = upstream(2).await;
    says(&outside, "192.0.2.1", 1);
    let _world = World::forwarding_to(&[outside.address()]).await;
    ask(NAME, RecordType::A).await;
    explained(NAME).await;
    outside.say("www.example.com", Says::Code(2));
    let deadline = Instant::now() + BOUND;
    loop {
        let reply = explained(NAME).await;
        assert_eq!(addresses(&reply).len(), 1, "{reply}");
        if explanation(&reply) == Some(3) {
            assert_eq!(reply.answers[0].ttl, 30);
            break;
        }
        assert!(Instant::now() < deadline, "never over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What did not exist is not said on old grounds.
    outside.say("gone.example.com", Says::NxDomain(1));
    assert_eq!(explained("gone.example.com.").await.metadata.response_code, ResponseCode::NXDomain);
    outside.say("gone.example.com", Says::Code(2));
    while explained("gone.example.com.").await.metadata.response_code != ResponseCode::ServFail {
        assert!(Instant::now() < deadline, "never over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_becomes_of_questions_is_counted() {
    let outside = upstream(2).await;
    says(&outside, "192.0.2.1", 60);
    let forwarders = Forwarders::Given(vec![outside.address()]);
    let world = World::of(vec![service("web", &["10.244.0.2"])], forwarders).await;
    let counts = || QueryOutcome::ALL.map(|outcome| world.tally.of(outcome));
    for name in ["web.", "web.", NAME, NAME, NAME] {
        ask(name, RecordType::A).await;
    }
    assert_eq!(counts(), [2, 2, 1, 0, 0, 0, 0]);
    over_tcp(&query("jaco.internal.", RecordType::AXFR, None)).await;
    outside.say("other.example.com", Says::Code(2));
    ask("other.example.com.", RecordType::A).await;
    assert_eq!(counts(), [2, 2, 1, 0, 1, 0, 1]);
}
