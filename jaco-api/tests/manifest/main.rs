//! The manifest language from outside: what is accepted, what is refused and in which words.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod accepted;
mod attributes;
mod causes;
mod cron;
mod differences;
mod documented;
mod explained;
mod files;
mod folding;
mod large;
mod lifecycle;
mod privileges;
mod properties;
mod proxy_protocol;
mod refused;
mod routes;
mod schema;
mod speed;
mod stable;
mod support;
