//! Converges an engine to what a node was assigned.
//!
//! Inputs: the newest [`Assignment`](jaco_api::model::Assignment), an engine, credentials. Output:
//! [`AgentReport`]s with what differs from what the assignment says state knows. The deciding
//! parts (`step`, `memory`, `hooks`, `images`, `observe`, `diff`) are pure; one worker per replica takes one
//! step and looks again, so that one stuck pull delays nobody. Never touches a container, network
//! or volume without this cluster's label, and never acts on an assignment that has not caught up.

mod agent;
mod beside;
mod diff;
mod engine;
mod fetched;
mod hooks;
mod housekeeping;
mod images;
mod marks;
mod memory;
mod observe;
mod report;
mod step;
mod underlay;
mod worker;

pub use agent::{AgentOptions, RuntimeAgent};
pub use report::{AgentReplicaReport, AgentReport, EngineStatus};
pub use underlay::{Underlay, UnderlayWatch};
