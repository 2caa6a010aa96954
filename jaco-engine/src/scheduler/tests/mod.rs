//! Plans as transcripts, and what holds of all plans.

mod filters;
mod losing;
mod placement;
mod properties;
mod rollouts;
mod touching;
