//! Faults of a host's network: the cable, and packets lost on the way.

use std::net::Ipv4Addr;

use super::Host;
use crate::{HarnessError, Result, Run, run};

/// The table that holds what is lost; the host's own tables are not touched.
const TABLE: &str = "inet jaco_rig";

/// Which way packets are lost, seen from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What the peer sends does not arrive.
    From,
    /// What the host sends does not arrive at the peer.
    To,
}

impl Host {
    /// Cuts the cable between the host and the switch.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn cut(&self) -> Result<()> {
        run("ip", &["link", "set", &self.record.link(), "down"]).map(drop)
    }

    /// Loses that many of a hundred packets between the host itself and `peer`, one way. Losses add up
    /// until the host is healed.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn lose(&self, direction: Direction, peer: Ipv4Addr, percent: u8) -> Result<()> {
        let (hook, side) = match direction {
            Direction::From => ("input", "saddr"),
            Direction::To => ("output", "daddr"),
        };
        // The kernel knows no share of 100 of 100.
        let share = match percent {
            100.. => String::new(),
            percent => format!("numgen random mod 100 < {percent}"),
        };
        // Before everything else of the host, so that nothing accepts the packet first.
        self.nft(&format!(
            "add table {TABLE}; \
             add chain {TABLE} {hook} {{ type filter hook {hook} priority -400; }}; \
             add rule {TABLE} {hook} ip {side} {peer} {share} drop"
        ))
    }

    /// Mends the cable and loses nothing any more.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn heal(&self) -> Result<()> {
        // Adding what is to be deleted makes deleting it right whether it was there or not.
        self.nft(&format!("add table {TABLE}; delete table {TABLE}"))?;
        run("ip", &["link", "set", &self.record.link(), "up"]).map(drop)
    }

    fn nft(&self, commands: &str) -> Result<()> {
        self.command("nft").arg(commands).text().map(drop)
    }

    /// Removes what a daemon of an earlier cluster has left in the kernel: a daemon that is killed leaves it on
    /// purpose.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget_cluster(&self) -> Result<()> {
        let script = "nft delete table inet jaco 2>/dev/null; ip link del jaco0 2>/dev/null; \
                      iptables -S | grep -e '--comment jaco -j' | sed 's/^-A/iptables -D/' | sh";
        self.command("sh").args(["-c", script]).text().map(drop)
    }

    /// Removes every interface but the cable, and all rules, as a kernel that starts has none.
    pub(super) fn forget_network(&self) -> Result<()> {
        let script = "nft flush ruleset; echo 0 >/proc/sys/net/ipv4/ip_forward; \
                      ip -o link | sed 's/^[0-9]*: //; s/[@:].*//' | grep -v -x -e lo -e eth0 | \
                      while read link; do ip link del $link; done";
        self.command("sh").args(["-c", script]).text().map(drop)
    }

    /// The rules in the host's kernel, as `nft` lists them.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub fn rules(&self) -> Result<String, HarnessError> {
        self.command("nft").args(["list", "ruleset"]).text()
    }
}
