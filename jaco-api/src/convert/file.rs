//! Secrets and configs of the cluster.

use super::{InvalidMessage, parse};
use crate::{model, model::Timestamp, pb};

impl From<model::FileSummary> for pb::FileSummary {
    fn from(f: model::FileSummary) -> Self {
        Self {
            name: f.name.into(),
            version: f.version,
            size: f.size,
            deployments: f.deployments,
            used_by: f.used_by,
            created_at: f.created_at.0,
            updated_at: f.updated_at.0,
        }
    }
}
impl TryFrom<pb::FileSummary> for model::FileSummary {
    type Error = InvalidMessage;
    fn try_from(f: pb::FileSummary) -> Result<Self, InvalidMessage> {
        Ok(Self {
            name: parse("name", &f.name)?,
            version: f.version,
            size: f.size,
            deployments: f.deployments,
            used_by: f.used_by,
            created_at: Timestamp(f.created_at),
            updated_at: Timestamp(f.updated_at),
        })
    }
}
