//! The kernel's firewall meets real packets. Needs root; says so when it is skipped.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod drift;
mod edges;
mod engine;
mod flows;
mod homes;
mod lab;
mod model;
mod replace;
mod scale;
mod virtuals;
mod volley;
