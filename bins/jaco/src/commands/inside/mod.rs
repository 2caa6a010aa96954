//! Commands that reach into containers.

pub mod cp;
pub mod exec;
mod pieces;
pub mod port_forward;
mod terminal;
pub mod tree;
