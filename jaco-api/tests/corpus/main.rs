//! Forty manifests as people write them, each with mistakes people make.
//!
//! A folder holds `jaco.yaml`, `compose.yml` and what they name. A file `mistake*` in it says in its
//! first line what kind of mistake it is, then in which file, then which text is replaced by which.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod equivalence;
mod read;

use jaco_api::manifest::{Diagnostic, Severity, check, render};
use read::manifests;

/// Compares with the golden file of this name.
macro_rules! golden {
    ($name:expr, $text:expr $(,)?) => {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($name, $text);
        })
    };
}

#[test]
fn every_manifest_is_valid_and_its_warnings_are_known() {
    let mut said = String::new();
    for manifest in manifests() {
        let resolved = manifest
            .resolve()
            .unwrap_or_else(|p| panic!("{}:\n{}", manifest.name, render(&p, false)));
        if !resolved.warnings.is_empty() {
            said += &format!("=== {} ===\n{}\n", manifest.name, render(&resolved.warnings, false));
        }
    }
    golden!("warnings", said);
}

#[test]
fn the_daemon_reads_the_same_from_what_is_sent() {
    for manifest in manifests() {
        let resolved = manifest.resolve().unwrap_or_else(|p| panic!("{}", render(&p, false)));
        let compose = manifest.source("compose.yml", &resolved.compose);
        let checked = check(&manifest.jaco(), &compose)
            .unwrap_or_else(|p| panic!("{}:\n{}", manifest.name, render(&p, false)));
        assert_eq!(checked.document, resolved.document, "{}", manifest.name);
    }
}

#[test]
fn every_mistake_is_explained() {
    let mut kinds = 0;
    for manifest in manifests() {
        let mistakes = manifest.mistakes();
        assert!(!mistakes.is_empty(), "{} has no mistake", manifest.name);
        let mut said = String::new();
        for mistake in mistakes {
            kinds += 1;
            let wrong = mistake.made_in(&manifest);
            let found = wrong.resolve().err().unwrap_or_else(|| {
                panic!("{}: {} is accepted", manifest.name, mistake.kind);
            });
            said += &format!("=== {} ===\n{}\n", mistake.kind, render(&errors(&found), false));
        }
        golden!(format!("mistake-{}", manifest.name), said);
    }
    assert!(kinds >= 40, "{kinds}");
}

/// Without warnings, which have their own golden file.
fn errors(found: &[Diagnostic]) -> Vec<Diagnostic> {
    let errors = found.iter().filter(|d| d.severity == Severity::Error);
    errors.cloned().collect()
}
