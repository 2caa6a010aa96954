//! Commands that reach into containers.

pub mod cp;
pub mod exec;
pub mod port_forward;
mod terminal;
pub mod tree;
