//! What must hold of every reader, whatever the bytes: not only that none panics.
//!
//! Each target takes bytes as a fuzzer makes them up and panics when a rule is broken. `fuzz/` wraps
//! them for libFuzzer (`cargo xtask fuzz`); a test replays the corpus of each with every build.

#![deny(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a panic is how a broken rule is told")]

mod configuration;
mod disk;
mod manifest;
mod messages;
mod texts;

/// A target: its name and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    ("answer", jaco_ingress::testing::fuzzing::answer),
    ("check", manifest::check),
    ("command", disk::command),
    ("contexts_yaml", configuration::contexts),
    ("disk_log", disk::log),
    ("dns", jaco_net::testing::fuzzing::dns),
    ("doctor", jaco_net::testing::fuzzing::doctor),
    ("dotenv", texts::dotenv),
    ("interpolation", texts::interpolation),
    ("jaco_yaml", manifest::jaco_yaml),
    ("jacod_yaml", configuration::daemon),
    ("messages", messages::messages),
    ("proxy_header", jaco_ingress::testing::fuzzing::proxy_header),
    ("resolve", manifest::resolve),
    ("route", jaco_ingress::testing::fuzzing::route),
    ("snapshot", disk::snapshot),
    ("tokens", configuration::tokens),
    ("values", texts::values),
    ("yaml", texts::yaml),
];

/// Runs one target.
///
/// # Panics
/// When a rule is broken, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target's name");
    target(data);
}

/// The text of an input; bytes that are no text count as the file was refused before.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
