//! The account at a CA: made once, kept sealed in the state.

use std::time::Duration;

use jaco_ingress::{
    Domain,
    acme::{
        AcmeClient,
        phase::{Failure, Window},
    },
};
use zeroize::Zeroizing;

use super::{Desk, local};
use crate::{
    command::{Command, KeepAccount},
    seal,
};

impl Desk {
    /// The address with which a domain's certificate is obtained; empty without one.
    pub(super) fn email(&self, domain: &Domain) -> String {
        let state = self.state.newest();
        let owner = state.routes_of_domain(domain.as_str()).next().map(|(owner, _)| owner.clone());
        let own = owner.and_then(|owner| state.revision_in_force(&owner)?.acme_email.clone());
        own.or_else(|| self.issuer.options.email.clone()).unwrap_or_default()
    }

    /// The credentials of the account with this address; another one is made where there is none.
    pub(super) async fn account(
        &self,
        client: &AcmeClient,
        email: &str,
    ) -> Result<Zeroizing<String>, Failure> {
        if let Some(credentials) = self.credentials(client.directory(), email) {
            return Ok(credentials);
        }
        let options = &self.issuer.options;
        // The dry run's CA knows nothing of accounts elsewhere.
        let external = options.external_account.as_ref();
        let external = external.filter(|_| client.directory() == options.directory);
        let address = Some(email).filter(|email| !email.is_empty());
        let credentials =
            client.register(address, external).await.map_err(|error| error.failure())?;
        let sealed = self.issuer.keyring.seal(seal::ACCOUNT, credentials.as_bytes());
        self.keep_account(client.directory(), email, Some(sealed)).await?;
        Ok(credentials)
    }

    /// When the CA wants a certificate of its own to be renewed, and when to ask again. None when it does not say.
    pub(in crate::control) async fn renewal_window(
        &self,
        domain: &Domain,
        chain: &str,
    ) -> Option<(Window, Duration)> {
        let client = self.issuer.client(&self.issuer.options.directory).ok()?;
        let credentials = self.credentials(client.directory(), &self.email(domain))?;
        match client.renewal_window(&credentials, chain).await {
            Ok(window) => window,
            Err(error) => {
                tracing::debug!(%domain, %error, "the CA does not tell when to renew");
                None
            }
        }
    }

    /// What is kept of an account, if this node can open it.
    fn credentials(&self, directory: &str, email: &str) -> Option<Zeroizing<String>> {
        let state = self.state.newest();
        let sealed = state.acme_account(directory, email)?;
        let plain = self.issuer.keyring.open(seal::ACCOUNT, sealed).ok()?;
        std::str::from_utf8(&plain).ok().map(|text| Zeroizing::new(text.to_owned()))
    }

    /// Keeps the credentials of an account, or forgets them.
    pub(super) async fn keep_account(
        &self,
        directory: &str,
        email: &str,
        credentials: Option<jaco_api::model::Sealed>,
    ) -> Result<(), Failure> {
        let (directory, email) = (directory.to_owned(), email.to_owned());
        let command = Command::KeepAccount(KeepAccount { directory, email, credentials });
        let kept = self.propose.propose(None, command).await;
        kept.map(|_| ()).map_err(|error| local(format!("the account cannot be kept: {error}")))
    }
}
