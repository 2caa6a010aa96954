//! What belongs to a host, found by its name alone.

use std::collections::HashMap;

/// One `T` for each host. Hashed: comparing a host with others on the way to it would fetch each of them into the
/// cache. Nothing here walks over the hosts, so the order that a hash gives them decides nothing.
#[derive(Debug, Clone)]
pub(super) struct Hosts<T>(HashMap<Box<str>, T>);

impl<T: Default> Hosts<T> {
    pub(super) fn get_or_insert_default(&mut self, host: &str) -> &mut T {
        self.0.entry(host.into()).or_default()
    }
}

impl<T> Hosts<T> {
    pub(super) fn get(&self, host: &str) -> Option<&T> {
        self.0.get(host)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}
