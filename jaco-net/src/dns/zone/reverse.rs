//! Names of addresses.

use std::net::IpAddr;

use hickory_proto::rr::{RData, RecordType, rdata::PTR};
use ipnet::IpNet;

use super::{Answer, View, Zone};
use crate::dns::labels::Labels;

const V4: &[u8] = b"\x07in-addr\x04arpa";
const V6: &[u8] = b"\x03ip6\x04arpa";

impl Zone {
    /// The answer for a reverse name inside a pool; `None` for every other name.
    pub(super) fn reverse(
        &self,
        view: View<'_>,
        name: &Labels,
        kind: RecordType,
    ) -> Option<Answer> {
        let (prefix, used, suffix) = prefix(name)?;
        let pool = self.pools.iter().find(|pool| pool.contains(&prefix))?;
        let bits = if pool.addr().is_ipv4() { 8 } else { 4 };
        let apex = suffix.saturating_sub(pool.prefix_len().div_ceil(bits).into());
        if used < suffix {
            // More labels than an address has, or such that are no part of one.
            return Some(Answer::NxDomain { apex });
        }
        if prefix.prefix_len() < prefix.max_prefix_len() {
            return Some(Answer::NoData { apex });
        }
        let Some(owner) = self.owner(view, prefix.addr()) else {
            return Some(Answer::NxDomain { apex });
        };
        Some(match kind {
            RecordType::PTR | RecordType::ANY => {
                let data = vec![RData::PTR(PTR(owner))];
                Answer::Records { data, additional: Vec::new() }
            }
            _ => Answer::NoData { apex },
        })
    }
}

/// The addresses that a reverse name is about, how many labels tell them, and how many there are before the suffix.
fn prefix(name: &Labels) -> Option<(IpNet, usize, usize)> {
    if let Some(suffix) = name.before(V4) {
        let mut octets = [0; 4];
        let used = read(name, suffix, 4, |at, text| {
            octets[at] = text.parse().ok().filter(|n: &u8| n.to_string() == text)?;
            Some(())
        });
        let length = u8::try_from(used * 8).ok()?;
        return Some((IpNet::new(IpAddr::from(octets), length).ok()?, used, suffix));
    }
    let suffix = name.before(V6)?;
    let mut octets = [0; 16];
    let used = read(name, suffix, 32, |at, text| {
        let nibble = u8::from_str_radix(text, 16).ok().filter(|_| text.len() == 1)?;
        octets[at / 2] |= if at % 2 == 0 { nibble << 4 } else { nibble };
        Some(())
    });
    let length = u8::try_from(used * 4).ok()?;
    Some((IpNet::new(IpAddr::from(octets), length).ok()?, used, suffix))
}

/// Reads labels from the suffix towards the front, until `most` are read or one cannot be.
fn read(
    name: &Labels,
    suffix: usize,
    most: usize,
    mut take: impl FnMut(usize, &str) -> Option<()>,
) -> usize {
    let labels = (0..suffix).rev().take(most).enumerate();
    let mut used = 0;
    for (at, index) in labels {
        if take(at, name.text(index)).is_none() {
            break;
        }
        used += 1;
    }
    used
}
