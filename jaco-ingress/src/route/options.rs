//! What a route can ask for beside being led to its service.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use zeroize::Zeroizing;

/// The options of a route. The default asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteOptions {
    /// The prefix is taken away before the request goes on, and named in `X-Forwarded-Prefix`.
    pub strip_path: bool,
    /// The request is answered with a redirect and goes nowhere.
    pub redirect: Option<Redirect>,
    /// Changes of the headers that the service sees.
    pub request_headers: HeaderEdits,
    /// Changes of the headers that the visitor sees.
    pub response_headers: HeaderEdits,
    /// Most time from the last byte of the request to the head of the answer.
    pub timeout: Option<Duration>,
    /// Largest body of a request, in bytes.
    pub max_body: Option<u64>,
    /// Visitors stay with one replica, as long as it is there.
    pub sticky: Option<Sticky>,
    /// Who may come, by name and password; without it everybody may. An empty list lets nobody in.
    pub basic_auth: Option<Vec<Credential>>,
    /// Most requests of one visitor on this node.
    pub rate_limit: Option<RateLimit>,
    /// Addresses that may come; empty lets all in.
    pub allow: Vec<IpNet>,
    /// Addresses that may not come, also if they are in `allow`.
    pub deny: Vec<IpNet>,
    /// Answers are compressed for those who take it.
    pub compress: bool,
    /// What the service speaks.
    pub protocol: UpstreamProtocol,
}

/// How a visitor is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sticky {
    /// By a cookie that names the replica which answered first.
    Cookie,
    /// By the address. It is the same replica on every node, and another one only for the visitors of a replica
    /// that has gone.
    Address,
}

/// What a service speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, from the first byte: gRPC.
    H2c,
}

/// Where a request is sent instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The start of the new URL, such as `https://www.example.com`.
    pub to: String,
    /// Whether browsers may remember it: 308, else 307.
    pub permanent: bool,
    /// Whether path and query are put behind it.
    pub keep_path: bool,
}

/// Headers that are removed, and then those that are set in place of any of the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// What is set.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// What is removed.
    pub remove: Vec<HeaderName>,
}

impl HeaderEdits {
    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// Makes the changes.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
    }
}

/// A name and its password. The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The name; a colon cannot be in it.
    pub user: String,
    /// The password; wiped when dropped.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A bucket that is refilled evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in this time, on average.
    pub requests: u32,
    /// The time; nothing counts as a millisecond.
    pub per: Duration,
    /// Requests at once, at least one.
    pub burst: u32,
}

impl RateLimit {
    /// Requests in a second, on average.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        f64::from(self.requests) / self.per.max(Duration::from_millis(1)).as_secs_f64()
    }
}
