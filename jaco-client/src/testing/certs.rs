//! Certificates and routes of the fake: a certificate is not looked into, and its key kept nowhere.

use jaco_api::{
    error::{ApiError, ErrorCode},
    pb::*,
};
use tonic::Request;

use super::{
    FakeCluster,
    services::{Answer, Rows, rows},
};

fn absent(domain: &str) -> ApiError {
    let message = format!("nobody has imported a certificate for {domain}");
    ApiError::new(ErrorCode::CertificateNotFound, message)
}

#[tonic::async_trait]
impl certs_server::Certs for FakeCluster {
    type ListStream = Rows<CertificateSummary>;

    async fn import(&self, r: Request<ImportCertRequest>) -> Answer<CertResponse> {
        let ImportCertRequest { domain, chain, key, .. } = r.get_ref().clone();
        let call = format!("import {domain} {} {}", chain.len(), key.len());
        self.answer(&r, call, |t| {
            let changed = !t.certificates.contains_key(&domain);
            let row = t.certificates.entry(domain.clone()).or_insert_with(|| CertificateSummary {
                domain: domain.clone(),
                phase: CertificatePhase::Imported.into(),
                certificate: Some(ServedCertificate {
                    source: CertificateSource::Imported.into(),
                    names: vec![domain],
                    issuer: "CN=Example CA".into(),
                    not_before: 0,
                    not_after: 90 * 86_400_000,
                    fingerprint: "ab".repeat(32),
                }),
                ..CertificateSummary::default()
            });
            Ok(CertResponse { certificate: Some(row.clone()), changed })
        })
    }
    async fn list(&self, r: Request<ListCertsRequest>) -> Answer<Self::ListStream> {
        let deployment = r.get_ref().deployment.clone();
        self.answer(&r, "certs".into(), |t| {
            let uses = |c: &&CertificateSummary| {
                deployment.is_empty() || c.deployments.contains(&deployment)
            };
            Ok(rows(t.certificates.values().filter(uses).cloned().collect()))
        })
    }
    async fn renew(&self, r: Request<RenewCertRequest>) -> Answer<CertResponse> {
        let domain = r.get_ref().domain.clone();
        self.answer(&r, format!("renew {domain}"), |t| {
            let row = t.certificates.get_mut(&domain).ok_or_else(|| absent(&domain))?;
            let renewing = CertificatePhase::Renewing.into();
            let changed = std::mem::replace(&mut row.phase, renewing) != renewing;
            Ok(CertResponse { certificate: Some(row.clone()), changed })
        })
    }
    async fn remove(&self, r: Request<RemoveCertRequest>) -> Answer<RemoveCertResponse> {
        let domain = r.get_ref().domain.clone();
        self.answer(&r, format!("remove {domain}"), |t| {
            t.certificates.remove(&domain).ok_or_else(|| absent(&domain))?;
            Ok(RemoveCertResponse {})
        })
    }
}

#[tonic::async_trait]
impl routes_server::Routes for FakeCluster {
    type InspectStream = Rows<RouteReport>;

    async fn inspect(&self, r: Request<InspectRouteRequest>) -> Answer<Self::InspectStream> {
        let domain = r.get_ref().domain.clone();
        self.answer(&r, format!("route {domain}"), |t| {
            let stored = t.deployments.values().flat_map(|d| {
                let of_domain = d.routes.iter().filter(|route| route.domain == domain);
                of_domain.map(|route| StoredRoute {
                    deployment: d.name.to_string(),
                    route: Some(route.clone().into()),
                })
            });
            let routes: Vec<_> = stored.collect();
            if routes.is_empty() {
                let message = format!("no route has domain {domain}");
                return Err(ApiError::new(ErrorCode::RouteNotFound, message));
            }
            let certificate = t.certificates.get(&domain).cloned();
            let stored = StoredRoutes { domain, routes, certificate };
            let report = |message| RouteReport { message: Some(message) };
            let nodes = t.served.iter().cloned().map(route_report::Message::Node);
            let all = std::iter::once(route_report::Message::Stored(stored)).chain(nodes);
            Ok(rows(all.map(report).collect()))
        })
    }
}
