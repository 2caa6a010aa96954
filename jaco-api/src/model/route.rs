//! Routes: which domain and path leads to which service, and what else is asked on the way.
//!
//! A route may ask visitors for a password. `P` is what stands for it: [`Password`] in a manifest, [`Sealed`] in
//! the state, [`Hidden`] in what is shown. The log, snapshots and answers can thus hold no other.

use std::{collections::BTreeMap, fmt};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Sealed, ServiceName, Span};

/// How a route is secured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// A certificate is obtained and renewed.
    #[default]
    Auto,
    /// Plain HTTP only.
    Off,
    /// An imported certificate of this name.
    Imported(String),
}

/// A domain (and path) that leads to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSpec<P = Sealed> {
    /// Domain; empty matches every domain.
    pub domain: String,
    /// Path prefix on segment borders; `/` matches all.
    pub path: String,
    /// The service.
    pub service: ServiceName,
    /// Port in its containers.
    pub port: u16,
    /// How it is secured.
    pub tls: TlsMode,
    /// What else is asked of it.
    #[serde(flatten)]
    pub options: RouteOptions<P>,
}

impl<P> RouteSpec<P> {
    /// The same route with other passwords: `other` is given the user and the password of each.
    ///
    /// # Errors
    /// The first one of `other`.
    pub fn try_with_passwords<Q, E>(
        self,
        mut other: impl FnMut(&str, P) -> Result<Q, E>,
    ) -> Result<RouteSpec<Q>, E> {
        let Self { domain, path, service, port, tls, options } = self;
        let users = options.basic_auth.into_iter();
        let basic_auth = users
            .map(|(user, password)| Ok((user.clone(), other(&user, password)?)))
            .collect::<Result<_, E>>()?;
        let options = RouteOptions {
            basic_auth,
            strip_path: options.strip_path,
            redirect_to: options.redirect_to,
            headers: options.headers,
            timeout: options.timeout,
            max_body: options.max_body,
            sticky: options.sticky,
            rate_limit: options.rate_limit,
            allow: options.allow,
            deny: options.deny,
            compress: options.compress,
            protocol: options.protocol,
        };
        Ok(RouteSpec { domain, path, service, port, tls, options })
    }

    /// The same route as it may be shown to anybody.
    #[must_use]
    pub fn hidden(self) -> RouteSpec<Hidden> {
        let hide = |_: &str, _| Ok::<_, std::convert::Infallible>(Hidden);
        match self.try_with_passwords(hide) {
            Ok(route) => route,
            Err(never) => match never {},
        }
    }
}

/// What a route asks for beside being led to its service. The default asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "P: Deserialize<'de>"))]
pub struct RouteOptions<P = Sealed> {
    /// The path of the route is taken away before the request goes on.
    #[serde(skip_serializing_if = "super::container::is_default")]
    pub strip_path: bool,
    /// The request is answered with a redirect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<RedirectSpec>,
    /// Changes of headers.
    #[serde(skip_serializing_if = "super::container::is_default")]
    pub headers: HeaderRules,
    /// Most time from the last byte of the request to the head of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Largest body of a request, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u64>,
    /// How visitors stay with one replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Stickiness>,
    /// Who may come: the password of each user. Empty lets everybody in.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub basic_auth: BTreeMap<String, P>,
    /// Most requests of one visitor on each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RequestRate>,
    /// Addresses that may come. Empty lets all in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<IpNet>,
    /// Addresses that may not come, also if they are in `allow`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<IpNet>,
    /// Answers are compressed for those who take it.
    #[serde(skip_serializing_if = "super::container::is_default")]
    pub compress: bool,
    /// What the service speaks.
    #[serde(skip_serializing_if = "super::container::is_default")]
    pub protocol: RouteProtocol,
}

// Derived, it would ask the same of `P`.
impl<P> Default for RouteOptions<P> {
    fn default() -> Self {
        Self {
            strip_path: false,
            redirect_to: None,
            headers: HeaderRules::default(),
            timeout: None,
            max_body: None,
            sticky: None,
            basic_auth: BTreeMap::new(),
            rate_limit: None,
            allow: Vec::new(),
            deny: Vec::new(),
            compress: false,
            protocol: RouteProtocol::default(),
        }
    }
}

/// Where a request is sent instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedirectSpec {
    /// The new address, or the start of it.
    pub url: String,
    /// Whether browsers may remember it: 308, else 307.
    #[serde(default, skip_serializing_if = "super::container::is_default")]
    pub permanent: bool,
    /// Whether path and query of the request are put behind it.
    #[serde(default, skip_serializing_if = "super::container::is_default")]
    pub keep_path: bool,
}

/// Changes of headers on both ways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderRules {
    /// Of those that the service sees.
    #[serde(skip_serializing_if = "super::container::is_default")]
    pub request: HeaderChanges,
    /// Of those that the visitor sees.
    #[serde(skip_serializing_if = "super::container::is_default")]
    pub response: HeaderChanges,
}

/// Headers that are removed, and then those that are set in place of any of the same name. Names are in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderChanges {
    /// What is set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// What is removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// How a visitor is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stickiness {
    /// By a cookie.
    Cookie,
    /// By the address.
    Ip,
}

/// Most requests of one visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRate {
    /// So many, on average.
    pub requests: u32,
    /// In this time.
    pub per: Span,
    /// So many at once.
    pub burst: u32,
}

impl fmt::Display for RequestRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.requests, self.per)?;
        if self.burst != self.requests {
            write!(f, ", {} at once", self.burst)?;
        }
        Ok(())
    }
}

/// What a service speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteProtocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2 without TLS: gRPC.
    H2c,
}

/// A password in the clear, as a manifest holds it. Shown by nothing but its serialised form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Stands where a password is not shown. Serialised as `•••`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Hidden;

impl From<Hidden> for String {
    fn from(_: Hidden) -> Self {
        "•••".to_owned()
    }
}
impl From<String> for Hidden {
    fn from(_: String) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(options: RouteOptions<Password>) -> RouteSpec<Password> {
        RouteSpec {
            domain: "shop.example".to_owned(),
            path: "/".to_owned(),
            service: "web".parse().unwrap(),
            port: 80,
            tls: TlsMode::Off,
            options,
        }
    }

    #[test]
    fn a_route_without_options_is_written_without_them() {
        let plain = route(RouteOptions::default());
        let text = serde_json::to_string(&plain).unwrap();
        assert_eq!(
            text,
            r#"{"domain":"shop.example","path":"/","service":"web","port":80,"tls":"off"}"#
        );
        assert_eq!(serde_json::from_str::<RouteSpec<Password>>(&text).unwrap(), plain);
    }

    #[test]
    fn passwords_are_not_shown() {
        let basic_auth = BTreeMap::from([("ann".to_owned(), Password("hunter2".to_owned()))]);
        let plain = route(RouteOptions { basic_auth, strip_path: true, ..Default::default() });
        assert!(!format!("{plain:?}").contains("hunter2"));
        let hidden = plain.hidden();
        assert!(hidden.options.strip_path);
        let text = serde_json::to_string(&hidden).unwrap();
        assert!(text.contains(r#""basic_auth":{"ann":"•••"}"#), "{text}");
        assert_eq!(serde_json::from_str::<RouteSpec<Hidden>>(&text).unwrap(), hidden);
    }
}
