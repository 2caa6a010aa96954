//! Commands that change deployments, and those that go with them.

pub mod apply;
pub mod change;
pub mod delete;
pub mod diff;
pub mod history;
pub mod restart;
pub mod rollback;
pub mod scale;
pub mod start;
pub mod stop;
pub mod wait;
