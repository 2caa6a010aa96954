//! JACO beside what people use otherwise: the same work on the same rig in the same run, looked at by the
//! same observer. Gives times and ratios; judges nothing.

#![deny(missing_docs)]

mod contender;
mod ingress;
mod jaco;
mod names;
mod race;
mod swarm;
mod tunnel;

pub use contender::Contender;
pub use ingress::{Gateway, Held, Latency, Quiet, Stage};
pub use jaco::Jaco;
pub use names::{NameServer, Pace};
pub use race::{Times, median, race};
pub use swarm::Swarm;
pub use tunnel::{Cable, JacoMesh, Traffic, Tunnel, WireguardGo, throughput};
