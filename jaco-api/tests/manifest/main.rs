//! The manifest language from outside: what is accepted, what is refused and in which words.

mod accepted;
mod attributes;
mod cron;
mod differences;
mod documented;
mod explained;
mod files;
mod folding;
mod properties;
mod refused;
mod stable;
mod support;
