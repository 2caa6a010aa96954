//! Tracked connections to virtual addresses, and which of them the kernel must forget. Pure.
//!
//! Whoever keeps sending keeps his tracked connection alive, and with it the replica that was
//! picked for it. Input is what the kernel's connection tracking lists and two rulesets; output is
//! what to tell it. Never forgets a connection that was not made to a virtual address.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    Ruleset,
    netlink::{Message, attribute, message, written},
};

/// The subsystem of connection tracking, in the upper byte of a message's kind.
const SUBSYSTEM: u16 = 1 << 8;
/// `IPCTNL_MSG_CT_NEW`, `_GET` and `_DELETE`.
const NEW: u16 = SUBSYSTEM;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
/// `NLM_F_REQUEST`, `NLM_F_ACK` and `NLM_F_DUMP`.
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;

/// Attributes of a connection.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const ID: u16 = 12;
const ZONE: u16 = 18;
const STATUS_MASK: u16 = 26;
/// Attributes of one direction of it.
const ADDRESSES: u16 = 1;
const PROTOCOL: u16 = 2;
/// The attribute with the number of the protocol.
const PROTOCOL_NUMBER: u16 = 1;
const TCP: u8 = 6;
/// `IPS_SEEN_REPLY` and `IPS_DST_NAT`.
const ANSWERED: u32 = 1 << 1;
const TRANSLATED: u32 = 1 << 5;

/// A tracked connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tracked {
    family: u8,
    /// The attributes by which the kernel finds it.
    key: Vec<u8>,
    /// What it was opened to.
    destination: IpAddr,
    /// Who answers it.
    replica: IpAddr,
    /// Whether it is a connection of TCP that was answered.
    open: bool,
}

/// Asks for every tracked connection; with `translated` for those alone that were, where the kernel
/// can choose.
pub(super) fn list(translated: bool) -> Vec<u8> {
    let bits = TRANSLATED.to_be_bytes();
    let chosen = [written(STATUS, &bits), written(STATUS_MASK, &bits)].concat();
    message(GET, REQUEST | DUMP, 0, if translated { &chosen } else { &[] })
}

impl Tracked {
    /// A listed connection; `None` for what is none.
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        let all = message.attributes().filter(|_| message.kind == NEW)?;
        let (original, reply) = (attribute(all, ORIGINAL)?, attribute(all, REPLY)?);
        let protocol = attribute(attribute(original, PROTOCOL)?, PROTOCOL_NUMBER)?.first()?;
        let status = attribute(all, STATUS).and_then(|bits| bits.try_into().ok());
        let status = u32::from_be_bytes(status.unwrap_or_default());
        let mut key = written(ORIGINAL, original);
        for kind in [ZONE, ID] {
            if let Some(value) = attribute(all, kind) {
                key.extend(written(kind, value));
            }
        }
        Some(Self {
            family: message.family()?,
            key,
            destination: address(original, End::Destination)?,
            replica: address(reply, End::Source)?,
            open: *protocol == TCP && status & ANSWERED != 0,
        })
    }

    /// Whether it goes where its virtual address no longer leads.
    ///
    /// A connection of TCP that was answered stays with its replica: nobody else could go on with
    /// it, and a replica that is gone for good ends it by its silence.
    pub(super) fn stale(&self, held: &Ruleset, wanted: &Ruleset) -> bool {
        let to_virtual = [held, wanted].iter().any(|r| r.virtual_address(self.destination));
        let leads = |replicas: &BTreeSet<IpAddr>| replicas.contains(&self.replica);
        let stays = self.open && self.replica != self.destination;
        to_virtual && !stays && !wanted.virtuals.get(&self.destination).is_some_and(leads)
    }

    /// Tells the kernel to forget it.
    pub(super) fn forget(&self) -> Vec<u8> {
        message(DELETE, REQUEST | ACKNOWLEDGE, self.family, &self.key)
    }
}

/// One end of one direction.
enum End {
    Source,
    Destination,
}

fn address(direction: &[u8], end: End) -> Option<IpAddr> {
    let addresses = attribute(direction, ADDRESSES)?;
    let (v4, v6) = match end {
        End::Source => (1, 3),
        End::Destination => (2, 4),
    };
    if let Some(bytes) = attribute(addresses, v4) {
        return Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into());
    }
    let bytes = attribute(addresses, v6)?;
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::{super::netlink::messages, *};

    const CLIENT: [u8; 4] = [10, 244, 0, 2];
    const SERVICE: [u8; 4] = [10, 248, 0, 1];

    fn direction(source: [u8; 4], destination: [u8; 4], protocol: u8) -> Vec<u8> {
        let addresses = [written(1, &source), written(2, &destination)].concat();
        let protocol = written(PROTOCOL_NUMBER, &[protocol]);
        [written(ADDRESSES, &addresses), written(PROTOCOL, &protocol)].concat()
    }

    fn tracked(protocol: u8, destination: [u8; 4], replica: [u8; 4], status: u32) -> Tracked {
        let all = [
            written(ORIGINAL, &direction(CLIENT, destination, protocol)),
            written(REPLY, &direction(replica, CLIENT, protocol)),
            written(STATUS, &status.to_be_bytes()),
            written(ID, &[1, 2, 3, 4]),
        ];
        let bytes = message(NEW, 0, 2, &all.concat());
        Tracked::read(&messages(&bytes).next().unwrap().unwrap()).unwrap()
    }

    fn rules(replicas: &[[u8; 4]]) -> Ruleset {
        let replicas = replicas.iter().map(|r| IpAddr::from(*r)).collect();
        Ruleset {
            pools: ["10.244.0.0/14".parse().unwrap()].into(),
            virtual_pools: ["10.248.0.0/16".parse().unwrap()].into(),
            virtuals: [(SERVICE.into(), replicas)].into(),
            ..Ruleset::default()
        }
    }

    #[test]
    fn what_leads_nowhere_is_forgotten_and_what_was_answered_goes_on() {
        let (here, gone) = ([10, 244, 0, 3], [10, 244, 0, 4]);
        let (held, wanted) = (rules(&[here, gone]), rules(&[here]));
        let stale = |tracked: Tracked| tracked.stale(&held, &wanted);
        assert!(stale(tracked(17, SERVICE, gone, ANSWERED | TRANSLATED)), "UDP");
        assert!(stale(tracked(1, SERVICE, gone, ANSWERED | TRANSLATED)), "an echo");
        assert!(stale(tracked(6, SERVICE, gone, TRANSLATED)), "an attempt to connect");
        assert!(!stale(tracked(6, SERVICE, gone, ANSWERED | TRANSLATED)), "a connection");
        assert!(!stale(tracked(17, SERVICE, here, TRANSLATED)), "it is still there");
        assert!(stale(tracked(6, SERVICE, SERVICE, ANSWERED)), "it was never translated");
        assert!(!stale(tracked(17, here, here, 0)), "straight to a replica");
        assert!(!stale(tracked(17, [192, 0, 2, 1], gone, TRANSLATED)), "somebody else's");
        let without = Ruleset { pools: wanted.pools.clone(), ..Ruleset::default() };
        let of_a_pool_that_is_gone = tracked(17, SERVICE, here, TRANSLATED);
        assert!(of_a_pool_that_is_gone.stale(&held, &without));
    }

    #[test]
    fn it_is_forgotten_by_the_key_under_which_it_was_listed() {
        let one = tracked(17, SERVICE, [10, 244, 0, 4], TRANSLATED);
        let told = one.forget();
        let told = messages(&told).next().unwrap().unwrap();
        assert_eq!((told.kind, told.family()), (DELETE, Some(2)));
        let key = told.attributes().unwrap();
        assert_eq!(attribute(key, ORIGINAL).unwrap(), direction(CLIENT, SERVICE, 17));
        assert_eq!(attribute(key, ID).unwrap(), [1, 2, 3, 4]);
    }
}
