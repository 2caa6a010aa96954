#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod container;
#[cfg(feature = "docker")]
pub mod docker;
pub mod health;
pub mod pressure;
pub mod reconcile;
pub mod spec;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use container::{ContainerRuntime, RuntimeError};
#[cfg(feature = "docker")]
pub use docker::DockerRuntime;
pub use reconcile::{AgentOptions, AgentReplicaReport, AgentReport, EngineStatus, RuntimeAgent};
