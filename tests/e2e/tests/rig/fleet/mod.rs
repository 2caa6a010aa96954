//! Scenarios of three hosts.

pub(crate) mod joining;
pub(crate) mod leadership;
mod lives;
pub(crate) mod minority;
mod serving;
pub(crate) mod singleton;
pub(crate) mod spread;
pub(crate) mod strangers;
pub(crate) mod updates;
pub(crate) mod wire;
