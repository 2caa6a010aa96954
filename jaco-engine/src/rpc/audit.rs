//! `jaco.v1.Audit`.

use std::{collections::BTreeSet, sync::Arc};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{AuditEvent, AuditKind},
    pb::{self, audit_server},
};
use tonic::{Request, Response, Status};

use super::{
    Api,
    stream::{Answers, Gone, Reader, answers},
};
use crate::watch::StateWatch;

/// The audit log.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl audit_server::Audit for Service {
    type StreamStream = Answers<pb::AuditEvent>;

    async fn stream(
        &self,
        request: Request<pb::AuditRequest>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let wanted = Wanted::parse(request.into_inner())?;
        let watch = self.0.membership()?.state.subscribe();
        Ok(answers(&self.0, move |reader| Box::pin(run(watch, wanted, reader))))
    }
}

async fn run(
    mut watch: StateWatch,
    wanted: Wanted,
    reader: Reader<pb::AuditEvent>,
) -> Result<(), Gone> {
    let mut last = wanted.after;
    loop {
        let state = watch.newest();
        for event in state.audit_after(last) {
            last = event.sequence;
            if wanted.includes(event) {
                reader.send((**event).clone().into()).await?;
            }
        }
        if !wanted.follow {
            return Ok(());
        }
        tokio::select! {
            changed = watch.changed() => drop(changed.map_err(|_| Gone)?),
            () = reader.gone() => return Err(Gone),
        }
    }
}

fn unknown(kind: &impl std::error::Error) -> ApiError {
    let known: Vec<_> = AuditKind::ALL.iter().map(|k| k.as_str()).collect();
    ApiError::new(ErrorCode::ValidationFailed, kind.to_string()).with("types", known.join(", "))
}

struct Wanted {
    since: u64,
    until: u64,
    kinds: BTreeSet<AuditKind>,
    identity: String,
    follow: bool,
    /// Only events with a higher sequence.
    after: u64,
}

impl Wanted {
    fn parse(message: pb::AuditRequest) -> Result<Self, ApiError> {
        let parse = |text: &String| text.parse::<AuditKind>().map_err(|e| unknown(&e));
        let kinds = message.types.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self {
            since: message.since.unwrap_or(0),
            until: message.until.unwrap_or(u64::MAX),
            kinds,
            identity: message.identity,
            follow: message.follow,
            after: message.after,
        })
    }

    fn includes(&self, event: &AuditEvent) -> bool {
        (self.since..=self.until).contains(&event.at.0)
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && (self.identity.is_empty() || event.actor.identity == self.identity.as_str())
    }
}
