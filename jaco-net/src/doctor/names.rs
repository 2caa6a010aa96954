//! Whether names are answered on a gateway, over UDP and TCP.
//!
//! The question comes from the gateway's own address: a responder answers its block alone, and the gateway is in it. It
//! proves the responder; that a container's question gets to the gateway is proved by the bridge and the rules.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};
use jaco_api::model::{Check, Finding};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, UdpSocket},
    time::timeout,
};

use super::few;
use crate::Bridge;

/// How long an answer is waited for, and after how long a datagram is sent again.
const ANSWER: Duration = Duration::from_millis(1500);
const AGAIN: Duration = Duration::from_millis(400);
/// Longest answer that is looked at.
const LONGEST: usize = 4096;

/// What came of a question.
#[derive(Debug)]
enum Heard {
    /// This.
    Answer(Vec<u8>),
    /// The gateway's address is not there.
    NoGateway,
    /// Nothing in time.
    Nothing,
    /// The socket says why not.
    Error(io::Error),
}

/// Asks every gateway of a bridge.
pub(super) async fn look(bridge: &Bridge, port: u16) -> Finding {
    let mut wrong = Vec::new();
    for gateway in bridge.blocks.values() {
        let at = SocketAddr::new(*gateway, port);
        let number = rand::random();
        let question = question(number);
        let (udp, tcp) = tokio::join!(heard(by_udp(at, &question)), heard(by_tcp(at, &question)),);
        if matches!((&udp, &tcp), (Heard::NoGateway, _) | (_, Heard::NoGateway)) {
            let why = format!("its gateway {gateway} is no address of this node");
            return Finding::skipped(Check::Names, &bridge.scope, why);
        }
        wrong.extend(
            [judge("UDP", at, number, &udp), judge("TCP", at, number, &tcp)].into_iter().flatten(),
        );
    }
    if wrong.is_empty() {
        return Finding::ok(Check::Names, &bridge.scope);
    }
    let fix = format!(
        "the repair opens it again; if that does not help, look who has the port (`ss -lnptu 'sport = :{port}'`): a \
         resolver of the host that listens on all addresses, such as dnsmasq or named, must leave out the bridges \
         (`bind-interfaces`, `listen-on`)"
    );
    Finding::failed(Check::Names, &bridge.scope, few(wrong), fix)
}

fn question(number: u16) -> Vec<u8> {
    let mut message = Message::new(number, MessageType::Query, OpCode::Query);
    let mut apex = Name::root();
    for label in ["internal", "jaco"] {
        // Two short labels always fit.
        apex = apex.prepend_label(label).unwrap_or_default();
    }
    message.add_query(Query::query(apex, RecordType::SOA));
    message.to_vec().unwrap_or_default()
}

/// What is wrong with what was heard; `None` if nothing is.
fn judge(transport: &str, at: SocketAddr, number: u16, heard: &Heard) -> Option<String> {
    let answer = match heard {
        Heard::Answer(answer) => answer,
        Heard::NoGateway => return None,
        Heard::Nothing => return Some(format!("{at} does not answer over {transport}")),
        Heard::Error(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Some(format!("nobody listens at {at} over {transport}"));
        }
        Heard::Error(error) => return Some(format!("{at} over {transport}: {error}")),
    };
    let soa =
        |message: &Message| message.answers.iter().any(|r| r.record_type() == RecordType::SOA);
    match Message::from_vec(answer) {
        Ok(message) if message.metadata.id == number && soa(&message) => None,
        Ok(message) if message.metadata.response_code == ResponseCode::NoError => Some(format!(
            "{at} over {transport} does not know jaco.internal: another program listens there"
        )),
        Ok(message) => Some(format!(
            "{at} over {transport} says {} about jaco.internal: another program listens there",
            message.metadata.response_code
        )),
        Err(_) => Some(format!(
            "what {at} says over {transport} is no answer: another program listens there"
        )),
    }
}

/// For the fuzz targets: whether an answer is the right one.
#[cfg(feature = "testing")]
pub(super) fn is_right(answer: &[u8], number: u16) -> bool {
    let at = SocketAddr::from(([10, 244, 0, 1], 53));
    judge("UDP", at, number, &Heard::Answer(answer.to_vec())).is_none()
}

async fn heard(asked: impl Future<Output = io::Result<Vec<u8>>>) -> Heard {
    match timeout(ANSWER, asked).await {
        Ok(Ok(answer)) => Heard::Answer(answer),
        Ok(Err(error)) if error.kind() == io::ErrorKind::AddrNotAvailable => Heard::NoGateway,
        Ok(Err(error)) => Heard::Error(error),
        Err(_) => Heard::Nothing,
    }
}

async fn by_udp(at: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind(SocketAddr::new(at.ip(), 0)).await?;
    socket.connect(at).await?;
    let mut answer = vec![0; LONGEST];
    loop {
        socket.send(question).await?;
        if let Ok(received) = timeout(AGAIN, socket.recv(&mut answer)).await {
            answer.truncate(received?);
            return Ok(answer);
        }
    }
}

async fn by_tcp(at: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let socket = match at.ip() {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(at.ip(), 0))?;
    let mut stream = socket.connect(at).await?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::{RData, Record, rdata};

    use super::*;

    fn at() -> SocketAddr {
        "10.244.0.1:53".parse().unwrap()
    }

    fn judged(heard: &Heard) -> String {
        judge("UDP", at(), 7, heard).unwrap_or_default()
    }

    fn answer(id: u16, code: ResponseCode, record: Option<RData>) -> Heard {
        let mut message = Message::new(id, MessageType::Response, OpCode::Query);
        message.metadata.response_code = code;
        let record = record.map(|data| Record::from_rdata(Name::root(), 1, data));
        message.answers.extend(record);
        Heard::Answer(message.to_vec().unwrap())
    }

    #[test]
    fn the_authority_of_the_zone_is_the_only_right_answer() {
        let soa = || RData::SOA(rdata::SOA::new(Name::root(), Name::root(), 1, 2, 3, 4, 5));
        assert_eq!(judged(&answer(7, ResponseCode::NoError, Some(soa()))), "");
        assert!(judged(&answer(8, ResponseCode::NoError, Some(soa()))).contains("another program"));
        assert!(judged(&answer(7, ResponseCode::NoError, None)).contains("does not know"));
        assert!(judged(&answer(7, ResponseCode::Refused, None)).contains("Refused"));
        assert!(judged(&Heard::Answer(b"hello".to_vec())).contains("no answer"));
    }

    #[test]
    fn silence_and_refusal_are_told_apart() {
        assert_eq!(judged(&Heard::Nothing), "10.244.0.1:53 does not answer over UDP");
        let refused = Heard::Error(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(judged(&refused), "nobody listens at 10.244.0.1:53 over UDP");
        let question = Message::from_vec(&question(7)).unwrap();
        assert_eq!(question.queries[0].name().to_ascii(), "jaco.internal.");
    }
}
