//! What proves to a CA that a domain is ours, as plain data, and how any node answers it.
//!
//! A challenge is replicated before the CA hears that it is there. HTTP-01 is answered by its token
//! alone, whichever CA asks and by whatever name. Reads no clock.

use std::{collections::BTreeMap, time::Duration};

use jaco_api::model::Timestamp;

use crate::{dns::TxtRecord, store::Domain};

/// How long a challenge is answered.
pub const CHALLENGE_LIFE: Duration = Duration::from_secs(10 * 60);
/// Where HTTP-01 is asked.
pub const HTTP01_PREFIX: &str = "/.well-known/acme-challenge/";

/// The ways to prove a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeKind {
    /// A file on port 80.
    Http01,
    /// A certificate on port 443, where port 80 cannot be reached.
    TlsAlpn01,
    /// A TXT record; the only way to a wildcard.
    Dns01,
}

impl ChallengeKind {
    /// Its name in the protocol.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
        }
    }
}

/// One challenge and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Whoever asks for the token over HTTP is told the key authorization.
    Http01 {
        /// The domain that is checked.
        domain: Domain,
        /// The last part of the path.
        token: String,
        /// The answer.
        key_authorization: String,
    },
    /// Whoever speaks `acme-tls/1` for the domain is shown a certificate that carries the digest.
    TlsAlpn01 {
        /// The domain that is checked.
        domain: Domain,
        /// SHA-256 of the key authorization.
        digest: [u8; 32],
    },
    /// Whoever asks for the TXT record is told its value.
    Dns01(TxtRecord),
}

impl Challenge {
    /// Which way it goes.
    #[must_use]
    pub fn kind(&self) -> ChallengeKind {
        match self {
            Self::Http01 { .. } => ChallengeKind::Http01,
            Self::TlsAlpn01 { .. } => ChallengeKind::TlsAlpn01,
            Self::Dns01(_) => ChallengeKind::Dns01,
        }
    }
}

/// The HTTP-01 answers of a cluster: immutable, swapped as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Http01Answers(BTreeMap<String, (String, Timestamp)>);

impl Http01Answers {
    /// From the challenges that are published, and until when each is answered.
    pub fn new<'a>(published: impl IntoIterator<Item = (&'a Challenge, Timestamp)>) -> Self {
        let answers = published.into_iter().filter_map(|(challenge, until)| match challenge {
            Challenge::Http01 { token, key_authorization, .. } => {
                Some((token.clone(), (key_authorization.clone(), until)))
            }
            Challenge::TlsAlpn01 { .. } | Challenge::Dns01(_) => None,
        });
        Self(answers.collect())
    }

    /// The answer to a request for `path`. None is a 404: such a path is never proxied.
    #[must_use]
    pub fn answer(&self, path: &str, now: Timestamp) -> Option<&str> {
        let (answer, until) = self.0.get(path.strip_prefix(HTTP01_PREFIX)?)?;
        (now < *until).then_some(answer)
    }

    /// Whether a path belongs to HTTP-01.
    #[must_use]
    pub fn owns(path: &str) -> bool {
        path.starts_with(HTTP01_PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_whole_and_until_it_expires() {
        let challenge = Challenge::Http01 {
            domain: "a.example".parse().unwrap(),
            token: "tok-1".to_owned(),
            key_authorization: "tok-1.thumb".to_owned(),
        };
        let until = Timestamp(1000).after(CHALLENGE_LIFE);
        let answers = Http01Answers::new([(&challenge, until)]);
        let at = |path: &str, now| answers.answer(path, Timestamp(now));
        assert_eq!(at("/.well-known/acme-challenge/tok-1", 1000), Some("tok-1.thumb"));
        assert_eq!(at("/.well-known/acme-challenge/tok-1", until.0), None, "it is over");
        for path in [
            "",
            "/",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/tok-1/x",
            "/tok-1",
        ] {
            assert_eq!(at(path, 1000), None, "{path}");
        }
        assert!(Http01Answers::owns("/.well-known/acme-challenge/unknown"));
        assert!(!Http01Answers::owns("/.well-known/other"));
    }
}
