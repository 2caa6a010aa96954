//! What the operator and the deployment want of a domain's certificate.

use super::Attempt;

/// Let's Encrypt's production directory.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Let's Encrypt's directory for dry runs, whose limits are generous and whose root nobody trusts.
pub const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// Settings that decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether anything may go out at all.
    pub enabled: bool,
    /// The directory of the CA whose certificates are served.
    pub directory: String,
    /// Where a new domain is tried first, if anywhere.
    pub staging: Option<String>,
}

impl Settings {
    /// Settings for a CA: a dry run comes first where there is a place for it, as there always is at Let's Encrypt,
    /// unless it is not wanted.
    #[must_use]
    pub fn new(enabled: bool, directory: &str, staging: Option<&str>, skip_staging: bool) -> Self {
        let own = (directory == LETS_ENCRYPT).then_some(LETS_ENCRYPT_STAGING);
        let staging = staging.or(own).filter(|_| !skip_staging);
        Self { enabled, directory: directory.to_owned(), staging: staging.map(str::to_owned) }
    }

    /// The directory at which an attempt is made; none for a dry run where there is no place for it.
    #[must_use]
    pub fn directory_of(&self, attempt: Attempt) -> Option<&str> {
        match attempt {
            Attempt::Staging => self.staging.as_deref(),
            Attempt::Promoting | Attempt::Renewing => Some(&self.directory),
        }
    }

    /// How a domain without certificate begins.
    pub(super) fn first(&self) -> Attempt {
        if self.staging.is_some() { Attempt::Staging } else { Attempt::Promoting }
    }
}
