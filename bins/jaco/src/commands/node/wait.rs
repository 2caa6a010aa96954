//! Waiting for a member, with what is in the way on standard error.

use std::time::Duration;

use jaco_api::model::NodeName;
use jaco_client::{Client, NodeGoal, Verdict, WaitResult};

use crate::{error::Error, output::Output};

/// Waits until `node` has reached `goal`; says whenever something else is in the way.
///
/// # Errors
/// When it is not reached, with the reasons.
pub(super) async fn wait(
    node: &NodeName,
    goal: NodeGoal,
    limit: Duration,
    client: &Client,
    out: &Output,
) -> Result<(), Error> {
    let talk = out.talk();
    let mut said = Vec::new();
    let progress = |verdict: &Verdict| {
        if let Verdict::Waiting(reasons) = verdict {
            reasons.iter().filter(|r| !said.contains(*r)).for_each(|r| talk.say(r));
            said.clone_from(reasons);
        }
    };
    match client.wait_for_node(node, goal, limit, progress).await? {
        WaitResult::Reached => Ok(()),
        WaitResult::Failed(reasons) => {
            Err(Error::NodeNotReached { node: node.clone(), goal, reasons })
        }
        WaitResult::TimedOut(reasons) => {
            Err(Error::NodeNotInTime { node: node.clone(), goal, after: limit, reasons })
        }
    }
}
