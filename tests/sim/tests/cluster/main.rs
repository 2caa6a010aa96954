//! Whole clusters in process, in paused time: what no seed has to come across.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod cron;
mod failover;
mod idle;
mod joining;
mod lagging;
mod minority;
mod removed;
mod support;
mod voters;
