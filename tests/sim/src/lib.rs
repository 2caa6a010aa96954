//! The simulator: whole clusters in one process, driven by a seed.
//!
//! A seed decides how many nodes there are, what operators do, and what happens to hosts, networks,
//! disks, clocks, engines and containers ([`scenario`]). The nodes are real; their hands, their network,
//! their disks and their time are not ([`jaco_engine::testing`]). At every step the [`invariants`] are
//! checked; then everything is healed, and the cluster must become what is wanted of it ([`run()`]).
//!
//! A seed replays: one process runs one seed, and all that is random in it follows from the seed
//! ([`entropy`]).

pub mod entropy;
pub mod invariants;
pub mod run;
pub mod runner;
pub mod sabotage;
pub mod scenario;
pub mod trace;
pub mod world;

pub use run::{Options, Report, run};
