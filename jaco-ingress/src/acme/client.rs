//! A client of one CA: its directory, its roots, how long we wait for it.
//!
//! In: credentials and requests as plain data. Out: credentials, certificates, wishes, and errors with the
//! CA's own words. Keeps nothing but connections; decides neither what is ordered nor when.

use std::{fmt, sync::Arc, time::Duration};

use instant_acme::{
    Account, AccountCredentials, CertificateIdentifier, ExternalAccountKey, NewAccount,
};
use jaco_api::model::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use zeroize::Zeroizing;

use super::{
    error::AcmeError,
    http::{Heard, Http},
    phase::Window,
};
use crate::tls::provider;

/// How often we go on after a CA that refuses nonces; the library has tried each request three times by then.
pub(super) const FRESH_STARTS: u32 = 10;

/// How long we wait for a CA.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one answer.
    pub answer: Duration,
    /// Until it has checked a domain, and again until it has made a certificate.
    pub work: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { answer: Duration::from_secs(30), work: Duration::from_secs(4 * 60) }
    }
}

/// An account elsewhere at the CA to which ours is bound (EAB).
#[derive(Clone)]
pub struct ExternalAccount {
    /// The key's name at the CA.
    pub key_id: String,
    /// The key, in base64url as CAs hand it out.
    pub hmac_key: Zeroizing<String>,
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A client of one CA.
pub struct AcmeClient {
    directory: String,
    http: Http,
    pub(super) limits: Limits,
}

impl fmt::Debug for AcmeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeClient").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// An account that is spoken for.
pub(super) struct Session {
    pub(super) account: Account,
    pub(super) heard: Heard,
}

impl Session {
    pub(super) fn error(
        &self,
        operation: &'static str,
    ) -> impl FnOnce(instant_acme::Error) -> AcmeError {
        let heard = self.heard.clone();
        move |error| AcmeError::library(operation, error, heard.take())
    }
}

impl AcmeClient {
    /// A client of the CA at `directory`, an `https` URL. It is trusted if its certificate leads to one of
    /// the system's roots or of `extra_roots`, a PEM bundle.
    ///
    /// # Errors
    /// The bundle is none, or there are no roots at all.
    pub fn new(
        directory: &str,
        extra_roots: Option<&str>,
        limits: Limits,
    ) -> Result<Self, AcmeError> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let bundle = |source| AcmeError::Input { what: "the CA bundle", source };
        for root in CertificateDer::pem_slice_iter(extra_roots.unwrap_or_default().as_bytes()) {
            roots.add(root.map_err(|e| bundle(e.into()))?).map_err(|e| bundle(e.into()))?;
        }
        if roots.is_empty() {
            return Err(bundle("it and the system have no root certificate".into()));
        }
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| AcmeError::Input { what: "the TLS provider", source: e.into() })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { directory: directory.to_owned(), http: Http::new(tls, limits.answer), limits })
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// Creates an account and returns its credentials, which are a secret. The terms of the CA are agreed
    /// to: an operator who turns ACME on has done so.
    ///
    /// # Errors
    /// The CA refuses or does not answer, or the key of the external account is not base64url.
    pub async fn register(
        &self,
        email: Option<&str>,
        external: Option<&ExternalAccount>,
    ) -> Result<Zeroizing<String>, AcmeError> {
        let contact = email.map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let external = external.map(external_key).transpose()?;
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        for _ in 0..FRESH_STARTS {
            match self.create(&new, external.as_ref()).await {
                Err(error) if error.is_bad_nonce() => {}
                created => return created,
            }
        }
        self.create(&new, external.as_ref()).await
    }

    async fn create(
        &self,
        new: &NewAccount<'_>,
        external: Option<&ExternalAccountKey>,
    ) -> Result<Zeroizing<String>, AcmeError> {
        let operation = "create an account";
        let (http, heard) = self.http.session();
        let created = Account::builder_with_http(Box::new(http))
            .create(new, self.directory.clone(), external)
            .await;
        let (_, credentials) =
            created.map_err(|e| AcmeError::library(operation, e, heard.take()))?;
        let text = serde_json::to_string(&credentials);
        text.map(Zeroizing::new).map_err(|e| AcmeError::Garbage {
            operation,
            answer: None,
            source: e.into(),
        })
    }

    pub(super) async fn session(&self, credentials: &str) -> Result<Session, AcmeError> {
        let unusable = |source| AcmeError::Input { what: "the account's credentials", source };
        let shown: serde_json::Value =
            serde_json::from_str(credentials).map_err(|e| unusable(e.to_string().into()))?;
        if shown.get("directory").and_then(|d| d.as_str()) != Some(&self.directory) {
            return Err(unusable(format!("they are not for {}", self.directory).into()));
        }
        // Neither error may quote the text: it is the key.
        let credentials: AccountCredentials =
            serde_json::from_str(credentials).map_err(|_| unusable("no credentials".into()))?;
        let (http, heard) = self.http.session();
        let restored =
            Account::builder_with_http(Box::new(http)).from_credentials(credentials).await;
        let account =
            restored.map_err(|e| AcmeError::library("fetch the directory", e, heard.take()))?;
        Ok(Session { account, heard })
    }

    /// When the CA would like the certificate to be renewed, and after how long it is to be asked again;
    /// none if it does not say.
    ///
    /// # Errors
    /// The CA cannot be reached or makes no sense, or the chain is none.
    pub async fn renewal_window(
        &self,
        credentials: &str,
        chain: &str,
    ) -> Result<Option<(Window, Duration)>, AcmeError> {
        let session = self.session(credentials).await?;
        let leaf = CertificateDer::from_pem_slice(chain.as_bytes())
            .map_err(|e| AcmeError::Input { what: "the certificate", source: e.into() })?;
        // A certificate without the identifier of its issuer's key has no name to ask by.
        let Ok(id) = CertificateIdentifier::try_from(&leaf) else { return Ok(None) };
        match session.account.renewal_info(&id).await {
            Ok((info, again)) => {
                let time = |t: std::time::SystemTime| Timestamp::from_system_time(t);
                let window = info.suggested_window;
                Ok(Some((
                    Window { start: time(window.start.into()), end: time(window.end.into()) },
                    again,
                )))
            }
            Err(instant_acme::Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(session.error("ask when to renew")(error)),
        }
    }
}

fn external_key(external: &ExternalAccount) -> Result<ExternalAccountKey, AcmeError> {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
    let key = BASE64_URL_SAFE_NO_PAD
        .decode(external.hmac_key.trim_end_matches('='))
        .map(Zeroizing::new)
        .map_err(|_| AcmeError::Input {
            what: "the key of the external account",
            source: "it is not base64url".into(),
        })?;
    Ok(ExternalAccountKey::new(external.key_id.clone(), &key))
}
