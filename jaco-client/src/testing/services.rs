//! The services of the fake.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream, stream::BoxStream};
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{DeploymentName, Timestamp},
    pb::*,
};
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};

use super::{FakeCluster, Tables, streams::unread};

pub(super) type Answer<T> = Result<Response<T>, Status>;
pub(super) type Rows<T> = BoxStream<'static, Result<T, Status>>;

impl FakeCluster {
    /// Notes the call and answers it from the tables, unless a refusal is due.
    pub(super) fn answer<Req, T>(
        &self,
        request: &Request<Req>,
        call: String,
        from: impl FnOnce(&mut Tables) -> Result<T, ApiError>,
    ) -> Answer<T> {
        let header = request.metadata().get("authorization");
        let header = header.and_then(|v| v.to_str().ok()).map(str::to_owned);
        self.edit(|t| {
            t.calls.push(call);
            t.authorizations.push(header);
            match t.refusals.pop_front() {
                Some(error) => Err(error),
                None => from(t),
            }
        })
        .map(Response::new)
        .map_err(Status::from)
    }

    /// What changed since `seen`, as one round.
    fn round(&self, query: &StatusRequest, seen: &mut Seen) -> Option<StatusBatch> {
        self.read(|t| {
            let wanted =
                |d: &DeploymentName| query.deployment.is_empty() || *d == *query.deployment;
            let deployments: BTreeMap<String, DeploymentStatus> = t
                .deployments
                .values()
                .filter(|d| wanted(&d.name))
                .map(|d| (d.name.to_string(), d.clone().into()))
                .collect();
            let replicas: BTreeMap<String, ReplicaStatus> = t
                .replicas
                .values()
                .filter(|r| wanted(&r.id.deployment))
                .filter(|r| query.service.is_empty() || r.id.service == *query.service)
                .map(|r| (r.id.to_string(), r.clone().into()))
                .collect();
            let uses = |c: &&CertificateSummary| {
                query.deployment.is_empty() || c.deployments.contains(&query.deployment)
            };
            let certificates: BTreeMap<String, CertificateSummary> = t
                .certificates
                .values()
                .filter(uses)
                .map(|c| (c.domain.clone(), c.clone()))
                .collect();
            let batch = StatusBatch {
                deployments: changed(&seen.deployments, &deployments),
                replicas: changed(&seen.replicas, &replicas),
                removed_deployments: gone(&seen.deployments, &deployments),
                removed_replicas: gone(&seen.replicas, &replicas),
                certificates: changed(&seen.certificates, &certificates),
                removed_certificates: gone(&seen.certificates, &certificates),
                synced: true,
                index: t.cluster.applied_index,
                stale: false,
            };
            let news = batch.deployments.len()
                + batch.replicas.len()
                + batch.removed_deployments.len()
                + batch.removed_replicas.len()
                + batch.certificates.len()
                + batch.removed_certificates.len();
            let first = !std::mem::replace(&mut seen.any, true);
            (seen.deployments, seen.replicas) = (deployments, replicas);
            seen.certificates = certificates;
            (first || news > 0).then_some(batch)
        })
    }
}

#[derive(Default)]
struct Seen {
    any: bool,
    deployments: BTreeMap<String, DeploymentStatus>,
    replicas: BTreeMap<String, ReplicaStatus>,
    certificates: BTreeMap<String, CertificateSummary>,
}

fn changed<T: Clone + PartialEq>(old: &BTreeMap<String, T>, new: &BTreeMap<String, T>) -> Vec<T> {
    new.iter().filter(|(k, v)| old.get(*k) != Some(v)).map(|(_, v)| v.clone()).collect()
}

fn gone<T>(old: &BTreeMap<String, T>, new: &BTreeMap<String, T>) -> Vec<String> {
    old.keys().filter(|k| !new.contains_key(*k)).cloned().collect()
}

pub(super) fn rows<T: Send + 'static>(rows: Vec<T>) -> Rows<T> {
    stream::iter(rows).map(Ok).boxed()
}

pub(super) fn missing(code: ErrorCode, what: &str) -> ApiError {
    ApiError::new(code, format!("there is no {what}"))
}

fn deployment<'a>(
    t: &'a mut Tables,
    name: &str,
) -> Result<&'a mut jaco_api::model::DeploymentStatus, ApiError> {
    t.deployments
        .values_mut()
        .find(|d| d.name == *name)
        .ok_or_else(|| missing(ErrorCode::DeploymentNotFound, &format!("deployment {name}")))
}

/// The next revision, as every change makes it.
fn bump(t: &mut Tables, name: &str) -> Result<ChangeResponse, ApiError> {
    let deployment = deployment(t, name)?;
    deployment.revision += 1;
    Ok(ChangeResponse { revision: deployment.revision, changed: true })
}

#[tonic::async_trait]
impl deploy_server::Deploy for FakeCluster {
    async fn apply(&self, r: Request<ApplyRequest>) -> Answer<ApplyResponse> {
        let request = r.get_ref().clone();
        self.answer(&r, format!("apply {}", request.request_id), |t| {
            // The fake reads no manifest: it takes the first word after `deployment:`.
            let name = request.jaco.split("deployment:").nth(1).unwrap_or_default();
            let name = name.split_whitespace().next().unwrap_or_default().to_owned();
            let known = deployment(t, &name).map(|d| d.revision).unwrap_or_default();
            let response = ApplyResponse {
                deployment: name.clone(),
                revision: known,
                changed: true,
                differences: t.differences.clone(),
                warnings: Vec::new(),
            };
            if request.dry_run {
                return Ok(response);
            }
            Ok(ApplyResponse {
                revision: if known == 0 { 1 } else { bump(t, &name)?.revision },
                ..response
            })
        })
    }
    async fn rollback(&self, r: Request<RollbackRequest>) -> Answer<RollbackResponse> {
        let request = r.get_ref().clone();
        self.answer(&r, format!("rollback {} {}", request.deployment, request.to), |t| {
            let deployment = deployment(t, &request.deployment)?;
            let restored = if request.to == 0 { deployment.revision - 1 } else { request.to };
            deployment.revision += 1;
            Ok(RollbackResponse { restored, revision: deployment.revision })
        })
    }
    async fn delete(&self, r: Request<DeleteRequest>) -> Answer<DeleteResponse> {
        let request = r.get_ref().clone();
        self.answer(&r, format!("delete {} {}", request.deployment, request.volumes), |t| {
            deployment(t, &request.deployment)?.state = jaco_api::model::DeploymentState::Deleting;
            Ok(DeleteResponse { volumes: vec![format!("jaco_{}_data", request.deployment)] })
        })
    }
    async fn scale(&self, r: Request<ScaleRequest>) -> Answer<ChangeResponse> {
        let request = r.get_ref().clone();
        self.answer(&r, format!("scale {} {:?}", request.deployment, request.replicas), |t| {
            bump(t, &request.deployment)
        })
    }
    async fn restart(&self, r: Request<RestartRequest>) -> Answer<ChangeResponse> {
        let request = r.get_ref().clone();
        self.answer(&r, format!("restart {} {:?}", request.deployment, request.services), |t| {
            bump(t, &request.deployment)
        })
    }
    async fn stop(&self, r: Request<StopRequest>) -> Answer<ChangeResponse> {
        let name = r.get_ref().deployment.clone();
        self.answer(&r, format!("stop {name}"), |t| {
            let deployment = deployment(t, &name)?;
            let changed = deployment.state != jaco_api::model::DeploymentState::Stopped;
            deployment.state = jaco_api::model::DeploymentState::Stopped;
            Ok(ChangeResponse { revision: deployment.revision, changed })
        })
    }
    async fn start(&self, r: Request<StartRequest>) -> Answer<ChangeResponse> {
        let name = r.get_ref().deployment.clone();
        self.answer(&r, format!("start {name}"), |t| {
            let revision = deployment(t, &name)?.revision;
            Ok(ChangeResponse { revision, changed: true })
        })
    }
    async fn get(&self, r: Request<GetDeploymentRequest>) -> Answer<GetDeploymentResponse> {
        let request = r.get_ref().clone();
        self.answer(&r, format!("get {} {}", request.deployment, request.revision), |t| {
            let status = deployment(t, &request.deployment)?.clone();
            Ok(GetDeploymentResponse {
                revision: if request.revision == 0 { status.revision } else { request.revision },
                document: t.documents.get(&status.name).cloned().unwrap_or_default(),
                status: Some(status.into()),
            })
        })
    }
    async fn history(&self, r: Request<HistoryRequest>) -> Answer<HistoryResponse> {
        let name = r.get_ref().deployment.clone();
        self.answer(&r, format!("history {name}"), |t| {
            let name = deployment(t, &name)?.name.clone();
            Ok(HistoryResponse { revisions: t.history.get(&name).cloned().unwrap_or_default() })
        })
    }
}

#[tonic::async_trait]
impl watch_server::Watch for FakeCluster {
    type StatusStream = Rows<StatusBatch>;
    type EventsStream = Rows<ReplicaEvent>;
    type UsageStream = Rows<UsageReport>;

    async fn status(&self, r: Request<StatusRequest>) -> Answer<Self::StatusStream> {
        let query = r.get_ref().clone();
        let cut = self.answer(&r, format!("status {}", query.deployment), |t| {
            if !query.deployment.is_empty() {
                deployment(t, &query.deployment)?;
            }
            Ok(t.cut)
        })?;
        let cut = cut.into_inner();
        let fake = self.clone();
        let mut seen = Seen::default();
        if !query.follow {
            let first = fake.round(&query, &mut seen).into_iter().collect();
            return Ok(Response::new(rows(first)));
        }
        let wakes = WatchStream::new(self.version.subscribe());
        let live = {
            let fake = fake.clone();
            wakes.take_while(move |_| std::future::ready(fake.read(|t| t.cut == cut)))
        };
        let batches = live
            .filter_map(move |_| std::future::ready(fake.round(&query, &mut seen)))
            .map(Ok)
            .boxed();
        Ok(Response::new(batches))
    }
    async fn events(&self, r: Request<EventsRequest>) -> Answer<Self::EventsStream> {
        let EventsRequest { follow, after, .. } = *r.get_ref();
        let fresh = move |t: &Tables, read: &ReplicaEvent| {
            let after = after.max(read.sequence);
            let new = t.events.iter().filter(move |e| e.sequence > after);
            new.cloned().map(Into::into).collect()
        };
        self.answer(&r, "events".into(), |_| Ok(()))?;
        Ok(self.following(follow, fresh))
    }
    async fn usage(&self, r: Request<UsageRequest>) -> Answer<Self::UsageStream> {
        let interval = r.get_ref().interval;
        self.answer(&r, format!("usage {interval}"), |t| Ok(rows(t.usage.clone())))
    }
    async fn replica(&self, r: Request<ReplicaRequest>) -> Answer<ReplicaStatus> {
        let id = r.get_ref().id.clone();
        self.answer(&r, format!("replica {id}"), |t| {
            t.replicas
                .values()
                .find(|row| row.id.to_string() == id)
                .cloned()
                .map(Into::into)
                .ok_or_else(|| missing(ErrorCode::ReplicaNotFound, &format!("replica {id}")))
        })
    }
}

#[tonic::async_trait]
impl logs_server::Logs for FakeCluster {
    type StreamStream = Rows<LogBatch>;
    async fn stream(&self, r: Request<LogsRequest>) -> Answer<Self::StreamStream> {
        let q = r.get_ref().clone();
        let call =
            format!("logs {}/{} {} {} {:?}", q.deployment, q.service, q.replica, q.since, q.tail);
        self.answer(&r, call, |_| Ok(()))?;
        let (mut told, mut read) = (0, q.after);
        let fresh = move |t: &Tables, _: &LogBatch| {
            let new = t.logs.iter().skip(told).map(|batch| unread(batch, &mut read)).collect();
            told = t.logs.len();
            new
        };
        Ok(self.following(r.get_ref().follow, fresh))
    }
}

#[tonic::async_trait]
impl token_server::Token for FakeCluster {
    async fn issue(&self, r: Request<IssueTokenRequest>) -> Answer<IssueTokenResponse> {
        let request = r.get_ref().clone();
        self.answer(&r, format!("issue {}", request.identity), |t| {
            let taken = t.tokens.iter().any(|x| x.identity == *request.identity);
            if taken && !request.rotate {
                return Err(ApiError::new(ErrorCode::Conflict, "this identity has a token"));
            }
            let token = OperatorToken {
                identity: request.identity.clone(),
                role: request.role,
                deployments: request.deployments.clone(),
                allow_privileged: request.allow_privileged,
                issued_at: 0,
                expires_at: (request.ttl > 0).then_some(request.ttl),
                revoked_at: None,
            };
            t.tokens.retain(|x| x.identity != *request.identity);
            t.tokens.push(token.clone().try_into()?);
            Ok(IssueTokenResponse { token: "ef".repeat(32), issued: Some(token) })
        })
    }
    async fn revoke(&self, r: Request<RevokeTokenRequest>) -> Answer<RevokeTokenResponse> {
        let name = r.get_ref().identity.clone();
        self.answer(&r, format!("revoke {name}"), |t| {
            let token = t.tokens.iter_mut().find(|x| x.identity == *name);
            let token = token.ok_or_else(|| missing(ErrorCode::TokenInvalid, "such token"))?;
            token.revoked_at = Some(Timestamp(1));
            Ok(RevokeTokenResponse {})
        })
    }
    async fn list(&self, r: Request<ListTokensRequest>) -> Answer<ListTokensResponse> {
        self.answer(&r, "tokens".into(), |t| {
            Ok(ListTokensResponse { tokens: t.tokens.iter().cloned().map(Into::into).collect() })
        })
    }
}

#[tonic::async_trait]
impl audit_server::Audit for FakeCluster {
    type StreamStream = Rows<AuditEvent>;
    async fn stream(&self, r: Request<AuditRequest>) -> Answer<Self::StreamStream> {
        let q = r.get_ref().clone();
        self.answer(&r, format!("audit {:?} {}", q.types, q.identity), |_| Ok(()))?;
        let follow = q.follow;
        let fresh = move |t: &Tables, read: &AuditEvent| {
            let after = q.after.max(read.sequence);
            let wanted = t.audit.iter().filter(|e| {
                e.sequence > after
                    && (q.types.is_empty() || q.types.iter().any(|k| k == e.kind.as_str()))
            });
            wanted.cloned().map(Into::into).collect()
        };
        Ok(self.following(follow, fresh))
    }
}
