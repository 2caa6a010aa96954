//! The audit log.

use futures::{Stream, StreamExt as _};
use jaco_api::{
    model::{AuditEvent, AuditKind, Identity, Timestamp},
    pb,
};

use crate::{Client, Error, call::MAX_MESSAGE, retry::Repeat};

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

impl Client {
    /// Streams events, oldest first.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
    ) -> Result<impl Stream<Item = Result<AuditEvent, Error>> + Send + Unpin + use<>, Error> {
        let request = pb::AuditRequest {
            since: filter.since.map(|t| t.0),
            until: filter.until.map(|t| t.0),
            types: filter.kinds.iter().map(|k| k.as_str().to_owned()).collect(),
            identity: filter.identity.as_ref().map(ToString::to_string).unwrap_or_default(),
            follow: filter.follow,
        };
        let stream = self
            .call(Repeat::Harmless, &request, |c, r| async move {
                pb::audit_client::AuditClient::new(c)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .stream(r)
                    .await
            })
            .await?;
        Ok(stream.map(|event| event?.try_into().map_err(Error::answer)))
    }
}
