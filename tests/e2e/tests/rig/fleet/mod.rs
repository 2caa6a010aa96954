//! Scenarios of three hosts.

pub(crate) mod addresses;
pub(crate) mod anywhere;
pub(crate) mod catching_up;
pub(crate) mod certificates;
pub(crate) mod companions;
pub(crate) mod cron;
pub(crate) mod doctor;
pub(crate) mod draining;
pub(crate) mod instruments;
pub(crate) mod joining;
pub(crate) mod leadership;
mod lives;
pub(crate) mod membership;
pub(crate) mod minority;
pub(crate) mod networks;
mod places;
pub(crate) mod power;
pub(crate) mod recovery;
pub(crate) mod route_options;
pub(crate) mod secrecy;
mod serving;
pub(crate) mod singleton;
pub(crate) mod spread;
pub(crate) mod strangers;
pub(crate) mod updates;
pub(crate) mod visitors;
pub(crate) mod wire;
