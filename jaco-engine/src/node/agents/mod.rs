//! What a member does by itself: one task per duty, each level-triggered, none waiting for another.

mod assignments;
mod bridges;
mod caught_up;
mod doctor;
mod documents;
mod fabric;
mod ingress;
mod isolation;
mod keys;
mod load;
mod looks;
mod mesh;
mod names;
mod proof;
mod reports;
mod session;
mod standing;
mod underlay;

pub(crate) use assignments::{InForce, keep_assigned};
pub(crate) use bridges::{Bridging, keep_bridged};
pub(crate) use caught_up::catch_up;
pub(crate) use doctor::{Kept, Published, keep_proved};
pub(crate) use fabric::keep_fabric;
pub(crate) use ingress::{Serving, keep_served};
pub(crate) use isolation::{Isolating, Isolation, isolate};
pub(crate) use keys::keep_keys;
pub(crate) use load::keep_measured;
pub(crate) use looks::Looks;
pub(crate) use mesh::{Meshing, keep_meshed};
pub(crate) use names::{Answering, keep_named};
pub(crate) use proof::{Proof, Proving, prove};
pub(crate) use reports::forward;
pub(crate) use session::keep_session;
pub(crate) use standing::{Standing, keep_standing};
pub(crate) use underlay::{Parts, keep_underlay};
