//! How many connections each visitor has.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// What is taken for one visitor: an IPv4 address, or the /64 that one host commonly has.
pub(super) fn block_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = u128::from(v6) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 => v4,
    }
}

#[derive(Debug, Default)]
pub(super) struct Visitors(Mutex<HashMap<IpAddr, usize>>);

/// One connection of a visitor.
#[derive(Debug)]
pub(super) struct Visit {
    all: Arc<Visitors>,
    block: IpAddr,
}

impl Visitors {
    /// `None` if the visitor has `most` already.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Visit> {
        let block = block_of(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(block).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Visit { all: Arc::clone(self), block })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.block) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_has_a_bound_and_a_v6_host_is_one_visitor() {
        let visitors = Arc::new(Visitors::default());
        let enter = |address: &str| visitors.enter(address.parse().expect("an address"), 2);
        let held = (enter("2001:db8::1"), enter("2001:db8::2"));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(enter("2001:db8::3").is_none());
        assert!(enter("2001:db8:0:1::3").is_some());
        drop(held);
        assert!(enter("2001:db8::3").is_some());
        assert!(visitors.0.lock().expect("not poisoned").is_empty());
    }
}
