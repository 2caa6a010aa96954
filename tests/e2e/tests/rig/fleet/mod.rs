//! Scenarios of three hosts.

pub(crate) mod joining;
pub(crate) mod leadership;
pub(crate) mod spread;
pub(crate) mod strangers;
pub(crate) mod wire;
