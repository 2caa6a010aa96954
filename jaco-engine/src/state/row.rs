//! Rows and the values in them as protobuf, for the log and for snapshots.
//!
//! Values of the manifest language travel as JSON: their serde form is their versioned document form.

use std::{collections::BTreeMap, fmt::Display, str::FromStr, sync::Arc};

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{
        ClusterId, Deployment, DeploymentName, DeploymentPhase, Digest, Identity, Intent,
        JoinToken, NetworkName, NetworkSpec, NodeId, Observation, OperatorToken, PlannedService,
        Preparation, Reason, Replica, Revision, RevisionOrigin, Rollout, RolloutPhase, RouteSpec,
        Sealed, ServiceName, ServiceSchedule, Timestamp, Volume, VolumeName, VolumeSpec,
    },
    pb,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Cluster, RetiredToken};

/// A value with a protobuf form; reading checks everything the model promises.
pub(crate) trait Row: Sized {
    type Message;
    fn write(&self) -> Self::Message;
    fn read(message: Self::Message) -> Result<Self, InvalidMessage>;
}

/// The JSON form of a manifest value.
pub(crate) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("a manifest value has only string keys and finite numbers")
}
/// Reads [`json`].
pub(crate) fn from_json<T: DeserializeOwned>(
    field: &'static str,
    bytes: &[u8],
) -> Result<T, InvalidMessage> {
    serde_json::from_slice(bytes).map_err(|e| InvalidMessage::new(field, e))
}
/// Reads a digest.
pub(crate) fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, InvalidMessage> {
    bytes.try_into().map(Digest).map_err(|_| InvalidMessage::new(field, "is not 32 bytes"))
}
/// Takes a field that must be there.
pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, InvalidMessage> {
    value.ok_or_else(|| InvalidMessage::new(field, "is missing"))
}
/// Reads an optional row.
pub(crate) fn optional<T: Row>(message: Option<T::Message>) -> Result<Option<T>, InvalidMessage> {
    message.map(T::read).transpose()
}
/// A map with keys as text.
pub(crate) fn text_keys<K: Display, V, W>(
    map: &BTreeMap<K, V>,
    value: impl Fn(&V) -> W,
) -> BTreeMap<String, W> {
    map.iter().map(|(k, v)| (k.to_string(), value(v))).collect()
}
/// Reads [`text_keys`].
pub(crate) fn named_keys<K: FromStr<Err: Display> + Ord, V, W>(
    field: &'static str,
    map: BTreeMap<String, V>,
    value: impl Fn(V) -> Result<W, InvalidMessage>,
) -> Result<BTreeMap<K, W>, InvalidMessage> {
    map.into_iter().map(|(k, v)| Ok((parse(field, &k)?, value(v)?))).collect()
}
/// Reads an enumeration and refuses a number this version does not know.
pub(crate) fn enumeration<P: TryFrom<i32>>(
    field: &'static str,
    number: i32,
) -> Result<P, InvalidMessage> {
    P::try_from(number).map_err(|_| InvalidMessage::new(field, format!("{number} is not known")))
}

impl Row for Sealed {
    type Message = pb::SealedValue;
    fn write(&self) -> pb::SealedValue {
        pb::SealedValue { key_id: self.key_id, bytes: self.bytes.to_vec() }
    }
    fn read(m: pb::SealedValue) -> Result<Self, InvalidMessage> {
        Ok(Self { key_id: m.key_id, bytes: m.bytes.into() })
    }
}

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

impl Row for (Digest, Sealed) {
    type Message = pb::DocumentRow;
    fn write(&self) -> pb::DocumentRow {
        pb::DocumentRow { digest: self.0.0.to_vec(), sealed: Some(self.1.write()) }
    }
    fn read(m: pb::DocumentRow) -> Result<Self, InvalidMessage> {
        Ok((digest("digest", &m.digest)?, Sealed::read(required("sealed", m.sealed)?)?))
    }
}

impl Row for DeploymentPhase {
    type Message = i32;
    fn write(&self) -> i32 {
        match self {
            Self::Running => pb::DeploymentPhase::Running,
            Self::Stopped => pb::DeploymentPhase::Stopped,
            Self::Deleting { volumes: false } => pb::DeploymentPhase::Deleting,
            Self::Deleting { volumes: true } => pb::DeploymentPhase::DeletingWithVolumes,
        }
        .into()
    }
    fn read(m: i32) -> Result<Self, InvalidMessage> {
        match enumeration("phase", m)? {
            pb::DeploymentPhase::Running => Ok(Self::Running),
            pb::DeploymentPhase::Stopped => Ok(Self::Stopped),
            pb::DeploymentPhase::Deleting => Ok(Self::Deleting { volumes: false }),
            pb::DeploymentPhase::DeletingWithVolumes => Ok(Self::Deleting { volumes: true }),
            pb::DeploymentPhase::Unspecified => Err(InvalidMessage::new("phase", "is missing")),
        }
    }
}

impl Row for Deployment {
    type Message = pb::DeploymentRow;
    fn write(&self) -> pb::DeploymentRow {
        pb::DeploymentRow {
            name: self.name.to_string(),
            revision: self.revision,
            last_revision: self.last_revision,
            phase: self.phase.write(),
            rollout: self.rollout.as_ref().map(Row::write),
            last_index: text_keys(&self.last_index, |n| *n),
            version: self.version,
            created_at: self.created_at.0,
            unplaced: text_keys(&self.unplaced, Clone::clone),
        }
    }
    fn read(m: pb::DeploymentRow) -> Result<Self, InvalidMessage> {
        Ok(Self {
            name: parse("name", &m.name)?,
            revision: m.revision,
            last_revision: m.last_revision,
            phase: DeploymentPhase::read(m.phase)?,
            rollout: optional(m.rollout)?,
            last_index: named_keys("last_index", m.last_index, Ok)?,
            version: m.version,
            created_at: Timestamp(m.created_at),
            unplaced: named_keys("unplaced", m.unplaced, Ok)?,
        })
    }
}

impl Row for Rollout {
    type Message = pb::RolloutRow;
    fn write(&self) -> pb::RolloutRow {
        pb::RolloutRow {
            from: self.from,
            to: self.to,
            phase: pb::RolloutPhase::from(self.phase.clone()).into(),
            started_at: self.started_at.0,
            ended_at: self.ended_at.map(|t| t.0),
            last_step: text_keys(&self.last_step, |t| t.0),
            failures: text_keys(&self.failures, |n| *n),
            reason: self.reason.clone(),
        }
    }
    fn read(m: pb::RolloutRow) -> Result<Self, InvalidMessage> {
        Ok(Self {
            from: m.from,
            to: m.to,
            phase: RolloutPhase::try_from(enumeration::<pb::RolloutPhase>("phase", m.phase)?)?,
            started_at: Timestamp(m.started_at),
            ended_at: m.ended_at.map(Timestamp),
            last_step: named_keys("last_step", m.last_step, |t| Ok(Timestamp(t)))?,
            failures: named_keys("failures", m.failures, Ok)?,
            reason: m.reason,
        })
    }
}

/// What an apply brings and a revision keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) services: BTreeMap<ServiceName, PlannedService>,
    pub(crate) networks: BTreeMap<NetworkName, NetworkSpec>,
    pub(crate) volumes: BTreeMap<VolumeName, VolumeSpec>,
    pub(crate) routes: Vec<RouteSpec>,
}

impl Content {
    /// The content of a revision.
    pub(crate) fn of(revision: &Revision) -> Self {
        Self {
            services: revision.services.clone(),
            networks: revision.networks.clone(),
            volumes: revision.volumes.clone(),
            routes: revision.routes.clone(),
        }
    }
}

impl Row for PlannedService {
    type Message = pb::content::Service;
    fn write(&self) -> pb::content::Service {
        pb::content::Service {
            schedule: json(&self.schedule),
            container: self.container.0.to_vec(),
            epoch: self.epoch,
        }
    }
    fn read(m: pb::content::Service) -> Result<Self, InvalidMessage> {
        Ok(Self {
            schedule: from_json::<ServiceSchedule>("schedule", &m.schedule)?,
            container: digest("container", &m.container)?,
            epoch: m.epoch,
        })
    }
}

impl Row for Content {
    type Message = pb::Content;
    fn write(&self) -> pb::Content {
        pb::Content {
            services: text_keys(&self.services, Row::write),
            networks: text_keys(&self.networks, json),
            volumes: text_keys(&self.volumes, json),
            routes: self.routes.iter().map(json).collect(),
        }
    }
    fn read(m: pb::Content) -> Result<Self, InvalidMessage> {
        Ok(Self {
            services: named_keys("services", m.services, Row::read)?,
            networks: named_keys("networks", m.networks, |b| from_json("networks", &b))?,
            volumes: named_keys("volumes", m.volumes, |b| from_json("volumes", &b))?,
            routes: m.routes.iter().map(|b| from_json("routes", b)).collect::<Result<_, _>>()?,
        })
    }
}

impl Row for (DeploymentName, Arc<Revision>) {
    type Message = pb::RevisionRow;
    fn write(&self) -> pb::RevisionRow {
        let (origin, restored) = match self.1.origin {
            RevisionOrigin::Apply => (pb::RevisionOrigin::Apply, 0),
            RevisionOrigin::Rollback(n) => (pb::RevisionOrigin::Rollback, n),
            RevisionOrigin::AutoRollback(n) => (pb::RevisionOrigin::AutoRollback, n),
            RevisionOrigin::Scale => (pb::RevisionOrigin::Scale, 0),
        };
        pb::RevisionRow {
            deployment: self.0.to_string(),
            number: self.1.number,
            origin: origin.into(),
            restored,
            actor: Some(self.1.actor.clone().into()),
            at: self.1.at.0,
            content: Some(Content::of(&self.1).write()),
        }
    }
    fn read(m: pb::RevisionRow) -> Result<Self, InvalidMessage> {
        let origin = match enumeration("origin", m.origin)? {
            pb::RevisionOrigin::Apply => RevisionOrigin::Apply,
            pb::RevisionOrigin::Rollback => RevisionOrigin::Rollback(m.restored),
            pb::RevisionOrigin::AutoRollback => RevisionOrigin::AutoRollback(m.restored),
            pb::RevisionOrigin::Scale => RevisionOrigin::Scale,
            pb::RevisionOrigin::Unspecified => {
                return Err(InvalidMessage::new("origin", "is missing"));
            }
        };
        let content = Content::read(required("content", m.content)?)?;
        let revision = Revision {
            number: m.number,
            origin,
            actor: required("actor", m.actor)?.try_into()?,
            at: Timestamp(m.at),
            services: content.services,
            networks: content.networks,
            volumes: content.volumes,
            routes: content.routes,
        };
        Ok((parse("deployment", &m.deployment)?, Arc::new(revision)))
    }
}

impl Row for Result<(), Reason> {
    type Message = pb::FetchResult;
    fn write(&self) -> pb::FetchResult {
        pb::FetchResult { failure: self.clone().err().map(Into::into) }
    }
    fn read(m: pb::FetchResult) -> Result<Self, InvalidMessage> {
        Ok(match m.failure {
            Some(reason) => Err(reason.try_into()?),
            None => Ok(()),
        })
    }
}

impl Row for Preparation {
    type Message = pb::PreparationRow;
    fn write(&self) -> pb::PreparationRow {
        pb::PreparationRow {
            container: self.container.0.to_vec(),
            result: self.result.as_ref().map(Row::write),
        }
    }
    fn read(m: pb::PreparationRow) -> Result<Self, InvalidMessage> {
        Ok(Self { container: digest("container", &m.container)?, result: optional(m.result)? })
    }
}

impl Row for Observation {
    type Message = pb::Observation;
    fn write(&self) -> pb::Observation {
        pb::Observation {
            generation: self.generation,
            state: pb::ReplicaState::from(self.state).into(),
            health: pb::Health::from(self.health).into(),
            reason: self.reason.clone().map(Into::into),
            container: self.container.clone(),
            exit_code: self.exit_code,
            oom_killed: self.oom_killed,
            restarts: self.restarts,
            started_at: self.started_at.map(|t| t.0),
            pull_failures: self.pull_failures,
        }
    }
    fn read(m: pb::Observation) -> Result<Self, InvalidMessage> {
        Ok(Self {
            generation: m.generation,
            state: enumeration::<pb::ReplicaState>("state", m.state)?.try_into()?,
            health: enumeration::<pb::Health>("health", m.health)?.try_into()?,
            reason: m.reason.map(TryInto::try_into).transpose()?,
            container: m.container,
            exit_code: m.exit_code,
            oom_killed: m.oom_killed,
            restarts: m.restarts,
            started_at: m.started_at.map(Timestamp),
            pull_failures: m.pull_failures,
        })
    }
}

impl Row for Replica {
    type Message = pb::ReplicaRow;
    fn write(&self) -> pb::ReplicaRow {
        let intent = match self.intent {
            Intent::Run => pb::ReplicaIntent::Run,
            Intent::Remove => pb::ReplicaIntent::Remove,
        };
        pb::ReplicaRow {
            id: self.id.to_string(),
            node: self.node.0,
            intent: intent.into(),
            generation: self.generation,
            container: self.container.0.to_vec(),
            epoch: self.epoch,
            revision: self.revision,
            preparation: self.preparation.as_ref().map(Row::write),
            observed: Some(self.observed.write()),
            observed_at: self.observed_at.0,
            starting_at: self.starting_at.map(|t| t.0),
            running_since: self.running_since.map(|t| t.0),
            log_tail: self.log_tail.as_ref().map(Row::write),
            created_at: self.created_at.0,
        }
    }
    fn read(m: pb::ReplicaRow) -> Result<Self, InvalidMessage> {
        let intent = match enumeration("intent", m.intent)? {
            pb::ReplicaIntent::Run => Intent::Run,
            pb::ReplicaIntent::Remove => Intent::Remove,
            pb::ReplicaIntent::Unspecified => {
                return Err(InvalidMessage::new("intent", "is missing"));
            }
        };
        Ok(Self {
            id: parse("id", &m.id)?,
            node: NodeId(m.node),
            intent,
            generation: m.generation,
            container: digest("container", &m.container)?,
            epoch: m.epoch,
            revision: m.revision,
            preparation: optional(m.preparation)?,
            observed: Observation::read(required("observed", m.observed)?)?,
            observed_at: Timestamp(m.observed_at),
            starting_at: m.starting_at.map(Timestamp),
            running_since: m.running_since.map(Timestamp),
            log_tail: optional(m.log_tail)?,
            created_at: Timestamp(m.created_at),
        })
    }
}

impl Row for Volume {
    type Message = pb::VolumeRow;
    fn write(&self) -> pb::VolumeRow {
        pb::VolumeRow {
            name: self.name.clone(),
            node: self.node.0,
            deployment: self.deployment.to_string(),
            external: self.external,
            removing: self.removing,
        }
    }
    fn read(m: pb::VolumeRow) -> Result<Self, InvalidMessage> {
        Ok(Self {
            name: m.name,
            node: NodeId(m.node),
            deployment: parse("deployment", &m.deployment)?,
            external: m.external,
            removing: m.removing,
        })
    }
}
