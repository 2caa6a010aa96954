//! Secrets and configs of the cluster.

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{NamedFile, Sealed, Timestamp},
    pb,
};

use super::{Row, required};

impl Row for NamedFile {
    type Message = pb::FileRow;
    fn write(&self) -> pb::FileRow {
        pb::FileRow {
            id: self.id.to_string(),
            content: Some(self.content.write()),
            size: self.size,
            deployments: self.deployments.clone(),
            version: self.version,
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
        }
    }
    fn read(m: pb::FileRow) -> Result<Self, InvalidMessage> {
        Ok(Self {
            id: parse("id", &m.id)?,
            content: Sealed::read(required("content", m.content)?)?,
            size: m.size,
            deployments: m.deployments,
            version: m.version,
            created_at: Timestamp(m.created_at),
            updated_at: Timestamp(m.updated_at),
        })
    }
}
