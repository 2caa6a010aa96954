//! What an upstream said. Pure.
//!
//! An answer is handed on as it is: parsing it into records and writing these again would lose what the parser does
//! not know, and signatures are over bytes. So it is only walked through, once, for where its records and their TTLs
//! are. The work is bounded by its length; names are skipped, never followed.

use std::time::Duration;

use hickory_proto::{
    op::ResponseCode,
    serialize::binary::{BinEncodable, BinEncoder},
};

use super::Key;
use crate::dns::{
    query::{HEADER, Query},
    reply::{EXTENDED_ERROR, edns, opt_len},
};

/// The longest that an answer is kept, and that the absence of one is.
const KEPT: u32 = 3600;
const ABSENCE_KEPT: u32 = 300;
/// What an answer that is no longer valid is said to be good for (RFC 8767).
const STALE_TTL: u32 = 30;

/// The longest extended error that is handed on: the smallest datagram holds it beside the longest question.
const EXPLANATION_MOST: usize = 128;

const SOA: u16 = 6;
const OPT: u16 = 41;
const ANY: u16 = 255;

/// An answer that can be given on, without EDNS.
#[derive(Debug)]
pub(crate) struct Said {
    bytes: Vec<u8>,
    /// Where its question ends.
    question: usize,
    /// Where each of its records ends, section by section.
    sections: [Vec<usize>; 3],
    /// Where TTLs are, and what they were.
    ttls: Vec<(usize, u32)>,
    /// What was said about it by the way.
    explanation: Option<Vec<u8>>,
    lifetime: Duration,
    positive: bool,
}

/// What bytes from an upstream are.
#[derive(Debug)]
pub(crate) enum Reading {
    Said(Said),
    Truncated,
    Refused {
        code: ResponseCode,
        explanation: Option<Vec<u8>>,
    },
    /// The answer to another question, or none.
    Foreign,
    /// The answer to this question, but it cannot be read.
    Garbled,
}

/// A record that was walked over.
struct Walked {
    kind: u16,
    ttl_at: usize,
    ttl: u32,
    data: std::ops::Range<usize>,
}

/// Reads what came as an answer to `key`, asked with this id.
pub(crate) fn read(bytes: Vec<u8>, key: &Key, id: u16) -> Reading {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Reading::Foreign };
    let [i, d, flags, codes, ..] = *header;
    let is_answer = flags & 0xf8 == 0x80;
    if u16::from_be_bytes([i, d]) != id || !is_answer {
        return Reading::Foreign;
    }
    let code = ResponseCode::from_low(codes & 0x0f);
    let given_up = !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
    let end = HEADER + key.question.len();
    match be16(&bytes, 4) {
        Some(1) if same_question(bytes.get(HEADER..end), &key.question) => {}
        // Who cannot read a question cannot repeat it.
        Some(0) if given_up => return Reading::Refused { code, explanation: None },
        _ => return Reading::Foreign,
    }
    if flags & 0x02 != 0 {
        return Reading::Truncated;
    }
    let kind = be16(&key.question, key.question.len().saturating_sub(4)).unwrap_or_default();
    match Said::walk(bytes, end, kind) {
        None => Reading::Garbled,
        Some((said, high)) if given_up || high != 0 => Reading::Refused {
            code: ResponseCode::from(high, codes & 0x0f),
            explanation: said.explanation,
        },
        Some((said, _)) => Reading::Said(said),
    }
}

fn same_question(ours: Option<&[u8]>, theirs: &[u8]) -> bool {
    let split = |question: &'_ [u8]| question.len().saturating_sub(4);
    ours.is_some_and(|ours| {
        let (our_name, our_kind) = ours.split_at(split(ours));
        let (their_name, their_kind) = theirs.split_at(split(theirs));
        our_kind == their_kind && our_name.eq_ignore_ascii_case(their_name)
    })
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(two.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

/// Where a name ends; names that it points to are not looked at.
fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return bytes.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
        if at - start > 254 {
            return None;
        }
    }
}

fn walk_record(bytes: &[u8], at: usize) -> Option<Walked> {
    let at = skip_name(bytes, at)?;
    let (kind, ttl) = (be16(bytes, at)?, be32(bytes, at + 4)?);
    let start = at + 10;
    let data = start..start + usize::from(be16(bytes, at + 8)?);
    bytes.get(data.clone())?;
    Some(Walked { kind, ttl_at: at + 4, ttl, data })
}

/// The extended error among the options of EDNS.
fn explanation(options: &[u8]) -> Option<Vec<u8>> {
    let mut rest = options;
    while let (Some(code), Some(length)) = (be16(rest, 0), be16(rest, 2)) {
        let end = 4 + usize::from(length);
        let data = rest.get(4..end)?;
        if code == EXTENDED_ERROR && (2..=EXPLANATION_MOST).contains(&data.len()) {
            return Some(data.to_vec());
        }
        rest = &rest[end..];
    }
    None
}

impl Said {
    /// Walks through an answer to a question of this type; gives the upper bits of its response code too.
    fn walk(mut bytes: Vec<u8>, question: usize, kind: u16) -> Option<(Self, u8)> {
        let mut said = Self {
            bytes: Vec::new(),
            question,
            sections: Default::default(),
            ttls: Vec::new(),
            explanation: None,
            lifetime: Duration::ZERO,
            positive: false,
        };
        let (mut at, mut high) = (question, 0);
        let (mut shortest, mut absence) = (KEPT, None);
        'walk: for section in 0..3 {
            for _ in 0..be16(&bytes, 6 + 2 * section)? {
                let record = walk_record(&bytes, at)?;
                if record.kind == OPT {
                    // It is for us alone, and last: nothing that comes after it is kept, lest names point wrong.
                    high = (record.ttl >> 24).try_into().unwrap_or_default();
                    said.explanation = explanation(&bytes[record.data]);
                    break 'walk;
                }
                // RFC 2181: a TTL with its first bit set is none.
                let ttl = if record.ttl >> 31 == 1 { 0 } else { record.ttl };
                if section < 2 {
                    shortest = shortest.min(ttl);
                }
                if section == 0 {
                    said.positive |= record.kind == kind || kind == ANY;
                }
                if section == 1 && record.kind == SOA {
                    let minimum = be32(&bytes, record.data.end.checked_sub(4)?)?;
                    absence = Some(ttl.min(minimum).min(ABSENCE_KEPT));
                }
                at = record.data.end;
                said.ttls.push((record.ttl_at, ttl));
                said.sections[section].push(at);
            }
        }
        bytes.truncate(at);
        let nx_domain = bytes.get(3)? & 0x0f == 3;
        said.positive &= !nx_domain;
        let lifetime = match said.positive {
            true => shortest,
            // RFC 2308: how long a name does not exist is in the SOA, or unknown.
            false => absence.map_or(0, |absence| absence.min(shortest)),
        };
        said.lifetime = Duration::from_secs(lifetime.into());
        said.bytes = bytes;
        Some((said, high))
    }

    /// How long it may be given on.
    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Whether it says what there is, not what there is not.
    pub(super) fn is_positive(&self) -> bool {
        self.positive
    }

    /// What it takes in memory.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + 24 * self.ttls.len()
    }

    /// Writes it as the answer to `query`, which came as `packet`, with TTLs that have counted down by `age`, or
    /// with that of an answer that is no longer valid.
    pub(crate) fn write(
        &self,
        query: &Query,
        packet: &[u8],
        age: Option<u32>,
        explanation: Option<Vec<u8>>,
        room: u16,
        out: &mut Vec<u8>,
    ) {
        let explanation = explanation.or_else(|| self.explanation.clone());
        let opt = query.edns.as_ref().map(|asked| edns(asked, ResponseCode::NoError, explanation));
        let room = usize::from(room - opt.as_ref().map_or(0, opt_len));
        let (counts, end, cut) = self.fit(room);
        out.clear();
        out.extend(&self.bytes[..end]);
        out[..2].copy_from_slice(&query.header.id.to_be_bytes());
        let header = &query.header;
        out[2] = 0x80 | u8::from(cut) << 1 | u8::from(header.recursion_desired);
        // Who did not ask whether it is authentic cannot make anything of the bit (RFC 6840).
        let wants_authentic = header.authentic_data || query.wants_dnssec();
        let authentic = if wants_authentic { out[3] & 0x20 } else { 0 };
        let checked = u8::from(header.checking_disabled) << 4;
        out[3] = 0x80 | authentic | checked | (out[3] & 0x0f);
        for (section, count) in counts.into_iter().enumerate() {
            out[6 + 2 * section..][..2].copy_from_slice(&count.to_be_bytes());
        }
        // The letters of the question are those of the client.
        if let Some(question) = packet.get(HEADER..self.question) {
            out[HEADER..self.question].copy_from_slice(question);
        }
        for (at, ttl) in self.ttls.iter().filter(|(at, _)| *at < end) {
            let left = age.map_or(STALE_TTL, |age| ttl.saturating_sub(age));
            out[*at..at + 4].copy_from_slice(&left.to_be_bytes());
        }
        if let Some(opt) = opt {
            let mut tail = Vec::with_capacity(32);
            if opt.emit(&mut BinEncoder::new(&mut tail)).is_ok() {
                out.extend(tail);
                let additionals = counts[2] + 1;
                out[10..12].copy_from_slice(&additionals.to_be_bytes());
            }
        }
    }

    /// How many records of each section fit, where they end, and whether something is missing that must not be.
    fn fit(&self, room: usize) -> ([u16; 3], usize, bool) {
        let mut counts = [0; 3];
        let mut end = self.question;
        for (section, ends) in self.sections.iter().enumerate() {
            let fitting = ends.partition_point(|end| *end <= room);
            counts[section] = u16::try_from(fitting).unwrap_or(u16::MAX);
            if let Some(last) = fitting.checked_sub(1) {
                end = ends[last];
            }
            if fitting < ends.len() {
                // What is additional may be missing without further notice.
                return (counts, end, section < 2);
            }
        }
        (counts, end, false)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
impl Said {
    /// An address that is good for `ttl` seconds.
    pub(super) fn example(ttl: u32) -> Self {
        tests::address(ttl)
    }
}
