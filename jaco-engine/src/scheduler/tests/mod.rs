//! Plans as transcripts, and what holds of all plans.

mod addresses;
mod companions;
mod companions_whatever;
mod emptying;
mod filters;
mod histories;
mod losing;
mod placement;
mod properties;
mod rebalancing;
mod rollouts;
mod runs;
mod spreading;
mod touching;
