//! Waiting until a member is what it was asked to be.

use std::{fmt, time::Duration};

use jaco_api::model::{NodeName, NodeStatus};

use super::{Verdict, WaitResult};
use crate::{Client, Error, ErrorCode, NodeDetail};

/// Between two questions: nobody notices less.
const PACE: Duration = Duration::from_millis(250);

/// What a node is waited for to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeGoal {
    /// It runs work.
    Ready,
    /// No replica is left on it, or on its way from it.
    Empty,
    /// It is no member any more.
    Gone,
}

impl fmt::Display for NodeGoal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Empty => "empty",
            Self::Gone => "gone",
        })
    }
}

impl NodeGoal {
    /// What the member's row says about this goal; `None` when there is no such member.
    #[must_use]
    pub fn judge(self, node: Option<&NodeDetail>) -> Verdict {
        let Some(detail) = node else {
            return match self {
                Self::Gone => Verdict::Reached,
                // The answering node may not have heard of it yet.
                Self::Ready => Verdict::Waiting(vec!["it is no member yet".into()]),
                Self::Empty => Verdict::Failed(vec!["it is no member".into()]),
            };
        };
        match (self, detail.summary.node.status) {
            (Self::Ready, NodeStatus::Ready | NodeStatus::Cordoned) => Verdict::Reached,
            (Self::Empty, NodeStatus::Ready) => {
                Verdict::Failed(vec!["somebody made it available again".into()])
            }
            (Self::Empty, _) if detail.replica_ids.is_empty() => Verdict::Reached,
            (Self::Empty | Self::Gone, _) if !detail.replica_ids.is_empty() => {
                Verdict::Waiting(left(detail))
            }
            _ => Verdict::Waiting(vec![status(detail)]),
        }
    }
}

fn status(detail: &NodeDetail) -> String {
    let node = &detail.summary.node;
    let reason = node.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} is {}{reason}", node.name, node.status)
}

/// What cannot move, else what is still there.
fn left(detail: &NodeDetail) -> Vec<String> {
    if detail.obstacles.is_empty() {
        let still = |id: &String| format!("{id} is still there");
        detail.replica_ids.iter().map(still).collect()
    } else {
        detail.obstacles.clone()
    }
}

impl Client {
    /// Waits for a member; `progress` sees every answer on the way.
    ///
    /// # Errors
    /// When the cluster cannot be asked. Not reaching the goal is a [`WaitResult`].
    pub async fn wait_for_node(
        &self,
        node: &NodeName,
        goal: NodeGoal,
        timeout: Duration,
        mut progress: impl FnMut(&Verdict) + Send,
    ) -> Result<WaitResult, Error> {
        let mut last = Vec::new();
        let watching = async {
            loop {
                let verdict = goal.judge(self.member(node, goal).await?.as_ref());
                progress(&verdict);
                match verdict {
                    Verdict::Reached => return Ok(WaitResult::Reached),
                    Verdict::Failed(reasons) => return Ok(WaitResult::Failed(reasons)),
                    Verdict::Waiting(reasons) => last = reasons,
                }
                tokio::time::sleep(PACE).await;
            }
        };
        let ended = tokio::time::timeout(timeout, watching).await;
        ended.unwrap_or(Ok(WaitResult::TimedOut(last)))
    }

    /// A member, unless it is none. A node that was asked to remove itself says so by having no
    /// cluster any more.
    async fn member(&self, node: &NodeName, goal: NodeGoal) -> Result<Option<NodeDetail>, Error> {
        match self.node(node).await {
            Ok(detail) => Ok(Some(detail)),
            Err(Error::Api(e)) if e.code == ErrorCode::UnknownNode => Ok(None),
            Err(Error::Api(e))
                if goal == NodeGoal::Gone && e.code == ErrorCode::ClusterUninitialized =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
