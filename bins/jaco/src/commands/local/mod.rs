//! Commands that need no cluster.

pub mod completion;
pub mod context;
pub mod man;
pub mod markdown;
pub mod validate;
pub mod version;
