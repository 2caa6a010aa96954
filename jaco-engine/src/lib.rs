#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod admission;
pub mod assignment;
mod certificate;
pub mod clock;
pub mod command;
pub mod control;
mod durable;
pub mod enrol;
pub mod node;
pub mod pki;
pub mod raft;
pub mod retry;
pub mod rpc;
pub mod scheduler;
pub mod seal;
pub mod state;
pub mod submit;
pub mod summary;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod watch;

pub use node::{Builder, Node, NodeConfig, NodeError};
