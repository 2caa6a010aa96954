//! A name server of which every name is this machine, with the TXT records of a fake provider.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode},
    rr::{RData, Record, RecordType, rdata},
};
use jaco_ingress::testing::FakeDns;
use tokio::net::UdpSocket;

pub(crate) async fn serve(dns: Arc<FakeDns>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
            let _ = socket.send_to(&answer(&question, &dns).to_vec().unwrap(), from).await;
        }
    });
    at
}

fn answer(question: &Message, dns: &FakeDns) -> Message {
    let mut answer = Message::new(question.id, MessageType::Response, OpCode::Query);
    answer.metadata.authoritative = true;
    for query in &question.queries {
        answer.add_query(query.clone());
        let name = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
        let data = match query.query_type() {
            RecordType::A => vec![RData::A(rdata::A(Ipv4Addr::LOCALHOST))],
            RecordType::TXT => dns
                .lookup(&name)
                .into_iter()
                .map(|v| RData::TXT(rdata::TXT::new(vec![v])))
                .collect(),
            _ => Vec::new(),
        };
        for data in data {
            answer.add_answer(Record::from_rdata(query.name().clone(), 1, data));
        }
    }
    answer
}
