//! The larger commands in full.

use std::collections::BTreeMap;

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{ClusterId, NodeId, OperatorToken, Sealed},
    pb,
};

use crate::{
    command::{
        AdmitNode, ApplyDeployment, InitCluster, LabelNode, RotateKey, SetAvailability, SetFile,
        UpdateNode,
    },
    state::{
        Content,
        row::{Row, digest, named_keys, required, text_keys},
    },
};

impl Row for InitCluster {
    type Message = pb::InitCluster;
    fn write(&self) -> pb::InitCluster {
        pb::InitCluster {
            cluster: self.cluster.to_string(),
            ca_pem: self.ca_pem.clone(),
            ca_key: Some(self.ca_key.write()),
            node: Some(self.node.clone().into()),
            token: Some(self.token.write()),
            address_pools: self.address_pools.as_ref().map(ToString::to_string),
        }
    }
    fn read(m: pb::InitCluster) -> Result<Self, InvalidMessage> {
        Ok(Self {
            cluster: parse::<ClusterId>("cluster", &m.cluster)?,
            ca_pem: m.ca_pem,
            ca_key: Sealed::read(required("ca_key", m.ca_key)?)?,
            node: required("node", m.node)?.try_into()?,
            token: OperatorToken::read(required("token", m.token)?)?,
            address_pools: (m.address_pools.as_deref())
                .map(|pools| parse("address_pools", pools))
                .transpose()?,
        })
    }
}

impl Row for UpdateNode {
    type Message = pb::UpdateNode;
    fn write(&self) -> pb::UpdateNode {
        pb::UpdateNode {
            node: self.node.0,
            facts: self.facts.clone().map(Into::into),
            condition: self.condition.as_ref().map(|(condition, reason)| {
                pb::update_node::ConditionChange {
                    condition: pb::NodeCondition::from(*condition).into(),
                    reason: reason.clone(),
                }
            }),
        }
    }
    fn read(m: pb::UpdateNode) -> Result<Self, InvalidMessage> {
        let condition = match m.condition {
            Some(change) => Some((change.condition().try_into()?, change.reason)),
            None => None,
        };
        Ok(Self {
            node: NodeId(m.node),
            facts: m.facts.map(TryInto::try_into).transpose()?,
            condition,
        })
    }
}

impl Row for AdmitNode {
    type Message = pb::AdmitNode;
    fn write(&self) -> pb::AdmitNode {
        pb::AdmitNode {
            token: self.token.0.to_vec(),
            name: self.name.to_string(),
            facts: Some(self.facts.clone().into()),
        }
    }
    fn read(m: pb::AdmitNode) -> Result<Self, InvalidMessage> {
        Ok(Self {
            token: digest("token", &m.token)?,
            name: parse("name", &m.name)?,
            facts: required("facts", m.facts)?.try_into()?,
        })
    }
}

impl Row for SetAvailability {
    type Message = pb::SetAvailability;
    fn write(&self) -> pb::SetAvailability {
        pb::SetAvailability {
            node: self.node.0,
            availability: pb::Availability::from(self.availability).into(),
            forced: self.forced,
        }
    }
    fn read(m: pb::SetAvailability) -> Result<Self, InvalidMessage> {
        Ok(Self {
            availability: m.availability().try_into()?,
            node: NodeId(m.node),
            forced: m.forced,
        })
    }
}

impl Row for LabelNode {
    type Message = pb::LabelNode;
    fn write(&self) -> pb::LabelNode {
        pb::LabelNode {
            node: self.node.0,
            set: self.set.clone(),
            remove: self.remove.iter().cloned().collect(),
        }
    }
    fn read(m: pb::LabelNode) -> Result<Self, InvalidMessage> {
        Ok(Self { node: NodeId(m.node), set: m.set, remove: m.remove.into_iter().collect() })
    }
}

impl Row for RotateKey {
    type Message = pb::RotateKey;
    fn write(&self) -> pb::RotateKey {
        pb::RotateKey { key_id: self.key_id, ca_key: Some(self.ca_key.write()) }
    }
    fn read(m: pb::RotateKey) -> Result<Self, InvalidMessage> {
        let ca_key = Sealed::read(required("ca_key", m.ca_key)?)?;
        Ok(Self { key_id: m.key_id, ca_key })
    }
}

impl Row for SetFile {
    type Message = pb::SetFile;
    fn write(&self) -> pb::SetFile {
        pb::SetFile {
            id: self.id.to_string(),
            content: Some(self.content.write()),
            size: self.size,
            deployments: self.deployments.clone(),
        }
    }
    fn read(m: pb::SetFile) -> Result<Self, InvalidMessage> {
        Ok(Self {
            id: parse("id", &m.id)?,
            content: Sealed::read(required("content", m.content)?)?,
            size: m.size,
            deployments: m.deployments,
        })
    }
}

impl Row for ApplyDeployment {
    type Message = pb::ApplyDeployment;
    fn write(&self) -> pb::ApplyDeployment {
        let documents = self.documents.iter().map(|(digest, sealed)| (*digest, sealed.clone()));
        let reasons =
            |reasons: &Vec<String>| pb::apply_deployment::Reasons { reasons: reasons.clone() };
        pb::ApplyDeployment {
            deployment: self.deployment.to_string(),
            content: Some(self.content(None).write()),
            documents: documents.map(|d| d.write()).collect(),
            privileged: text_keys(&self.privileged, reasons),
        }
    }
    fn read(m: pb::ApplyDeployment) -> Result<Self, InvalidMessage> {
        let content = Content::read(required("content", m.content)?)?;
        let services = content.services.into_iter();
        Ok(Self {
            deployment: parse("deployment", &m.deployment)?,
            services: services.map(|(k, s)| (k, (s.schedule, s.container))).collect(),
            networks: content.networks,
            volumes: content.volumes,
            routes: content.routes,
            acme_email: content.acme_email,
            documents: m
                .documents
                .into_iter()
                .map(Row::read)
                .collect::<Result<BTreeMap<_, _>, _>>()?,
            privileged: named_keys("privileged", m.privileged, |r| Ok(r.reasons))?,
        })
    }
}
