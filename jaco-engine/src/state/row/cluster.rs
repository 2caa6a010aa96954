//! The cluster's row and its credentials.

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{ClusterId, Digest, Identity, JoinToken, OperatorToken, Sealed, Timestamp},
    pb,
};

use super::{Row, digest, required};
use crate::state::{Cluster, RetiredToken};

impl Row for Cluster {
    type Message = pb::ClusterRow;
    fn write(&self) -> pb::ClusterRow {
        pb::ClusterRow {
            id: self.id.to_string(),
            ca_pem: self.ca_pem.clone(),
            ca_key: Some(self.ca_key.write()),
            created_at: self.created_at.0,
            feature_level: self.feature_level,
            last_node: self.last_node,
            last_audit: self.last_audit,
            last_event: self.last_event,
            data_key: self.data_key,
            key_due: self.key_due,
            last_key: self.last_key,
        }
    }
    fn read(m: pb::ClusterRow) -> Result<Self, InvalidMessage> {
        Ok(Self {
            id: parse::<ClusterId>("id", &m.id)?,
            ca_pem: m.ca_pem,
            ca_key: Sealed::read(required("ca_key", m.ca_key)?)?,
            created_at: Timestamp(m.created_at),
            feature_level: m.feature_level,
            last_node: m.last_node,
            last_audit: m.last_audit,
            last_event: m.last_event,
            data_key: m.data_key,
            key_due: m.key_due,
            last_key: m.last_key.max(m.data_key),
        })
    }
}

impl Row for OperatorToken {
    type Message = pb::TokenRow;
    fn write(&self) -> pb::TokenRow {
        let hash = self.hash.map(|h| h.0.to_vec());
        pb::TokenRow { token: Some(self.clone().into()), hash }
    }
    fn read(m: pb::TokenRow) -> Result<Self, InvalidMessage> {
        let token = Self::try_from(required("token", m.token)?)?;
        let hash = m.hash.map(|h| digest("hash", &h)).transpose()?;
        Ok(Self { hash, ..token })
    }
}

impl Row for (Digest, RetiredToken) {
    type Message = pb::RetiredTokenRow;
    fn write(&self) -> pb::RetiredTokenRow {
        pb::RetiredTokenRow {
            hash: self.0.0.to_vec(),
            identity: self.1.identity.to_string(),
            index: self.1.index,
        }
    }
    fn read(m: pb::RetiredTokenRow) -> Result<Self, InvalidMessage> {
        let identity: Identity = parse("identity", &m.identity)?;
        Ok((digest("hash", &m.hash)?, RetiredToken { identity, index: m.index }))
    }
}

impl Row for JoinToken {
    type Message = pb::JoinTokenRow;
    fn write(&self) -> pb::JoinTokenRow {
        pb::JoinTokenRow {
            hash: self.hash.0.to_vec(),
            issued_at: self.issued_at.0,
            expires_at: self.expires_at.0,
            consumed_by: self.consumed_by.as_ref().map(ToString::to_string),
        }
    }
    fn read(m: pb::JoinTokenRow) -> Result<Self, InvalidMessage> {
        Ok(Self {
            hash: digest("hash", &m.hash)?,
            issued_at: Timestamp(m.issued_at),
            expires_at: Timestamp(m.expires_at),
            consumed_by: m.consumed_by.map(|n| parse("consumed_by", &n)).transpose()?,
        })
    }
}
