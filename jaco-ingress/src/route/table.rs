//! The table: which route a request belongs to.

use super::{hosts::Hosts, path::borders};

/// Finds by host and path, in a time that hardly grows with the number of routes. `T` is what a route leads to.
///
/// The host is matched first: as it is, then as one label before a wildcard, then as any. Whoever has the host is the
/// only one asked for the path: what has no route there is not given to a wildcard's owner, who would see what is
/// meant for another.
#[derive(Debug, Clone)]
pub struct Table<T> {
    pub(super) exact: Hosts<Paths<T>>,
    /// By the name behind `*.`.
    pub(super) wildcard: Hosts<Paths<T>>,
    pub(super) any: Option<Paths<T>>,
    pub(super) routes: usize,
}

/// The prefixes of one host. `/` is kept as the empty text, so that a prefix always ends at a border.
#[derive(Debug, Clone)]
pub(super) struct Paths<T> {
    /// In order. Most hosts have one: nothing is read for it but itself.
    prefixes: Vec<(Box<str>, T)>,
    longest: usize,
}

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Self { prefixes: Vec::new(), longest: 0 }
    }
}

impl<T> Paths<T> {
    /// Whether the prefix was free.
    pub(super) fn add(&mut self, prefix: Box<str>, target: T) -> bool {
        let Err(place) = self.place(&prefix) else { return false };
        self.longest = self.longest.max(prefix.len());
        self.prefixes.insert(place, (prefix, target));
        true
    }

    fn find(&self, path: &str) -> Option<&T> {
        let mut ends = borders(path, self.longest);
        ends.find_map(|end| self.place(&path[..end]).ok()).map(|place| &self.prefixes[place].1)
    }

    fn place(&self, prefix: &str) -> Result<usize, usize> {
        self.prefixes.binary_search_by(|(known, _)| (**known).cmp(prefix))
    }
}

impl<T> Table<T> {
    /// The route of a request. `host` as [`host_of`](super::host_of), `path` as [`normal`](super::normal) gives them.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<&T> {
        self.of_host(host)?.find(path)
    }

    /// Whether any route has this host.
    #[must_use]
    pub fn knows(&self, host: &str) -> bool {
        self.of_host(host).is_some()
    }

    fn of_host(&self, host: &str) -> Option<&Paths<T>> {
        if let Some(paths) = self.exact.get(host) {
            return Some(paths);
        }
        let parent = || host.split_once('.').filter(|(label, _)| !label.is_empty());
        if !self.wildcard.is_empty()
            && let Some(paths) = parent().and_then(|(_, name)| self.wildcard.get(name))
        {
            return Some(paths);
        }
        self.any.as_ref()
    }

    /// How many routes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.routes
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes == 0
    }
}
