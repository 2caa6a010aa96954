//! `jaco.v1.Certs`.

use std::sync::Arc;

use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{CertificateSummary, DeploymentName},
    pb::{self, certs_server},
};
use jaco_ingress::Domain;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use super::{
    Api, Membership,
    gate::caller,
    stream::{Answers, answers},
};
use crate::{admission, summary};

/// Certificates of domains.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl certs_server::Certs for Service {
    type ListStream = Answers<pb::CertificateSummary>;

    async fn import(
        &self,
        request: Request<pb::ImportCertRequest>,
    ) -> Result<Response<pb::CertResponse>, Status> {
        let who = caller(&request)?;
        let message = request.into_inner();
        let key = Zeroizing::new(message.key);
        let domain = domain(&message.domain)?;
        let (membership, state) = self.0.state()?;
        let (keyring, now) = (&membership.keyring, self.0.clock.now());
        let given = (&domain, &*message.chain, key.as_str());
        let command = admission::import_certificate(&state, &who, keyring, now, given)?;
        let changed = command.is_some();
        if let Some(command) = command {
            membership.submit(&who, &message.request_id, command).await?;
        }
        let certificate = Some(shown(&membership, &domain)?.into());
        Ok(Response::new(pb::CertResponse { certificate, changed }))
    }

    async fn list(
        &self,
        request: Request<pb::ListCertsRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let deployment = match request.into_inner().deployment.as_str() {
            "" => None,
            name => Some(parse::<DeploymentName>("deployment", name).map_err(ApiError::from)?),
        };
        let (_, state) = self.0.state()?;
        Ok(answers(&self.0, move |reader| {
            Box::pin(async move {
                for row in summary::certificates(&state).into_values() {
                    if deployment.as_ref().is_none_or(|d| row.deployments.contains(d)) {
                        reader.send(row.into()).await?;
                    }
                }
                Ok(())
            })
        }))
    }

    async fn renew(
        &self,
        request: Request<pb::RenewCertRequest>,
    ) -> Result<Response<pb::CertResponse>, Status> {
        let who = caller(&request)?;
        let message = request.into_inner();
        let domain = domain(&message.domain)?;
        let membership = self.0.membership()?;
        let before = membership.state.newest();
        let command = admission::renew_certificate(&who, domain.clone())?;
        membership.submit(&who, &message.request_id, command).await?;
        let newest = membership.state.newest();
        let changed = before.issuances().find(&domain) != newest.issuances().find(&domain);
        let certificate = Some(shown(&membership, &domain)?.into());
        Ok(Response::new(pb::CertResponse { certificate, changed }))
    }

    async fn remove(
        &self,
        request: Request<pb::RemoveCertRequest>,
    ) -> Result<Response<pb::RemoveCertResponse>, Status> {
        let who = caller(&request)?;
        let message = request.into_inner();
        let membership = self.0.membership()?;
        let command = admission::remove_certificate(&who, domain(&message.domain)?)?;
        membership.submit(&who, &message.request_id, command).await?;
        Ok(Response::new(pb::RemoveCertResponse {}))
    }
}

fn domain(text: &str) -> Result<Domain, ApiError> {
    Ok(parse("domain", text)?)
}

/// A certificate as it is after the change that was made.
fn shown(membership: &Membership, domain: &Domain) -> Result<CertificateSummary, ApiError> {
    let state = membership.state.newest();
    summary::certificate(&state, domain.as_str()).ok_or_else(|| {
        let message = format!("the certificate for {domain} was removed at the same time");
        ApiError::new(ErrorCode::Conflict, message)
    })
}
