//! From bytes of anybody to a question. Pure.

use hickory_proto::{
    op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query as Question, ResponseCode},
    rr::{DNSClass, RecordType},
    serialize::binary::{BinDecodable, BinDecoder},
};

use super::labels::Labels;

/// What nobody may exceed over UDP, whatever they offer: no fragments (the DNS flag day of 2020).
pub(crate) const UDP_MOST: u16 = 1232;
/// What everybody can take over UDP.
const UDP_LEAST: u16 = 512;
/// No question needs more; longer ones are not read.
pub(crate) const QUERY_MOST: usize = 4096;
/// Where the question of a message begins.
pub(crate) const HEADER: usize = 12;

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// A question that can be answered.
pub(crate) struct Query {
    pub(crate) header: Metadata,
    pub(crate) question: Question,
    pub(crate) name: Labels,
    /// Where its question ends.
    pub(crate) end: usize,
    pub(crate) edns: Option<Edns>,
}

/// Bytes that are no question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No query at all: an answer might be answered in turn, for ever.
    Silence,
    /// What can be said to it fits into a header.
    Header(Metadata),
}

impl Query {
    /// Reads a question. The work is bounded by the length of the packet.
    pub(crate) fn read(packet: &[u8]) -> Result<Self, Refusal> {
        let mut decoder = BinDecoder::new(packet);
        let Header { metadata: header, counts } =
            Header::read(&mut decoder).map_err(|_| Refusal::Silence)?;
        if header.message_type == MessageType::Response {
            return Err(Refusal::Silence);
        }
        let refuse = |code| {
            let mut said = Metadata::response_from_request(&header);
            said.response_code = code;
            Refusal::Header(said)
        };
        if header.op_code != OpCode::Query {
            return Err(refuse(ResponseCode::NotImp));
        }
        let garbled = |_| refuse(ResponseCode::FormErr);
        // RFC 9619: a query has one question. What it claims besides is not even counted.
        if counts.queries != 1 || counts.answers != 0 || counts.authorities != 0 {
            return Err(refuse(ResponseCode::FormErr));
        }
        let question = Question::read(&mut decoder).map_err(garbled)?;
        let end = decoder.index();
        let name = Labels::of(question.name());
        // There is nothing before the question that its name could point to.
        if end != HEADER + name.wire_len() + 4 {
            return Err(refuse(ResponseCode::FormErr));
        }
        let additionals = usize::from(counts.additionals);
        let (_, edns, _) = Message::read_records(&mut decoder, additionals, true, OpCode::Query)
            .map_err(garbled)?;
        Ok(Self { header, question, name, end, edns })
    }

    /// Why it is not answered, although it can be read.
    pub(crate) fn objection(&self) -> Option<ResponseCode> {
        if self.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return Some(ResponseCode::BADVERS);
        }
        if self.question.query_class() != DNSClass::IN {
            return Some(ResponseCode::Refused);
        }
        match self.question.query_type() {
            RecordType::AXFR | RecordType::IXFR => Some(ResponseCode::Refused),
            RecordType::OPT | RecordType::TSIG | RecordType::SIG | RecordType::ZERO => {
                Some(ResponseCode::FormErr)
            }
            _ => None,
        }
    }

    /// How long an answer may be.
    pub(crate) fn room(&self, transport: Transport) -> u16 {
        match (transport, &self.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => UDP_LEAST,
            (Transport::Udp, Some(edns)) => edns.max_payload().clamp(UDP_LEAST, UDP_MOST),
        }
    }

    /// Whether it asks for signatures.
    pub(crate) fn wants_dnssec(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok)
    }
}
