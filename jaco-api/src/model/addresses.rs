//! The addresses that a cluster gives out: pools of blocks for networks of deployments, and ranges of
//! single addresses for nodes and for services.
//!
//! Nothing here depends on the address family. Text is checked once, here; whoever has one of these
//! values can rely on its rules.

use std::{fmt, net::IpAddr, ops::RangeInclusive, str::FromStr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// Most pools of a cluster.
const MOST_POOLS: usize = 16;
/// A block has at least so many bits for its hosts: a gateway and a handful of containers.
const LEAST_HOST_BITS: u8 = 3;
/// A pool has at most so many blocks, as a power of two.
const MOST_BLOCK_BITS: u8 = 24;

/// Addresses that no pool may hold, and what they are for.
const RESERVED: &[(&str, &str)] = &[
    ("0.0.0.0/8", "means this host"),
    ("127.0.0.0/8", "is loopback"),
    ("169.254.0.0/16", "is link-local"),
    ("224.0.0.0/4", "is multicast"),
    ("240.0.0.0/4", "is reserved"),
    ("::/127", "is loopback"),
    ("fe80::/10", "is link-local"),
    ("ff00::/8", "is multicast"),
];

/// Why the text of a pool was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddresses {
    /// None, or too many.
    #[error("there are {0} pools; from 1 to {MOST_POOLS} are possible")]
    Count(usize),
    /// Not of the form.
    #[error("{text:?} is not of the form {form}")]
    Malformed {
        /// The refused text.
        text: String,
        /// How it is written.
        form: &'static str,
    },
    /// The address is not the first one of its prefix.
    #[error("{given} is not the first address of its prefix; write {network}")]
    HostBits {
        /// As given.
        given: IpNet,
        /// What it lies in.
        network: IpNet,
    },
    /// Blocks do not fit the pool, or nothing fits the blocks.
    #[error("blocks of {prefix} have a length from {low} to {high}, not {block}")]
    Block {
        /// The pool.
        prefix: IpNet,
        /// As given.
        block: u8,
        /// Least length.
        low: u8,
        /// Greatest length.
        high: u8,
    },
    /// Too small to give addresses out.
    #[error("{0} has no room")]
    NoRoom(IpNet),
    /// Addresses with a meaning of their own.
    #[error("{prefix} {why}")]
    Reserved {
        /// The pool.
        prefix: IpNet,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two pools have addresses in common.
    #[error("{0} and {1} overlap")]
    Overlap(IpNet, IpNet),
}

/// A prefix that is cut into blocks of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressPool {
    prefix: IpNet,
    block: u8,
}

impl AddressPool {
    const FORM: &str = "<address>/<length>:<length of a block>, such as 10.244.0.0/14:24";

    /// All its addresses.
    #[must_use]
    pub fn prefix(&self) -> IpNet {
        self.prefix
    }
    /// The length of the blocks that are given out from now on.
    #[must_use]
    pub fn block(&self) -> u8 {
        self.block
    }
    /// How many blocks there are in it.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        1 << (self.block - self.prefix.prefix_len())
    }
    /// Whether all addresses of a block are in it.
    #[must_use]
    pub fn contains(&self, block: IpNet) -> bool {
        self.prefix.contains(&block)
    }

    /// The present block that a used one lies in, or the first of those that lie in it.
    #[must_use]
    pub fn block_of(&self, used: IpNet) -> IpNet {
        with_length(used.network(), self.block)
    }

    /// How many of the present blocks a used one takes part of.
    #[must_use]
    pub fn blocks_in(&self, used: IpNet) -> u64 {
        1 << self.block.saturating_sub(used.prefix_len())
    }

    /// The addresses, as numbers, that a prefix has in common with the pool.
    #[must_use]
    pub fn common(&self, used: IpNet) -> Option<RangeInclusive<u128>> {
        // Of two prefixes that overlap, one lies in the other.
        let smaller = if self.prefix.contains(&used) { used } else { self.prefix };
        overlap(used, self.prefix).then(|| numbers(smaller))
    }
    /// All its addresses, as numbers.
    #[must_use]
    pub fn addresses(&self) -> RangeInclusive<u128> {
        numbers(self.prefix)
    }

    /// The lowest block that lies whole in a range of addresses of the pool that are free. The ranges are
    /// given as numbers, in order and apart from each other. O(ranges before the block).
    #[must_use]
    pub fn lowest_in(&self, free: impl IntoIterator<Item = RangeInclusive<u128>>) -> Option<IpNet> {
        let size = 1_u128 << (self.prefix.max_prefix_len() - self.block);
        let block = |range: RangeInclusive<u128>| {
            let first = range.start().checked_next_multiple_of(size)?;
            let last = first.checked_add(size - 1)?;
            (last <= *range.end()).then(|| with_length(address(first, self.prefix), self.block))
        };
        free.into_iter().find_map(block)
    }
}

impl fmt::Display for AddressPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.prefix, self.block))
    }
}

impl FromStr for AddressPool {
    type Err = InvalidAddresses;
    fn from_str(s: &str) -> Result<Self, InvalidAddresses> {
        let malformed = || InvalidAddresses::Malformed { text: cut(s), form: AddressPool::FORM };
        let (prefix, block) = s.trim().rsplit_once(':').ok_or_else(malformed)?;
        let block: u8 = block.parse().map_err(|_| malformed())?;
        let prefix = checked(prefix.parse().map_err(|_| malformed())?)?;
        let low = prefix.prefix_len() + 1;
        let high = (prefix.max_prefix_len() - LEAST_HOST_BITS)
            .min(prefix.prefix_len().saturating_add(MOST_BLOCK_BITS));
        match (low..=high).contains(&block) {
            true => Ok(Self { prefix, block }),
            false if low > high => Err(InvalidAddresses::NoRoom(prefix)),
            false => Err(InvalidAddresses::Block { prefix, block, low, high }),
        }
    }
}

/// The pools that blocks for networks come from, the first one first. They have no addresses in
/// common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressPools(Vec<AddressPool>);

impl AddressPools {
    /// In order of their use.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &AddressPool> {
        self.0.iter()
    }
    /// Which of them holds all addresses of a block.
    #[must_use]
    pub fn position_of(&self, block: IpNet) -> Option<usize> {
        self.0.iter().position(|pool| pool.contains(block))
    }
}

impl Default for AddressPools {
    fn default() -> Self {
        Self("10.244.0.0/14:24".parse().map(|pool| vec![pool]).unwrap_or_default())
    }
}

impl fmt::Display for AddressPools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.pad(&pools.join(", "))
    }
}

impl FromStr for AddressPools {
    type Err = InvalidAddresses;
    fn from_str(s: &str) -> Result<Self, InvalidAddresses> {
        let parts: Vec<_> = s.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        if parts.is_empty() || parts.len() > MOST_POOLS {
            return Err(InvalidAddresses::Count(parts.len()));
        }
        let mut pools: Vec<AddressPool> = Vec::new();
        for part in parts {
            let pool: AddressPool = part.parse()?;
            if let Some(other) = pools.iter().find(|p| overlap(p.prefix, pool.prefix)) {
                return Err(InvalidAddresses::Overlap(other.prefix, pool.prefix));
            }
            pools.push(pool);
        }
        Ok(Self(pools))
    }
}

impl TryFrom<String> for AddressPools {
    type Error = InvalidAddresses;
    fn try_from(s: String) -> Result<Self, InvalidAddresses> {
        s.parse()
    }
}
impl From<AddressPools> for String {
    fn from(pools: AddressPools) -> String {
        pools.to_string()
    }
}

/// A prefix whose addresses are given out one by one: to nodes, or to services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange(IpNet);

impl AddressRange {
    const FORM: &str = "<address>/<length>, such as 10.243.0.0/16";

    /// Where nodes have their addresses from by default.
    #[must_use]
    pub fn of_nodes() -> Self {
        Self(IpNet::V4(Ipv4Net::new_assert([10, 243, 0, 0].into(), 16)))
    }
    /// Where services have their addresses from by default.
    #[must_use]
    pub fn of_services() -> Self {
        Self(IpNet::V4(Ipv4Net::new_assert([10, 242, 0, 0].into(), 16)))
    }
    /// All its addresses.
    #[must_use]
    pub fn prefix(&self) -> IpNet {
        self.0
    }
    /// Whether this address may be given out: the first and the last one are not.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address) && address != self.0.network() && address != self.0.broadcast()
    }
    /// How many addresses can be given out.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        let bits = self.0.max_prefix_len() - self.0.prefix_len();
        1_u64.checked_shl(bits.into()).map_or(u64::MAX, |all| all - 2)
    }
    /// The lowest address that is none of those that are used, which are given in order.
    #[must_use]
    pub fn lowest_free(&self, used: impl IntoIterator<Item = IpAddr>) -> Option<IpAddr> {
        let mut next = number(self.0.network()) + 1;
        for used in used.into_iter().filter(|used| self.0.contains(used)) {
            if number(used) == next {
                next += 1;
            }
        }
        Some(address(next, self.0)).filter(|address| self.contains(*address))
    }
    /// The pool of blocks that has addresses in common with it.
    ///
    /// # Errors
    /// [`InvalidAddresses::Overlap`] when there is one.
    pub fn apart_from(&self, pools: &AddressPools) -> Result<(), InvalidAddresses> {
        match pools.iter().find(|pool| overlap(pool.prefix, self.0)) {
            Some(pool) => Err(InvalidAddresses::Overlap(self.0, pool.prefix)),
            None => Ok(()),
        }
    }
    /// Whether two ranges have no address in common.
    ///
    /// # Errors
    /// [`InvalidAddresses::Overlap`] when they have one.
    pub fn apart_from_range(&self, other: &Self) -> Result<(), InvalidAddresses> {
        match overlap(self.0, other.0) {
            true => Err(InvalidAddresses::Overlap(self.0, other.0)),
            false => Ok(()),
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl FromStr for AddressRange {
    type Err = InvalidAddresses;
    fn from_str(s: &str) -> Result<Self, InvalidAddresses> {
        let malformed = |_| InvalidAddresses::Malformed { text: cut(s), form: Self::FORM };
        let prefix = checked(s.trim().parse().map_err(malformed)?)?;
        match prefix.max_prefix_len() - prefix.prefix_len() {
            0..LEAST_HOST_BITS => Err(InvalidAddresses::NoRoom(prefix)),
            _ => Ok(Self(prefix)),
        }
    }
}

impl TryFrom<String> for AddressRange {
    type Error = InvalidAddresses;
    fn try_from(s: String) -> Result<Self, InvalidAddresses> {
        s.parse()
    }
}
impl From<AddressRange> for String {
    fn from(pool: AddressRange) -> String {
        pool.to_string()
    }
}

/// Whether two prefixes have an address in common.
#[must_use]
pub fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// The first address of a block that a host may have: its gateway's.
pub(super) fn first_host(block: IpNet) -> IpAddr {
    address(number(block.network()) + 1, block)
}

fn checked(prefix: IpNet) -> Result<IpNet, InvalidAddresses> {
    let network = prefix.trunc();
    if network != prefix {
        return Err(InvalidAddresses::HostBits { given: prefix, network });
    }
    let reserved = RESERVED
        .iter()
        .find(|(taken, _)| taken.parse::<IpNet>().is_ok_and(|taken| overlap(taken, prefix)));
    match reserved {
        Some((_, why)) => Err(InvalidAddresses::Reserved { prefix, why }),
        None => Ok(prefix),
    }
}

/// Text of users in messages is cut.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn numbers(prefix: IpNet) -> RangeInclusive<u128> {
    number(prefix.network())..=number(prefix.broadcast())
}

/// The address of this number, in the family of a prefix.
fn address(number: u128, family: IpNet) -> IpAddr {
    match family {
        IpNet::V4(_) => IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()),
        IpNet::V6(_) => IpAddr::V6(number.into()),
    }
}

/// The prefix of this length that an address lies in.
fn with_length(address: IpAddr, length: u8) -> IpNet {
    match address {
        IpAddr::V4(address) => IpNet::V4(Ipv4Net::new_assert(address, length.min(32)).trunc()),
        IpAddr::V6(address) => IpNet::V6(Ipv6Net::new_assert(address, length.min(128)).trunc()),
    }
}

#[cfg(test)]
mod tests;
