//! Whole nodes in process and in real time, with an engine in memory.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod one_node;
mod scale;
mod support;
