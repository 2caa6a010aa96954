//! Ends of the mesh.

use super::{InvalidMessage, parse};
use crate::{model, pb};

impl From<model::MeshFacts> for pb::MeshFacts {
    fn from(m: model::MeshFacts) -> Self {
        Self {
            public_key: m.public_key.to_string(),
            endpoint: m.endpoint.to_string(),
            device: pb::MeshKind::from(m.device).into(),
            reason: m.reason,
        }
    }
}
impl TryFrom<pb::MeshFacts> for model::MeshFacts {
    type Error = InvalidMessage;
    fn try_from(m: pb::MeshFacts) -> Result<Self, InvalidMessage> {
        Ok(Self {
            public_key: parse("public_key", &m.public_key)?,
            endpoint: parse("endpoint", &m.endpoint)?,
            device: m.device().try_into()?,
            reason: m.reason,
        })
    }
}

impl From<model::MeshStatus> for pb::MeshStatus {
    fn from(m: model::MeshStatus) -> Self {
        Self {
            device: pb::MeshKind::from(m.device).into(),
            reason: m.reason,
            interface: m.interface,
            public_key: m.public_key.to_string(),
            listen_port: m.listen_port.into(),
            address: m.address.map(|a| a.to_string()),
            peers: m.peers.into_iter().map(Into::into).collect(),
        }
    }
}
impl TryFrom<pb::MeshStatus> for model::MeshStatus {
    type Error = InvalidMessage;
    fn try_from(m: pb::MeshStatus) -> Result<Self, InvalidMessage> {
        let no_port = |_| InvalidMessage::new("listen_port", "is no port");
        Ok(Self {
            device: m.device().try_into()?,
            reason: m.reason,
            interface: m.interface,
            public_key: parse("public_key", &m.public_key)?,
            listen_port: m.listen_port.try_into().map_err(no_port)?,
            address: m.address.map(|a| parse("address", &a)).transpose()?,
            peers: m.peers.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<model::MeshPeerStatus> for pb::MeshPeerStatus {
    fn from(p: model::MeshPeerStatus) -> Self {
        Self {
            node: p.node.into(),
            public_key: p.public_key.to_string(),
            endpoint: p.endpoint.map(|e| e.to_string()),
            handshake_ms: p.handshake_ms,
            received: p.received,
            sent: p.sent,
        }
    }
}
impl TryFrom<pb::MeshPeerStatus> for model::MeshPeerStatus {
    type Error = InvalidMessage;
    fn try_from(p: pb::MeshPeerStatus) -> Result<Self, InvalidMessage> {
        Ok(Self {
            node: parse("node", &p.node)?,
            public_key: parse("public_key", &p.public_key)?,
            endpoint: p.endpoint.map(|e| parse("endpoint", &e)).transpose()?,
            handshake_ms: p.handshake_ms,
            received: p.received,
            sent: p.sent,
        })
    }
}

impl From<model::MeshKeyRotation> for pb::MeshKeyRotation {
    fn from(r: model::MeshKeyRotation) -> Self {
        Self {
            node: r.node.into(),
            former: r.former.to_string(),
            public_key: r.public_key.to_string(),
        }
    }
}
impl TryFrom<pb::MeshKeyRotation> for model::MeshKeyRotation {
    type Error = InvalidMessage;
    fn try_from(r: pb::MeshKeyRotation) -> Result<Self, InvalidMessage> {
        Ok(Self {
            node: parse("node", &r.node)?,
            former: parse("former", &r.former)?,
            public_key: parse("public_key", &r.public_key)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MeshKey, MeshKeyRotation, MeshKind, MeshPeerStatus, MeshStatus};

    #[test]
    fn an_end_of_the_mesh_is_read_as_it_was_written() {
        let peer = MeshPeerStatus {
            node: "node-b".parse().unwrap(),
            public_key: MeshKey([2; 32]),
            endpoint: Some("192.0.2.2:51820".parse().unwrap()),
            handshake_ms: Some(1_500),
            received: 7,
            sent: 9,
        };
        let silent = MeshPeerStatus { endpoint: None, handshake_ms: None, ..peer.clone() };
        let status = MeshStatus {
            device: MeshKind::Userspace,
            reason: Some("configured".to_owned()),
            interface: "jaco0".to_owned(),
            public_key: MeshKey([1; 32]),
            listen_port: 51_820,
            address: Some("10.243.0.1".parse().unwrap()),
            peers: vec![peer, silent],
        };
        let message = pb::MeshStatus::from(status.clone());
        assert_eq!(MeshStatus::try_from(message.clone()).unwrap(), status);
        let no_port = pb::MeshStatus { listen_port: 70_000, ..message };
        assert_eq!(MeshStatus::try_from(no_port).unwrap_err().field, "listen_port");
        let rotation = MeshKeyRotation {
            node: "node-b".parse().unwrap(),
            former: MeshKey([2; 32]),
            public_key: MeshKey([3; 32]),
        };
        let message = pb::MeshKeyRotation::from(rotation.clone());
        assert_eq!(MeshKeyRotation::try_from(message).unwrap(), rotation);
    }
}
