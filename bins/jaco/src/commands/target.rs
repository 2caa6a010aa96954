//! What a command is about: a deployment, a service of it, a replica.

use std::{fmt, str::FromStr};

use jaco_api::model::{DeploymentName, InvalidName, ReplicaId, ServiceName};
use jaco_client::ReplicaTarget;

/// A deployment, or one service of it: `<deployment>[/<service>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The service; every one when absent.
    pub service: Option<ServiceName>,
}

impl FromStr for Target {
    type Err = InvalidName;
    fn from_str(s: &str) -> Result<Self, InvalidName> {
        Ok(match s.split_once('/') {
            Some((deployment, service)) => {
                Self { deployment: deployment.parse()?, service: Some(service.parse()?) }
            }
            None => Self { deployment: s.parse()?, service: None },
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(f, "{}/{service}", self.deployment),
            None => self.deployment.fmt(f),
        }
    }
}

/// Whose output is read: also one replica, `<deployment>.<service>.<index>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A deployment or a service of it.
    Of(Target),
    /// One replica.
    Replica(ReplicaId),
}

impl FromStr for Source {
    type Err = InvalidName;
    fn from_str(s: &str) -> Result<Self, InvalidName> {
        // A deployment's name holds no dot, so a dot without a slash is a replica.
        if s.contains('.') && !s.contains('/') {
            Ok(Self::Replica(s.parse()?))
        } else {
            Ok(Self::Of(s.parse()?))
        }
    }
}

/// One container: a replica's, or that of whichever replica of a service runs best.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container(ReplicaTarget);

impl Container {
    /// As the cluster is told it.
    #[must_use]
    pub fn target(&self) -> ReplicaTarget {
        self.0.clone()
    }
}

/// What is no container.
#[derive(Debug, thiserror::Error)]
pub enum NoContainer {
    /// A name that cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A deployment, which has many.
    #[error("{0:?} is a deployment: name a service of it ({0}/<service>) or a replica")]
    Deployment(String),
}

impl FromStr for Container {
    type Err = NoContainer;
    fn from_str(s: &str) -> Result<Self, NoContainer> {
        match s.parse()? {
            Source::Replica(id) => Ok(Self(ReplicaTarget::Replica(id))),
            Source::Of(Target { deployment, service: Some(service) }) => {
                Ok(Self(ReplicaTarget::Service(deployment, service)))
            }
            Source::Of(Target { deployment, service: None }) => {
                Err(NoContainer::Deployment(deployment.to_string()))
            }
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ReplicaTarget::Replica(id) => id.fmt(f),
            ReplicaTarget::Service(deployment, service) => write!(f, "{deployment}/{service}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_without_a_slash_is_a_replica() {
        assert!(matches!("shop".parse(), Ok(Source::Of(Target { service: None, .. }))));
        assert!(matches!("shop/my.svc".parse(), Ok(Source::Of(Target { service: Some(_), .. }))));
        assert!(matches!("shop.web.1".parse(), Ok(Source::Replica(_))));
        assert!("shop.web".parse::<Source>().is_err());
    }

    #[test]
    fn a_container_is_a_replica_or_one_of_a_service() {
        for name in ["shop.web.1", "shop/web", "shop.agent.node-a"] {
            assert_eq!(name.parse::<Container>().unwrap().to_string(), name);
        }
        let error = "shop".parse::<Container>().unwrap_err().to_string();
        assert!(error.contains("shop/<service>"), "{error}");
    }
}
