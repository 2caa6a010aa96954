//! Scenarios of three hosts.

pub(crate) mod joining;
pub(crate) mod leadership;
mod lives;
pub(crate) mod minority;
pub(crate) mod singleton;
pub(crate) mod spread;
pub(crate) mod strangers;
pub(crate) mod wire;
