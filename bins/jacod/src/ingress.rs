//! How this node serves visitors and obtains certificates, from its configuration and the files that it names.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jaco_engine::{control::AcmeOptions, node::IngressOptions};
use jaco_ingress::{
    CertStoreError, DnsProvider, Limits, SealedCertStore,
    acme::{ExternalAccount, challenge::ChallengeKind},
    dns::{ExecDns, Rfc2136Dns, Rfc2136Error, Rfc2136Settings, TsigKey},
};

use crate::config::{
    Config,
    acme::{Challenge, Dns, UpdateKey},
};

/// Why the configuration of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngressError {
    #[error("`{key}` in jacod.yaml: {} cannot be read", path.display())]
    File {
        key: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`acme_dns` in jacod.yaml: {} does not hold a key in base64", path.display())]
    NoKey { path: PathBuf },
    #[error("`acme_dns` in jacod.yaml")]
    Dns(#[source] Rfc2136Error),
    #[error("certificates cannot be kept on this node")]
    Cache(#[source] CertStoreError),
}

/// How visitors are served; not at all without an address.
pub(crate) fn options(config: &Config) -> Option<IngressOptions> {
    let mut limits = Limits::default();
    limits.trusted_proxies.clone_from(&config.trusted_proxies);
    let (http, https) = (config.http_addr, config.https_addr);
    (http.is_some() || https.is_some()).then_some(IngressOptions { http, https, limits })
}

/// How certificates are obtained while this node leads.
pub(crate) fn acme(config: &Config) -> Result<AcmeOptions, IngressError> {
    let acme = &config.acme;
    let external_account = match &acme.eab {
        Some(eab) => Some(ExternalAccount {
            key_id: eab.key_id.clone(),
            hmac_key: read("acme_eab", &eab.key_file)?.trim().to_owned().into(),
        }),
        None => None,
    };
    let extra_roots = acme.ca_bundle.as_deref().map(|path| read("acme_ca_bundle", path));
    Ok(AcmeOptions {
        enabled: acme.enabled,
        directory: acme.ca.clone(),
        email: acme.email.clone(),
        staging: acme.staging_ca.clone(),
        skip_staging: acme.skip_staging,
        extra_roots: extra_roots.transpose()?,
        external_account,
        challenge: match acme.challenge {
            Challenge::Auto => None,
            Challenge::Http01 => Some(ChallengeKind::Http01),
            Challenge::TlsAlpn01 => Some(ChallengeKind::TlsAlpn01),
            Challenge::Dns01 => Some(ChallengeKind::Dns01),
        },
        dns: acme.dns.as_ref().map(provider).transpose()?,
        ..AcmeOptions::default()
    })
}

/// Certificates that outlive the cluster's state.
pub(crate) fn cache(config: &Config) -> Result<SealedCertStore, IngressError> {
    let cache = config.data_dir.join("cache");
    SealedCertStore::open_with_key_file(cache.join("certificates"), cache.join("certificates.key"))
        .map_err(IngressError::Cache)
}

fn provider(dns: &Dns) -> Result<Arc<dyn DnsProvider>, IngressError> {
    Ok(match dns {
        Dns::Exec { program, timeout } => Arc::new(ExecDns::new(program, *timeout)),
        Dns::Update { server, zones, key, secondaries, timeout } => {
            let settings = Rfc2136Settings {
                server: *server,
                zones: zones.clone(),
                key: key.as_ref().map(tsig).transpose()?,
                secondaries: secondaries.clone(),
                timeout: *timeout,
            };
            Arc::new(Rfc2136Dns::new(settings).map_err(IngressError::Dns)?)
        }
    })
}

fn tsig(key: &UpdateKey) -> Result<TsigKey, IngressError> {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let text = read("acme_dns", &key.file)?;
    let secret = BASE64_STANDARD
        .decode(text.trim())
        .map_err(|_| IngressError::NoKey { path: key.file.clone() })?;
    Ok(TsigKey { name: key.name.clone(), algorithm: key.algorithm.clone(), secret: secret.into() })
}

fn read(key: &'static str, path: &Path) -> Result<String, IngressError> {
    let file = |source| IngressError::File { key, path: path.to_owned(), source };
    fs::read_to_string(path).map_err(file)
}
