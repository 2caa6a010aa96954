//! Deciding code is synchronous and pure: no runtime, no network, no clock, no dice, no hash-map order.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules that decide, relative to the workspace.
const DECIDING: &[&str] = &[
    "jaco-api/src/model",
    "jaco-api/src/manifest",
    "jaco-api/src/convert",
    "jaco-engine/src/command",
    "jaco-engine/src/state",
    "jaco-engine/src/scheduler",
    "jaco-engine/src/assignment",
    "jaco-engine/src/summary",
    "jaco-engine/src/summary.rs",
    "jaco-engine/src/admission/admit",
    "jaco-engine/src/node/metrics/ready.rs",
    "jaco-engine/src/node/metrics/text.rs",
    "jaco-engine/src/node/plane/meshed.rs",
    "jaco-engine/src/rpc/exec/target.rs",
    "jaco-engine/src/rpc/logs/order.rs",
    "jaco-engine/src/rpc/logs/position.rs",
    "jaco-engine/src/rpc/rows.rs",
    "jaco-ingress/src/acme/challenge.rs",
    "jaco-ingress/src/acme/phase",
    "jaco-ingress/src/proxy/choose.rs",
    "jaco-ingress/src/proxy/headers.rs",
    "jaco-ingress/src/proxy/proxy_header.rs",
    "jaco-ingress/src/route",
    "jaco-ingress/src/tls/check.rs",
    "jaco-ingress/src/tls/table.rs",
    "jaco-net/src/dns/forward/said.rs",
    "jaco-net/src/dns/labels.rs",
    "jaco-net/src/dns/names.rs",
    "jaco-net/src/dns/query.rs",
    "jaco-net/src/dns/reply.rs",
    "jaco-net/src/dns/zone",
    "jaco-net/src/dns/zone.rs",
    "jaco-net/src/firewall/check.rs",
    "jaco-net/src/firewall/interface.rs",
    "jaco-net/src/firewall/listing.rs",
    "jaco-net/src/firewall/loaded.rs",
    "jaco-net/src/firewall/pins.rs",
    "jaco-net/src/firewall/policy.rs",
    "jaco-net/src/firewall/render.rs",
    "jaco-net/src/firewall/sets.rs",
    "jaco-net/src/firewall/verdict.rs",
    "jaco-runtime/src/pressure/parse.rs",
    "jaco-runtime/src/pressure/replica.rs",
    "jaco-runtime/src/spec",
    "jaco-runtime/src/spec.rs",
    "jaco-runtime/src/reconcile/hooks.rs",
    "jaco-runtime/src/reconcile/step.rs",
    "jaco-runtime/src/reconcile/diff.rs",
];

/// What none of them may name, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("tokio", "an async runtime"),
    ("tonic::transport", "the network"),
    ("async fn", "asynchronous code"),
    (".await", "asynchronous code"),
    ("SystemTime::now", "a clock"),
    ("Instant::now", "a clock"),
    ("rand::", "randomness"),
    ("Uuid::new_v4", "randomness"),
    ("HashMap", "hash-map order"),
    ("HashSet", "hash-map order"),
    ("std::fs", "files"),
    ("std::net::Tcp", "the network"),
    ("std::env", "the process environment"),
];

/// Named exceptions: (file suffix, what it may name, why that is harmless).
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "convert/error.rs",
        "HashMap",
        "the generated ErrorInfo holds one; the model's map is ordered",
    ),
    (
        "jaco-ingress/src/route/hosts.rs",
        "HashMap",
        "its wrapper cannot be walked over, so nobody sees an order",
    ),
];

fn sources(path: &Path, into: &mut Vec<PathBuf>) {
    if path.is_file() && path.extension().is_some_and(|e| e == "rs") {
        into.push(path.to_owned());
    } else if path.is_dir() {
        for entry in fs::read_dir(path).expect("a readable source folder") {
            sources(&entry.expect("a readable entry").path(), into);
        }
    }
}

/// The part of a file that ships: tests may use what they like.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Whether a line names this word, and not only one that begins like it.
fn names(line: &str, word: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let open = word.ends_with("::") || word == "std::net::Tcp";
    line.match_indices(word).any(|(at, _)| open || !goes_on(&line[at + word.len()..]))
}

#[test]
fn deciding_code_names_nothing_impure() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate has a parent");
    let mut files = Vec::new();
    for module in DECIDING {
        sources(&workspace.join(module), &mut files);
    }
    files.retain(|f| !f.ends_with("tests.rs"));
    assert!(files.len() > 30, "only {} files found: has a module moved?", files.len());
    let mut found = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("a readable source file");
        for (number, line) in shipped(&text).lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for (word, what) in FORBIDDEN {
                let excused = EXCEPTIONS
                    .iter()
                    .any(|(suffix, allowed, _)| file.ends_with(suffix) && allowed == word);
                if names(line, word) && !excused {
                    found.push(format!("{}:{}: {what}: {line}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "deciding code is not pure:\n{}", found.join("\n"));
}
