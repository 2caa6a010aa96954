//! What a route asks for, in the words of the ingress, with its passwords opened.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use jaco_api::model::{
    HeaderChanges, RedirectSpec, RequestRate, RouteOptions as Wanted, RouteProtocol, Sealed,
    Stickiness,
};
use jaco_ingress::route::{
    Credential, HeaderEdits, RateLimit, Redirect, RouteOptions, Sticky, UpstreamProtocol,
};
use zeroize::Zeroizing;

use crate::seal::{self, Keyring};

/// The passwords of routes, opened once, in memory only.
pub(crate) struct Passwords {
    keyring: Keyring,
    opened: BTreeMap<Sealed, Zeroizing<String>>,
    used: BTreeMap<Sealed, Zeroizing<String>>,
    closed: bool,
}

impl Passwords {
    pub(crate) fn new(keyring: Keyring) -> Self {
        let (opened, used) = (BTreeMap::new(), BTreeMap::new());
        Self { keyring, opened, used, closed: false }
    }

    /// Begins a picture: what it does not ask for is forgotten with the next one.
    pub(crate) fn begin(&mut self) {
        self.opened = std::mem::take(&mut self.used);
        self.closed = false;
    }

    /// Whether one of the last picture could not be opened. A data key may be on its way.
    pub(crate) fn lack_a_key(&self) -> bool {
        self.closed
    }

    /// The credential of a user, unless it cannot be opened.
    fn credential(&mut self, user: &str, sealed: &Sealed) -> Option<Credential> {
        let known = self.used.get(sealed).or_else(|| self.opened.get(sealed)).cloned();
        let Some(password) = known.or_else(|| self.open(sealed)) else {
            self.closed = true;
            return None;
        };
        self.used.insert(sealed.clone(), password.clone());
        Some(Credential { user: user.to_owned(), password })
    }

    fn open(&self, sealed: &Sealed) -> Option<Zeroizing<String>> {
        let plain = self.keyring.open(seal::ROUTE_PASSWORD, sealed).ok()?;
        std::str::from_utf8(&plain).ok().map(|text| Zeroizing::new(text.to_owned()))
    }
}

/// What the ingress is told of a route. Whose password cannot be opened is not let in, and where nobody's can,
/// nobody is.
pub(super) fn options(wanted: &Wanted, passwords: &mut Passwords) -> RouteOptions {
    let users = &wanted.basic_auth;
    let credentials =
        || users.iter().filter_map(|(user, sealed)| passwords.credential(user, sealed)).collect();
    RouteOptions {
        basic_auth: (!users.is_empty()).then(credentials),
        strip_path: wanted.strip_path,
        redirect: wanted.redirect_to.as_ref().map(redirect),
        request_headers: edits(&wanted.headers.request),
        response_headers: edits(&wanted.headers.response),
        timeout: wanted.timeout.map(|span| span.to_std()),
        max_body: wanted.max_body,
        sticky: wanted.sticky.map(|by| match by {
            Stickiness::Cookie => Sticky::Cookie,
            Stickiness::Ip => Sticky::Address,
        }),
        rate_limit: wanted.rate_limit.map(rate),
        allow: wanted.allow.clone(),
        deny: wanted.deny.clone(),
        compress: wanted.compress,
        protocol: match wanted.protocol {
            RouteProtocol::Http => UpstreamProtocol::Http1,
            RouteProtocol::H2c => UpstreamProtocol::H2c,
        },
    }
}

fn redirect(to: &RedirectSpec) -> Redirect {
    Redirect { to: to.url.clone(), permanent: to.permanent, keep_path: to.keep_path }
}

fn rate(RequestRate { requests, per, burst }: RequestRate) -> RateLimit {
    RateLimit { requests, per: per.to_std(), burst }
}

/// The manifest was checked: what is no header after all is left out.
fn edits(changes: &HeaderChanges) -> HeaderEdits {
    let header = |(name, value): (&String, &String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    HeaderEdits {
        set: changes.set.iter().filter_map(header).collect(),
        remove: changes.remove.iter().filter_map(|name| name.try_into().ok()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jaco_api::model::{HeaderRules, Span};

    use super::*;

    fn asking(keyring: &Keyring, users: &[&str]) -> Wanted {
        let sealed = |user: &&str| {
            ((*user).to_owned(), keyring.seal(seal::ROUTE_PASSWORD, format!("{user}1").as_bytes()))
        };
        Wanted { basic_auth: users.iter().map(sealed).collect(), ..Wanted::default() }
    }

    fn users(options: &RouteOptions) -> Option<Vec<(&str, &str)>> {
        let all = options.basic_auth.as_ref()?.iter();
        Some(all.map(|c| (c.user.as_str(), c.password.as_str())).collect())
    }

    #[test]
    fn every_option_reaches_the_ingress() {
        let changes = HeaderChanges {
            set: [("x-a".to_owned(), "1".to_owned())].into(),
            remove: vec!["server".to_owned()],
        };
        let url = "https://b.example".to_owned();
        let wanted = Wanted {
            strip_path: true,
            redirect_to: Some(RedirectSpec { url, permanent: true, keep_path: true }),
            headers: HeaderRules { request: changes.clone(), response: changes },
            timeout: Some(Span::secs(5)),
            max_body: Some(10),
            sticky: Some(Stickiness::Ip),
            rate_limit: Some(RequestRate { requests: 6, per: Span::secs(60), burst: 2 }),
            allow: vec!["10.0.0.0/8".parse().unwrap()],
            deny: vec!["10.1.0.0/16".parse().unwrap()],
            compress: true,
            protocol: RouteProtocol::H2c,
            ..Wanted::default()
        };
        let found = options(&wanted, &mut Passwords::new(Keyring::ephemeral()));
        let edits = HeaderEdits {
            set: vec![(HeaderName::from_static("x-a"), HeaderValue::from_static("1"))],
            remove: vec![HeaderName::from_static("server")],
        };
        let to = "https://b.example".to_owned();
        let expected = RouteOptions {
            strip_path: true,
            redirect: Some(Redirect { to, permanent: true, keep_path: true }),
            request_headers: edits.clone(),
            response_headers: edits,
            timeout: Some(Duration::from_secs(5)),
            max_body: Some(10),
            sticky: Some(Sticky::Address),
            basic_auth: None,
            rate_limit: Some(RateLimit { requests: 6, per: Duration::from_secs(60), burst: 2 }),
            allow: wanted.allow.clone(),
            deny: wanted.deny.clone(),
            compress: true,
            protocol: UpstreamProtocol::H2c,
        };
        assert_eq!(found, expected);
        let nothing = options(&Wanted::default(), &mut Passwords::new(Keyring::ephemeral()));
        assert_eq!(nothing, RouteOptions::default());
    }

    #[test]
    fn a_password_that_does_not_open_lets_nobody_in_until_it_does() {
        let (cluster, node) = (Keyring::ephemeral(), Keyring::ephemeral());
        let mut passwords = Passwords::new(cluster.clone());
        let wanted = asking(&cluster, &["ann", "bob"]);
        let both = vec![("ann", "ann1"), ("bob", "bob1")];
        for _ in 0..3 {
            passwords.begin();
            assert_eq!(users(&options(&wanted, &mut passwords)), Some(both.clone()));
            assert!(!passwords.lack_a_key());
        }
        assert_eq!(passwords.used.len(), 2);
        let mut without = Passwords::new(node);
        without.begin();
        let found = options(&wanted, &mut without);
        assert_eq!(users(&found), Some(Vec::new()), "asked for, and nobody has one");
        assert!(without.lack_a_key());
        cluster.rotate().unwrap();
        let late = Wanted {
            basic_auth: [("ann".to_owned(), cluster.seal(seal::ROUTE_PASSWORD, b"ann2"))].into(),
            ..Wanted::default()
        };
        let member = Keyring::ephemeral();
        let mut early = Passwords::new(member.clone());
        assert_eq!(users(&options(&late, &mut early)), Some(Vec::new()));
        member.import(cluster.export().into_iter().filter(|key| key.id == 2)).unwrap();
        early.begin();
        assert_eq!(users(&options(&late, &mut early)), Some(vec![("ann", "ann2")]));
        assert!(!early.lack_a_key());
    }
}
