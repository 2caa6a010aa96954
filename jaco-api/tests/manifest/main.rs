//! The manifest language from outside: what is accepted, what is refused and in which words.

mod accepted;
mod cron;
mod differences;
mod documented;
mod properties;
mod refused;
mod stable;
mod support;
