//! The keys of `jacod.yaml` about certificates. Pure: the files that they name are read when the node starts.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{ConfigError, values::forwarder};

/// Let's Encrypt's production directory.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// How long a DNS provider may take, all its servers included.
const DNS_TIME: Duration = Duration::from_secs(120);

/// How certificates are obtained while this node leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acme {
    pub(crate) enabled: bool,
    /// The CA's directory.
    pub(crate) ca: String,
    pub(crate) email: Option<String>,
    /// The directory of dry runs; Let's Encrypt's own for Let's Encrypt.
    pub(crate) staging_ca: Option<String>,
    pub(crate) skip_staging: bool,
    /// PEM file with further roots for the CA's own server.
    pub(crate) ca_bundle: Option<PathBuf>,
    pub(crate) challenge: Challenge,
    pub(crate) eab: Option<ExternalAccount>,
    pub(crate) dns: Option<Dns>,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            enabled: true,
            ca: LETS_ENCRYPT.to_owned(),
            email: None,
            staging_ca: None,
            skip_staging: false,
            ca_bundle: None,
            challenge: Challenge::Auto,
            eab: None,
            dns: None,
        }
    }
}

/// How domains are proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Challenge {
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "http-01")]
    Http01,
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    #[serde(rename = "dns-01")]
    Dns01,
}

/// An account elsewhere at the CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalAccount {
    pub(crate) key_id: String,
    /// File with its key, in base64url.
    pub(crate) key_file: PathBuf,
}

/// Where TXT records are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dns {
    /// A program of the operator's.
    Exec { program: PathBuf, timeout: Duration },
    /// A name server that takes updates (RFC 2136).
    Update {
        server: SocketAddr,
        zones: Vec<String>,
        key: Option<UpdateKey>,
        secondaries: Vec<SocketAddr>,
        timeout: Duration,
    },
}

/// The key of a name server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpdateKey {
    pub(crate) name: String,
    pub(crate) algorithm: String,
    /// File with the key, in base64.
    pub(crate) file: PathBuf,
}

/// `acme_eab`, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EabText {
    key_id: Spanned<String>,
    key_file: Spanned<String>,
}

/// `acme_dns`, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DnsText {
    exec: Option<Spanned<String>>,
    server: Option<Spanned<String>>,
    zones: Vec<Spanned<String>>,
    key: Option<KeyText>,
    secondaries: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    name: Spanned<String>,
    algorithm: Option<Spanned<String>>,
    file: Spanned<String>,
}

/// The keys about certificates, as written.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) enabled: Option<bool>,
    pub(super) ca: Option<Spanned<String>>,
    pub(super) email: Option<Spanned<String>>,
    pub(super) staging_ca: Option<Spanned<String>>,
    pub(super) skip_staging: Option<bool>,
    pub(super) ca_bundle: Option<Spanned<String>>,
    pub(super) challenge: Option<Spanned<Challenge>>,
    pub(super) eab: Option<EabText>,
    pub(super) dns: Option<Spanned<DnsText>>,
}

/// Checks what was written.
pub(super) fn read(
    text: Text,
    refuse: impl Fn(&'static str, &Spanned<String>, String) -> ConfigError + Copy,
    misplaced: impl Fn(&'static str, serde_saphyr::Location, &str) -> ConfigError,
) -> Result<Acme, ConfigError> {
    let defaults = Acme::default();
    let dns = match text.dns {
        Some(Spanned { value, referenced, .. }) => {
            Some(dns(value, refuse, |problem| misplaced("acme_dns", referenced, problem))?)
        }
        None => None,
    };
    let challenge = text.challenge.as_ref().map_or(defaults.challenge, |written| written.value);
    if let (Challenge::Dns01, None, Some(written)) = (challenge, &dns, &text.challenge) {
        let problem = "dns-01 needs `acme_dns`, which says where records are published";
        return Err(misplaced("acme_challenge", written.referenced, problem));
    }
    Ok(Acme {
        enabled: text.enabled.unwrap_or(defaults.enabled),
        ca: match text.ca {
            Some(written) => directory("acme_ca", written, refuse)?,
            None => defaults.ca,
        },
        email: match text.email {
            Some(written) => Some(email(written, refuse)?),
            None => None,
        },
        staging_ca: (text.staging_ca)
            .map(|written| directory("acme_staging_ca", written, refuse))
            .transpose()?,
        skip_staging: text.skip_staging.unwrap_or(defaults.skip_staging),
        ca_bundle: text.ca_bundle.map(|p| path("acme_ca_bundle", p, refuse)).transpose()?,
        challenge,
        eab: match text.eab {
            Some(EabText { key_id, key_file }) => {
                let key_file = path("acme_eab", key_file, refuse)?;
                Some(ExternalAccount { key_id: key_id.value, key_file })
            }
            None => None,
        },
        dns,
    })
}

fn dns(
    text: DnsText,
    refuse: impl Fn(&'static str, &Spanned<String>, String) -> ConfigError + Copy,
    misplaced: impl Fn(&str) -> ConfigError,
) -> Result<Dns, ConfigError> {
    match (text.exec, text.server) {
        (Some(program), None) => {
            Ok(Dns::Exec { program: path("acme_dns", program, refuse)?, timeout: DNS_TIME })
        }
        (None, Some(server)) => {
            let address = |written: &Spanned<String>| {
                forwarder(&written.value).map_err(|problem| refuse("acme_dns", written, problem))
            };
            if text.zones.is_empty() {
                return Err(misplaced("needs `zones`, those that may be changed at the server"));
            }
            let key = match text.key {
                Some(KeyText { name, algorithm, file }) => Some(UpdateKey {
                    name: name.value,
                    algorithm: algorithm.map_or_else(|| "hmac-sha256".to_owned(), |a| a.value),
                    file: path("acme_dns", file, refuse)?,
                }),
                None => None,
            };
            Ok(Dns::Update {
                server: address(&server)?,
                zones: text.zones.into_iter().map(|zone| zone.value).collect(),
                key,
                secondaries: text.secondaries.iter().map(address).collect::<Result<_, _>>()?,
                timeout: DNS_TIME,
            })
        }
        _ => Err(misplaced("needs either `exec`, a program, or `server`, a name server")),
    }
}

fn path(
    key: &'static str,
    written: Spanned<String>,
    refuse: impl Fn(&'static str, &Spanned<String>, String) -> ConfigError,
) -> Result<PathBuf, ConfigError> {
    if Path::new(&written.value).is_absolute() {
        return Ok(written.value.into());
    }
    Err(refuse(key, &written, "must be an absolute path".to_owned()))
}

fn directory(
    key: &'static str,
    written: Spanned<String>,
    refuse: impl Fn(&'static str, &Spanned<String>, String) -> ConfigError,
) -> Result<String, ConfigError> {
    let rest = written.value.strip_prefix("https://").unwrap_or_default();
    if rest.is_empty() || rest.starts_with('/') || rest.contains(char::is_whitespace) {
        let problem = "must be the https URL of an ACME directory".to_owned();
        return Err(refuse(key, &written, problem));
    }
    Ok(written.value)
}

fn email(
    written: Spanned<String>,
    refuse: impl Fn(&'static str, &Spanned<String>, String) -> ConfigError,
) -> Result<String, ConfigError> {
    let parts = written.value.split_once('@');
    let good = parts.is_some_and(|(who, at)| {
        let plain = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
        plain(who) && plain(at) && !at.contains('@')
    });
    match good {
        true => Ok(written.value),
        false => Err(refuse("acme_email", &written, "must be an e-mail address".to_owned())),
    }
}
