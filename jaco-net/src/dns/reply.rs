//! From an answer to bytes. Pure.

use hickory_proto::{
    ProtoError,
    op::{Edns, Header, HeaderCounts, Metadata, ResponseCode},
    rr::{RData, Record, rdata::opt::EdnsOption},
    serialize::binary::{BinEncodable, BinEncoder},
};

use super::{
    query::{Query, UDP_MOST},
    zone::{Answer, SOA_DATA, TTL},
};

/// The option that says more than a response code (RFC 8914).
pub(crate) const EXTENDED_ERROR: u16 = 15;

/// Why there is no answer, for clients that understand it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Explanation {
    StaleAnswer = 3,
    NotReady = 14,
    NoReachableAuthority = 22,
    NetworkError = 23,
}

impl Explanation {
    pub(crate) fn option(self) -> Vec<u8> {
        (self as u16).to_be_bytes().to_vec()
    }
}

/// What a reply says.
struct Content {
    code: ResponseCode,
    authoritative: bool,
    answers: Vec<Record>,
    authority: Option<Record>,
    additional: Vec<Record>,
    explanation: Option<Vec<u8>>,
}

/// Writes what the zone says; nothing when it is for others to say.
pub(crate) fn answer(query: &Query, answer: Answer, room: u16, out: &mut Vec<u8>) -> bool {
    let owner = query.question.name();
    let record = |data| Record::from_rdata(owner.clone(), TTL, data);
    let soa = |apex: usize| {
        let zone = owner.trim_to(query.name.count().saturating_sub(apex));
        Some(Record::from_rdata(zone, TTL, SOA_DATA.clone()))
    };
    let (code, answers, authority, additional) = match answer {
        Answer::Records { data, additional } => {
            let answers = data.into_iter().map(record).collect();
            let additional = additional.into_iter();
            let address = |(name, address)| Record::from_rdata(name, TTL, RData::from(address));
            (ResponseCode::NoError, answers, None, additional.map(address).collect())
        }
        Answer::NoData { apex } => (ResponseCode::NoError, Vec::new(), soa(apex), Vec::new()),
        Answer::NxDomain { apex } => (ResponseCode::NXDomain, Vec::new(), soa(apex), Vec::new()),
        Answer::Forward => return false,
    };
    let content =
        Content { code, authoritative: true, answers, authority, additional, explanation: None };
    write(query, content, room, out);
    true
}

/// Writes a reply that only says why there is no answer.
pub(crate) fn refusal(
    query: &Query,
    code: ResponseCode,
    explanation: Option<Vec<u8>>,
    room: u16,
    out: &mut Vec<u8>,
) {
    let content = Content {
        code,
        authoritative: false,
        answers: Vec::new(),
        authority: None,
        additional: Vec::new(),
        explanation,
    };
    write(query, content, room, out);
}

/// Writes a header alone.
pub(crate) fn header(metadata: Metadata, out: &mut Vec<u8>) {
    out.clear();
    let header = Header { metadata, counts: HeaderCounts::default() };
    if header.emit(&mut BinEncoder::new(out)).is_err() {
        out.clear();
    }
}

fn write(query: &Query, content: Content, room: u16, out: &mut Vec<u8>) {
    let code = content.code;
    if emit(query, content, room, out).is_err() {
        let mut metadata = Metadata::response_from_request(&query.header);
        metadata.response_code = if code.high() > 0 { ResponseCode::ServFail } else { code };
        metadata.truncation = true;
        header(metadata, out);
    }
}

fn emit(query: &Query, content: Content, room: u16, out: &mut Vec<u8>) -> Result<(), ProtoError> {
    out.clear();
    let edns = query.edns.as_ref().map(|asked| edns(asked, content.code, content.explanation));
    let mut metadata = Metadata::response_from_request(&query.header);
    metadata.response_code = content.code;
    metadata.authoritative = content.authoritative;
    metadata.recursion_available = true;
    let mut encoder = BinEncoder::new(out);
    // The OPT record always fits: it is what tells the client how to ask again.
    encoder.set_max_size(room - edns.as_ref().map_or(0, opt_len));
    let place = encoder.place::<Header>()?;
    query.question.emit(&mut encoder)?;
    let (answers, cut) = fitting(encoder.emit_iter(&mut content.answers.iter()))?;
    let (authorities, cut_too) = fitting(encoder.emit_iter(&mut content.authority.iter()))?;
    metadata.truncation = cut || cut_too;
    // What is additional may be missing without further notice.
    let (mut additionals, _) = match metadata.truncation {
        true => (0, true),
        false => fitting(encoder.emit_iter(&mut content.additional.iter()))?,
    };
    encoder.set_max_size(room);
    if let Some(edns) = edns {
        edns.emit(&mut encoder)?;
        additionals += 1;
    }
    let counts = HeaderCounts { queries: 1, answers, authorities, additionals };
    place.replace(&mut encoder, Header { metadata, counts })
}

/// How many records were written, and whether some were not.
fn fitting(written: Result<usize, ProtoError>) -> Result<(u16, bool), ProtoError> {
    match written {
        Ok(count) => Ok((count.try_into().unwrap_or(u16::MAX), false)),
        Err(ProtoError::NotAllRecordsWritten { count, .. }) => {
            Ok((count.try_into().unwrap_or(u16::MAX), true))
        }
        Err(error) => Err(error),
    }
}

/// Our side of EDNS.
pub(crate) fn edns(asked: &Edns, code: ResponseCode, explanation: Option<Vec<u8>>) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_MOST);
    edns.set_dnssec_ok(asked.flags().dnssec_ok);
    edns.set_rcode_high(code.high());
    if let Some(explanation) = explanation {
        edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, explanation));
    }
    edns
}

/// How long it is in a message.
pub(crate) fn opt_len(edns: &Edns) -> u16 {
    let options = edns.options().as_ref().iter();
    11 + options.map(|(_, option)| 4 + option.len()).sum::<u16>()
}
