//! Certificates of domains.

use futures::TryStreamExt as _;
use jaco_api::{
    model::{CertificateSummary, DeploymentName},
    pb,
};
use serde::Serialize;
use tonic::transport::Channel;

use crate::{Client, Error, call::request_id, retry::Repeat};

/// A certificate of one's own that every node is to serve.
#[derive(Clone, PartialEq, Eq)]
pub struct ImportCert {
    /// The domain, or a wildcard such as `*.example.com`.
    pub domain: String,
    /// The certificate and what leads to its root, as PEM, leaf first.
    pub chain: String,
    /// Its private key as PEM, unencrypted. The cluster seals it and never tells it again.
    pub key: String,
}

impl std::fmt::Debug for ImportCert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportCert").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// A certificate after something was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertChanged {
    /// How it is now.
    #[serde(flatten)]
    pub certificate: CertificateSummary,
    /// False when it was like that already.
    pub changed: bool,
}

impl TryFrom<pb::CertResponse> for CertChanged {
    type Error = Error;
    fn try_from(answer: pb::CertResponse) -> Result<Self, Error> {
        let certificate =
            answer.certificate.ok_or_else(|| Error::answer("a certificate without its row"))?;
        let certificate = certificate.try_into().map_err(Error::answer)?;
        Ok(Self { certificate, changed: answer.changed })
    }
}

fn service(channel: Channel) -> pb::certs_client::CertsClient<Channel> {
    pb::certs_client::CertsClient::new(channel)
}

impl Client {
    /// Every domain that has a certificate, is to have one, or has one named that nobody imported; by domain. With a
    /// deployment, only those that its routes use.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn certs(
        &self,
        deployment: Option<&DeploymentName>,
    ) -> Result<Vec<CertificateSummary>, Error> {
        let deployment = deployment.map(ToString::to_string).unwrap_or_default();
        let request = pb::ListCertsRequest { deployment };
        let rows = self
            .call(Repeat::Harmless, &request, |c, r| async move { service(c).list(r).await })
            .await?;
        rows.map_err(Error::from)
            .and_then(async |row| row.try_into().map_err(Error::answer))
            .try_collect()
            .await
    }

    /// Serves a certificate of one's own for a domain on every node.
    ///
    /// # Errors
    /// `validation_failed` when it cannot be served for the domain, with what to do about it; `permission_denied`.
    pub async fn import_cert(&self, cert: &ImportCert) -> Result<CertChanged, Error> {
        let request = pb::ImportCertRequest {
            domain: cert.domain.clone(),
            chain: cert.chain.clone(),
            key: cert.key.clone(),
            request_id: request_id(),
        };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).import(r).await })
            .await?
            .try_into()
    }

    /// Has the next attempt at a domain's certificate made now. Nothing changes while one is being made.
    ///
    /// # Errors
    /// `certificate_not_found` when none is obtained for the domain, `conflict` when it was imported.
    pub async fn renew_cert(&self, domain: &str) -> Result<CertChanged, Error> {
        let request = pb::RenewCertRequest { domain: domain.to_owned(), request_id: request_id() };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).renew(r).await })
            .await?
            .try_into()
    }

    /// Ends a certificate of one's own that no route names.
    ///
    /// # Errors
    /// `certificate_not_found`, or `conflict` with the deployments that use it.
    pub async fn remove_cert(&self, domain: &str) -> Result<(), Error> {
        let request = pb::RemoveCertRequest { domain: domain.to_owned(), request_id: request_id() };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).remove(r).await })
            .await
            .map(drop)
    }
}
