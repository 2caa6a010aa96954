//! What a member does by itself: one task per duty, each level-triggered, none waiting for another.

mod assignments;
mod caught_up;
mod documents;
mod isolation;
mod keys;
mod load;
mod mesh;
mod reports;
mod session;
mod standing;

pub(crate) use assignments::{InForce, keep_assigned};
pub(crate) use caught_up::catch_up;
pub(crate) use isolation::{Isolation, isolate};
pub(crate) use keys::keep_keys;
pub(crate) use load::keep_measured;
pub(crate) use mesh::keep_meshed;
pub(crate) use reports::forward;
pub(crate) use session::keep_session;
pub(crate) use standing::{Standing, keep_standing};
