//! Clusters of real daemons on one machine: every host is a network namespace with its own Docker
//! Engine and its own `jacod`, joined by a virtual switch.
//!
//! A library for end-to-end tests and for `cargo xtask rig|demo`. It needs root on Linux with `ip`,
//! `nsenter`, `unshare`, `dockerd` and `docker`. Everything a rig made is gone after [`Rig::down`], and
//! after a drop; what a killed process left behind is removed by the next [`Rig::up`] or by
//! [`Rig::sweep`]. It must never touch an engine, an interface or a process that it did not start.

#![deny(missing_docs)]

mod authority;
mod balancer;
mod binaries;
mod capture;
mod cli;
mod clock;
mod cluster;
mod engine;
mod error;
mod host;
mod http;
mod https;
mod identity;
mod image;
mod load;
mod node;
mod pebble;
mod process;
mod record;
mod rig;
mod shell;
mod stack;
mod timeline;
mod traffic;
mod trickle;
mod unwilling;
mod vantage;
mod wait;

pub use authority::{Authority, AuthorityOptions};
pub use binaries::Binaries;
pub use capture::Capture;
pub use cli::{Cli, CliOutput};
pub use clock::Skew;
pub use cluster::{Cluster, Joined};
pub use engine::{Container, Engine};
pub use error::HarnessError;
pub use host::{Direction, Host};
pub use http::http_get;
pub use https::{Shown, https_get};
pub use image::{busybox_image, busybox_image_with, program_image, shop_image};
pub use load::{Load, Requests, Target, Targets};
pub use node::{Node, NodeOptions};
pub use pebble::Pebble;
pub use process::{Process, Signal};
pub use rig::{Rig, RigOptions};
pub use shell::{Run, run};
pub use stack::Stack;
pub use timeline::{Happening, Moment, Timeline, lowest};
pub use traffic::{Flow, Traffic};
pub use trickle::{Trickle, Trickled};
pub use unwilling::{Refusal, Unwilling};
pub use vantage::Vantage;
pub use wait::{Patience, until};

/// What every fallible call of the harness returns.
pub type Result<T, E = HarnessError> = std::result::Result<T, E>;
