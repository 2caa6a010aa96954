//! The larger commands in full.

use std::collections::BTreeMap;

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{ClusterId, NodeId, OperatorToken, Sealed},
    pb,
};

use crate::{
    command::{ApplyDeployment, InitCluster, UpdateNode},
    state::{
        Content,
        row::{Row, named_keys, required, text_keys},
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
        }
    }
    fn read(m: pb::InitCluster) -> Result<Self, InvalidMessage> {
        Ok(Self {
            cluster: parse::<ClusterId>("cluster", &m.cluster)?,
            ca_pem: m.ca_pem,
            ca_key: Sealed::read(required("ca_key", m.ca_key)?)?,
            node: required("node", m.node)?.try_into()?,
            token: OperatorToken::read(required("token", m.token)?)?,
        })
    }
}

impl Row for UpdateNode {
    type Message = pb::UpdateNode;
    fn write(&self) -> pb::UpdateNode {
        pb::UpdateNode {
            node: self.node.0,
            facts: self.facts.clone().map(Into::into),
            status: self.status.as_ref().map(|(status, reason)| pb::update_node::StatusChange {
                status: pb::NodeStatus::from(*status).into(),
                reason: reason.clone(),
            }),
        }
    }
    fn read(m: pb::UpdateNode) -> Result<Self, InvalidMessage> {
        let status = match m.status {
            Some(change) => Some((change.status().try_into()?, change.reason)),
            None => None,
        };
        Ok(Self {
            node: NodeId(m.node),
            facts: m.facts.map(TryInto::try_into).transpose()?,
            status,
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
            documents: m
                .documents
                .into_iter()
                .map(Row::read)
                .collect::<Result<BTreeMap<_, _>, _>>()?,
            privileged: named_keys("privileged", m.privileged, |r| Ok(r.reasons))?,
        })
    }
}
