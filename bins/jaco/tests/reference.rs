//! The reference page says what the program says.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{fs, path::Path};

#[test]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli/reference.md");
    let wanted = jaco_cli::commands::local::markdown::reference();
    if std::env::var_os("JACO_WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let present = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        present == wanted,
        "docs/cli/reference.md is out of date: JACO_WRITE_DOCS=1 cargo test -p jaco"
    );
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    jaco_cli::cli::Cli::command().debug_assert();
}
