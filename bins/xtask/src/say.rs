//! What developers see: the only place that prints.

use std::{
    error::Error,
    io::{IsTerminal, Write},
};

/// A heading on standard error, where all talk goes.
pub(crate) fn step(text: &str) {
    let (on, off) = if std::io::stderr().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    note(&format!("\n{on}==> {text}{off}"));
}

/// A line of talk.
pub(crate) fn note(text: &str) {
    // A closed terminal is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What nobody may overlook.
pub(crate) fn loud(text: &str) {
    let rule = "!".repeat(80);
    note(&format!("\n{rule}\n{text}\n{rule}"));
}

/// A line of data.
pub(crate) fn data(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// An error and its causes.
pub(crate) fn error(error: &dyn Error) {
    note(&format!("error: {error}"));
    let mut cause = error.source();
    while let Some(error) = cause {
        note(&format!("  because: {error}"));
        cause = error.source();
    }
}
