//! From routes as they are written to the table that finds them.

use super::{
    host::{InvalidHost, Pattern},
    hosts::Hosts,
    table::Table,
};

/// A route that is not served, and why. It never keeps the others from being served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its domain.
    pub domain: String,
    /// Its path.
    pub path: String,
    /// Why.
    pub reason: Reason,
}

/// Why a route is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Its domain is none.
    #[error(transparent)]
    Domain(#[from] InvalidHost),
    /// Its path is none.
    #[error("a path begins with `/`, and has no query, no fragment and no space")]
    Path,
    /// Another route has this domain and path.
    #[error("another route has this domain and path")]
    Taken,
}

impl<T> Table<T> {
    /// Compiles routes, each given as its domain, its path and what it leads to. Of two with the same domain and
    /// path the first one is taken.
    #[must_use]
    pub fn compile<'a>(
        routes: impl IntoIterator<Item = (&'a str, &'a str, T)>,
    ) -> (Self, Vec<LeftOut>) {
        let mut table =
            Self { exact: Hosts::default(), wildcard: Hosts::default(), any: None, routes: 0 };
        let mut left_out = Vec::new();
        for (domain, path, target) in routes {
            if let Err(reason) = table.add(domain, path, target) {
                left_out.push(LeftOut { domain: domain.into(), path: path.into(), reason });
            }
        }
        (table, left_out)
    }

    fn add(&mut self, domain: &str, path: &str, target: T) -> Result<(), Reason> {
        let pattern = Pattern::parse(domain)?;
        let prefix = prefix(path).ok_or(Reason::Path)?;
        let paths = match pattern {
            Pattern::Any => self.any.get_or_insert_default(),
            Pattern::Exact(name) => self.exact.get_or_insert_default(&name),
            Pattern::Wildcard(parent) => self.wildcard.get_or_insert_default(&parent),
        };
        if !paths.add(prefix, target) {
            return Err(Reason::Taken);
        }
        self.routes += 1;
        Ok(())
    }
}

/// A prefix in the form of [`super::normal`], without its last slash.
fn prefix(path: &str) -> Option<Box<str>> {
    let legal = path.starts_with('/')
        && path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#'));
    legal.then(|| super::normal(path).trim_end_matches('/').into())
}
