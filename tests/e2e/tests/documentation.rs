//! The reference pages that are made from the code say what the code says.
//!
//! `cargo xtask docs` writes them.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeSet, fmt::Write, fs, path::PathBuf};

use jaco_api::{error::ErrorCode, model::AuditKind};

fn page(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn compare(name: &str, wanted: &str) {
    let path = page(name);
    if std::env::var_os("JACO_WRITE_DOCS").is_some() {
        fs::write(&path, wanted).unwrap();
    }
    let present = fs::read_to_string(&path).unwrap_or_default();
    assert!(present == wanted, "docs/{name} is out of date: run `cargo xtask docs`");
}

#[test]
fn every_error_code_is_documented() {
    let mut text = String::from(
        "# Error codes\n\n\
         <!-- Made by `cargo xtask docs` from jaco_api::error; edits are overwritten. -->\n\n\
         Errors are printed as `Error: <code>: <message>`, and travel as `google.rpc.Status` with\n\
         `ErrorInfo { reason: <code>, domain: \"jaco.sh\" }`. Codes are added, never renamed. Replicas\n\
         that do not run carry one of them as their reason.\n",
    );
    for code in ErrorCode::ALL {
        let grpc = format!("{:?}", code.grpc());
        let _ = write!(text, "\n## `{code}`\n\n{} gRPC: `{grpc}`.\n", code.meaning().trim());
        if !code.hint().is_empty() {
            let _ = write!(text, "\nWhat to do: {}.\n", code.hint());
        }
    }
    compare("errors.md", &text);
}

#[test]
fn every_audit_type_is_documented() {
    let path = page("audit.md");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let rows: BTreeSet<&str> = text
        .lines()
        .skip_while(|line| *line != "## Types")
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`').map(|(kind, _)| kind))
        .collect();
    let kinds: BTreeSet<&str> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(rows, kinds, "docs/audit.md has one row per audit type");
}
