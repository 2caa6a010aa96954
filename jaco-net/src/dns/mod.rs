//! Names: a responder on the gateway of each local bridge.
//!
//! Input is [`Names`], plain data made from replicated state; output is what containers are answered. What a node
//! knows itself is answered from a [`Zone`], everything else is forwarded. A responder must never answer anybody
//! but the containers behind its bridge, must never give one network's names to another, and must never turn an
//! upstream that cannot be reached into a name that does not exist.
//!
//! Bytes of others are read by hickory-proto where they are questions, and only walked through where they are
//! answers that are handed on. The sockets are our own: `docs/design/names.md` says why.

mod forward;
mod labels;
mod names;
mod query;
mod reply;
mod resolver;
mod server;
mod tally;
mod zone;

pub use forward::Forwarders;
pub use names::{Bridge, Container, Endpoint, NamedPort, NamedReplica, NamedService, Names};
pub use resolver::{FORWARDER_TIMEOUT, Resolver};
pub use server::{ListenError, Listening, Responders};
pub use tally::{QueryOutcome, Tally};
pub use zone::Zone;

/// For the fuzz targets.
#[cfg(feature = "testing")]
pub(crate) mod sealed {
    pub(crate) use super::{
        forward::{Key, Reading, nameservers, read},
        query::{Query, Transport},
        resolver::Step,
    };
}
