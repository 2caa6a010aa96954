//! Replicas, what is seen of them, and volumes.

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{Beside, Intent, NodeId, Observation, Preparation, Reason, Replica, Timestamp, Volume},
    pb,
};

use super::{Row, digest, enumeration, optional, required};

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

impl Row for Beside {
    type Message = pb::BesideRow;
    fn write(&self) -> pb::BesideRow {
        pb::BesideRow { replica: self.replica.to_string(), generation: self.generation }
    }
    fn read(m: pb::BesideRow) -> Result<Self, InvalidMessage> {
        Ok(Self { replica: parse("replica", &m.replica)?, generation: m.generation })
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
            addresses: self.addresses.iter().map(|(n, a)| (n.to_string(), a.to_string())).collect(),
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
            addresses: m
                .addresses
                .iter()
                .map(|(n, a)| Ok((parse("addresses", n)?, parse("addresses", a)?)))
                .collect::<Result<_, InvalidMessage>>()?,
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
            replaces: self.replaces.as_ref().map(ToString::to_string),
            tick: self.tick.map(|t| t.0),
            beside: self.beside.as_ref().map(Row::write),
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
            replaces: m.replaces.map(|id| parse("replaces", &id)).transpose()?,
            tick: m.tick.map(Timestamp),
            beside: optional(m.beside)?,
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
