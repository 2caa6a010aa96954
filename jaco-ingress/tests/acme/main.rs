//! The ACME client against Debian's `pebble`, where it is installed, and against a CA that misbehaves.
//!
//! `JACO_REQUIRE_RIG` makes a missing program a failure.
#![cfg(feature = "acme")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod faults;
mod lab;
mod names;
mod orders;
mod pki;
mod resume;
mod term;
