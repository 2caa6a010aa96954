use hickory_proto::{
    op::{Message, MessageType, OpCode, Query as Question},
    rr::{Name, RData, Record, RecordType, rdata::SOA},
};

use super::*;
use crate::dns::query::Query;

fn question(kind: RecordType) -> Question {
    Question::query(Name::from_ascii("www.example.com.").unwrap(), kind)
}

/// A client's query, and what it is forwarded as.
fn asked(kind: RecordType, edns: bool) -> (Query, Vec<u8>, Key) {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii("WWW.Example.com.").unwrap();
    message.add_query(Question::query(name, kind));
    message.metadata.recursion_desired = true;
    if edns {
        let mut edns = hickory_proto::op::Edns::new();
        edns.set_max_payload(1400);
        message.set_edns(edns);
    }
    let packet = message.to_vec().unwrap();
    let query = Query::read(&packet).unwrap_or_else(|_| panic!("a query"));
    let key = Key::of(&query, &packet);
    (query, packet, key)
}

fn record(ttl: u32, last: u8) -> Record {
    let name = Name::from_ascii("www.example.com.").unwrap();
    Record::from_rdata(name, ttl, RData::from(std::net::IpAddr::from([192, 0, 2, last])))
}

fn answer(kind: RecordType, code: ResponseCode) -> Message {
    let mut message = Message::error_msg(7, OpCode::Query, code);
    message.add_query(question(kind));
    message.metadata.authoritative = true;
    message
}

fn said(message: &Message, key: &Key) -> Said {
    match read(message.to_vec().unwrap(), key, 7) {
        Reading::Said(said) => said,
        other => panic!("{other:?}"),
    }
}

pub(super) fn address(ttl: u32) -> Said {
    let (_, _, key) = asked(RecordType::A, false);
    let mut message = answer(RecordType::A, ResponseCode::NoError);
    message.add_answer(record(ttl, 1));
    said(&message, &key)
}

#[test]
fn an_answer_is_handed_on_with_what_is_the_clients() {
    let (query, packet, key) = asked(RecordType::A, true);
    let mut message = answer(RecordType::A, ResponseCode::NoError);
    message.add_answer(record(60, 1)).add_answer(record(30, 2));
    message.set_edns(hickory_proto::op::Edns::new());
    let said = said(&message, &key);
    assert_eq!(said.lifetime(), Duration::from_secs(30));
    let mut out = Vec::new();
    said.write(&query, &packet, Some(20), None, 1232, &mut out);
    let written = Message::from_vec(&out).unwrap();
    assert_eq!(written.metadata.id, 4711);
    assert!(written.metadata.recursion_desired && written.metadata.recursion_available);
    assert!(!written.metadata.authoritative && !written.metadata.truncation);
    assert_eq!(written.queries[0].name().to_ascii(), "WWW.Example.com.");
    assert_eq!(written.answers.iter().map(|r| r.ttl).collect::<Vec<_>>(), [40, 10]);
    assert_eq!(written.edns.unwrap().max_payload(), 1232);
}

#[test]
fn answers_to_other_questions_are_nobodys() {
    let (_, _, key) = asked(RecordType::A, false);
    let good = {
        let mut message = answer(RecordType::A, ResponseCode::NoError);
        message.add_answer(record(60, 1));
        message.to_vec().unwrap()
    };
    assert!(matches!(read(good.clone(), &key, 7), Reading::Said(_)));
    assert!(matches!(read(good.clone(), &key, 8), Reading::Foreign), "another id");
    let mut other = good.clone();
    other[13] = b'v';
    assert!(matches!(read(other, &key, 7), Reading::Foreign), "another name");
    // HTTPS is type 65, and 97 is what its small letter would be.
    let (_, _, https) = asked(RecordType::HTTPS, false);
    let mut other = answer(RecordType::Unknown(97), ResponseCode::NoError);
    other.add_answer(record(60, 1));
    assert!(matches!(read(other.to_vec().unwrap(), &https, 7), Reading::Foreign), "another type");
    let mut query = good.clone();
    query[2] &= 0x7f;
    assert!(matches!(read(query, &key, 7), Reading::Foreign), "a query");
    let mut torn = good.clone();
    torn.truncate(good.len() - 1);
    assert!(matches!(read(torn, &key, 7), Reading::Garbled), "torn");
    assert!(matches!(read(good[..11].to_vec(), &key, 7), Reading::Foreign));
}

#[test]
fn what_is_not_there_is_kept_as_long_as_its_soa_says() {
    let (_, _, key) = asked(RecordType::A, false);
    let soa = |ttl, minimum| {
        let root = Name::root();
        let data = RData::SOA(SOA::new(root.clone(), root.clone(), 1, 1, 1, 1, minimum));
        Record::from_rdata(root, ttl, data)
    };
    for (code, ttl, minimum, expected) in [
        (ResponseCode::NXDomain, 60, 20, 20),
        (ResponseCode::NoError, 10, 20, 10),
        (ResponseCode::NXDomain, 90_000, 90_000, ABSENCE_KEPT),
    ] {
        let mut message = answer(RecordType::A, code);
        message.add_authority(soa(ttl, minimum));
        let said = said(&message, &key);
        assert_eq!(said.lifetime(), Duration::from_secs(expected.into()));
        assert!(!said.is_positive());
    }
    let without = said(&answer(RecordType::A, ResponseCode::NXDomain), &key);
    assert_eq!(without.lifetime(), Duration::ZERO);
    let mut long = answer(RecordType::A, ResponseCode::NoError);
    long.add_answer(record(90_000, 1));
    assert_eq!(said(&long, &key).lifetime(), Duration::from_secs(KEPT.into()));
}

#[test]
fn what_does_not_fit_is_cut_between_records() {
    let (query, packet, key) = asked(RecordType::A, true);
    let mut message = answer(RecordType::A, ResponseCode::NoError);
    for n in 0..200 {
        message.add_answer(record(60, n));
    }
    let said = said(&message, &key);
    for room in [512, 700, 1232, u16::MAX] {
        let mut out = Vec::new();
        said.write(&query, &packet, Some(0), None, room, &mut out);
        assert!(out.len() <= room.into());
        let written = Message::from_vec(&out).unwrap();
        assert_eq!(written.metadata.truncation, room != u16::MAX);
        assert!(written.answers.len() > 20 && written.edns.is_some(), "{room}");
    }
}

#[test]
fn a_failure_is_told_with_what_was_said_about_it() {
    let (_, _, key) = asked(RecordType::A, true);
    let mut message = answer(RecordType::A, ResponseCode::ServFail);
    let mut edns = hickory_proto::op::Edns::new();
    let bogus = hickory_proto::rr::rdata::opt::EdnsOption::Unknown(15, vec![0, 6]);
    edns.options_mut().insert(bogus);
    message.set_edns(edns);
    match read(message.to_vec().unwrap(), &key, 7) {
        Reading::Refused { code: ResponseCode::ServFail, explanation: Some(said) } => {
            assert_eq!(said, [0, 6]);
        }
        other => panic!("{other:?}"),
    }
    // One who does not even repeat the question.
    let bare = Message::error_msg(7, OpCode::Query, ResponseCode::FormErr).to_vec().unwrap();
    assert!(matches!(read(bare, &key, 7), Reading::Refused { .. }));
}
