//! The audit log.

use futures::{Stream, StreamExt as _, future::BoxFuture};
use jaco_api::{
    model::{AuditEvent, AuditKind, Identity, Timestamp},
    pb,
};

use crate::{
    Client, Error,
    again::{Cursor, Opened, again},
    call::MAX_MESSAGE,
    retry::Repeat,
};

/// Which events to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Not after this time.
    pub until: Option<Timestamp>,
    /// Only these kinds; empty means every kind.
    pub kinds: Vec<AuditKind>,
    /// Only what this identity caused.
    pub identity: Option<Identity>,
    /// Also those still to come.
    pub follow: bool,
}

/// Behind the last event that was read.
struct Events(pb::AuditRequest);

impl Cursor for Events {
    type Item = AuditEvent;
    fn open(&self, client: Client) -> BoxFuture<'static, Result<Opened<AuditEvent>, Error>> {
        let request = self.0.clone();
        Box::pin(async move {
            let stream = client
                .call(Repeat::Harmless, &request, |c, r| async move {
                    pb::audit_client::AuditClient::new(c)
                        .max_decoding_message_size(MAX_MESSAGE)
                        .stream(r)
                        .await
                })
                .await?;
            Ok(stream.map(|event| event?.try_into().map_err(Error::answer)).boxed())
        })
    }
    fn note(&mut self, event: &AuditEvent) {
        self.0.after = event.sequence;
    }
}

impl Client {
    /// Streams events, oldest first. A stream that follows goes on where it was when its connection
    /// breaks.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
    ) -> Result<impl Stream<Item = Result<AuditEvent, Error>> + Send + Unpin + use<>, Error> {
        let events = Events(pb::AuditRequest {
            since: filter.since.map(|t| t.0),
            until: filter.until.map(|t| t.0),
            types: filter.kinds.iter().map(|k| k.as_str().to_owned()).collect(),
            identity: filter.identity.as_ref().map(ToString::to_string).unwrap_or_default(),
            follow: filter.follow,
            after: 0,
        });
        again(self.clone(), events).await
    }
}
