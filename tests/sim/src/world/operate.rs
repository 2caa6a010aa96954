//! Carries out what operators do, as they would: by a client of some node.

use std::{collections::BTreeMap, time::Duration};

use jaco_api::model::{AuditKind, Availability, DeploymentName, Identity, NodeName, Role};
use jaco_client::{Client, Error, IssueToken};
use jaco_engine::testing::cluster::host_name;

use super::{acks::Fact, manifest::manifest};
use crate::scenario::{Deployment, Operation};

/// How long an operator waits for an answer.
const PATIENCE: Duration = Duration::from_secs(25);

/// What an operator needs to do something.
pub struct Operator {
    /// The node that is asked.
    pub through: Client,
    /// The node of the host that the operation names, where it runs.
    pub there: Option<Client>,
    /// How many hosts there are.
    pub hosts: usize,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was acknowledged; with what the audit log must say, where it says anything.
    Done(Option<Fact>),
    /// It was refused, or nobody knows.
    Failed(String),
}

impl Operator {
    /// Does it, and says what came of it.
    pub async fn perform(self, operation: Operation) -> Answer {
        let Ok(result) = tokio::time::timeout(PATIENCE, self.attempt(operation)).await else {
            return Answer::Failed("no answer".to_owned());
        };
        match result {
            Ok(fact) => Answer::Done(fact),
            Err(error) => Answer::Failed(match error.code() {
                Some(code) => code.as_str().to_owned(),
                None => "connection".to_owned(),
            }),
        }
    }

    async fn attempt(&self, operation: Operation) -> Result<Option<Fact>, Error> {
        let client = &self.through;
        match operation {
            Operation::Apply(..)
            | Operation::Scale(..)
            | Operation::Rollback(_)
            | Operation::Restart(_)
            | Operation::Stop(_)
            | Operation::Start(_)
            | Operation::Delete(..) => self.change(operation).await,
            Operation::Avail(host, wanted, forced) => {
                let node = host_name(host);
                match wanted {
                    Availability::Leaving => client.remove_node(&node, forced).await?,
                    _ => drop(client.set_availability(&node, wanted, forced).await?),
                }
                Ok(None)
            }
            Operation::Join(host) => self.join(host).await,
            Operation::Label(host, disk) => {
                let set = BTreeMap::from([("disk".to_owned(), disk.to_string())]);
                client.label_node(&host_name(host), set, Vec::new()).await.map(|_| None)
            }
            Operation::Set(which, number) => self.set(which, number).await,
            Operation::Token(number) => self.issue(number).await,
            Operation::Rotate => {
                let key = client.rotate_key().await?;
                Ok(Some(Fact::new(AuditKind::KeyRotated, [("key", key.to_string())])))
            }
            Operation::Transfer(host) => {
                client.transfer_leader(Some(&host_name(host))).await.map(|_| None)
            }
        }
    }

    async fn change(&self, operation: Operation) -> Result<Option<Fact>, Error> {
        let client = &self.through;
        let of = |d: Deployment| -> (DeploymentName, (&'static str, String)) {
            let name = d.name().parse().expect("our names are valid");
            (name, ("deployment", d.name().to_owned()))
        };
        let revision = |n: u64| ("revision", n.to_string());
        Ok(match operation {
            Operation::Apply(d, recipe) => {
                let done = client.apply(manifest(d, &recipe, self.hosts)).await?;
                let fact = Fact::new(AuditKind::Apply, [of(d).1, revision(done.revision)]);
                done.changed.then_some(fact)
            }
            Operation::Scale(d, count) => {
                let counts = BTreeMap::from([("app".parse().expect("a valid name"), count)]);
                let done = client.scale(&of(d).0, &counts).await?;
                let fact = Fact::new(AuditKind::Scale, [of(d).1, revision(done.revision)]);
                done.changed.then_some(fact)
            }
            Operation::Rollback(d) => {
                let done = client.rollback(&of(d).0, None).await?;
                Some(Fact::new(AuditKind::Rollback, [of(d).1, revision(done.revision)]))
            }
            Operation::Restart(d) => {
                let done = client.restart(&of(d).0, &[]).await?;
                done.changed.then(|| Fact::new(AuditKind::Restart, [of(d).1]))
            }
            Operation::Stop(d) => {
                let done = client.stop(&of(d).0).await?;
                done.changed.then(|| Fact::new(AuditKind::Stop, [of(d).1]))
            }
            Operation::Start(d) => {
                let done = client.start(&of(d).0).await?;
                done.changed.then(|| Fact::new(AuditKind::Start, [of(d).1]))
            }
            Operation::Delete(d, volumes) => {
                client.delete(&of(d).0, volumes).await?;
                None
            }
            _ => None,
        })
    }

    async fn join(&self, host: usize) -> Result<Option<Fact>, Error> {
        let Some(there) = &self.there else { return Ok(None) };
        let issued = self.through.issue_join_token(None).await?;
        let joined = there.join(&issued.peer, &issued.token).await?;
        let node: NodeName = host_name(host);
        let facts = [("node", node.to_string()), ("number", joined.node_id.to_string())];
        Ok(Some(Fact::new(AuditKind::NodeJoin, facts)))
    }

    async fn set(&self, which: u32, number: u32) -> Result<Option<Fact>, Error> {
        let (key, value) = match which {
            0 => ("revision_retention", (2 + number % 9).to_string()),
            1 => ("node_down_grace", format!("{}s", number % 4)),
            _ => ("voter_replace_after", format!("{}s", 10 + number % 50)),
        };
        self.through.set_setting(key, &value).await.map(|_| None)
    }

    async fn issue(&self, number: u32) -> Result<Option<Fact>, Error> {
        let holder: Identity = format!("holder-{number}").parse().expect("a valid name");
        let wish = IssueToken {
            identity: holder.clone(),
            role: Role::Viewer,
            deployments: Vec::new(),
            allow_privileged: false,
            ttl: None,
            rotate: false,
        };
        self.through.issue_token(&wish).await?;
        Ok(Some(Fact::new(AuditKind::TokenIssue, [("token", holder.to_string())])))
    }
}

/// The host that an operation names.
#[must_use]
pub fn host_of(operation: &Operation) -> Option<usize> {
    match operation {
        Operation::Avail(host, ..)
        | Operation::Join(host)
        | Operation::Label(host, _)
        | Operation::Transfer(host) => Some(*host),
        _ => None,
    }
}
