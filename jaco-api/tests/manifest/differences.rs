//! What a dry run says.

use std::fmt::Write as _;

use jaco_api::{
    manifest::{diff, mask},
    model::{Change, Difference, ManifestDocument},
};

use crate::support::{Memory, resolved};

const COMPOSE: &str = "
services:
  web:
    image: nginx:1
    command: [run, --password, hunter2]
    environment: {SECRET: hunter2, KEEP: same}
    ports: ['8080:80']
  db:
    image: postgres
    volumes: ['data:/data']
networks: {default: {labels: {a: b}}}
volumes: {data: {driver_opts: {o: password=hunter2}}}
";
const JACO: &str = "
deployment: shop
services: [{name: web, replicas: 3}]
routes: [{domain: shop.example, service: web, port: 80}]
";

#[test]
fn another_endpoint_mode_restarts_nothing() {
    let said = change(
        ("", ""),
        ("image: postgres", "image: postgres\n    deploy: {endpoint_mode: dnsrr}"),
    );
    assert_eq!(said, "~ service db\n    endpoint: vip -> dnsrr\n    nothing is restarted\n");
}

fn manifest(jaco: &str, compose: &str) -> ManifestDocument {
    resolved(jaco, compose, &Memory::default()).document
}

fn transcript(differences: &[Difference]) -> String {
    let mut out = String::new();
    for d in differences {
        let sign = match d.change {
            Change::Added => '+',
            Change::Changed => '~',
            Change::Removed => '-',
        };
        let _ = writeln!(out, "{sign} {}", d.subject);
        if d.change == Change::Changed {
            for (path, (old, new)) in &d.fields {
                let shown = |v: &Option<String>| v.clone().unwrap_or_else(|| "-".to_owned());
                let _ = writeln!(out, "    {path}: {} -> {}", shown(old), shown(new));
            }
        }
        if let Some(effect) = &d.effect {
            let _ = writeln!(out, "    {effect}");
        }
    }
    out
}

fn change(jaco: (&str, &str), compose: (&str, &str)) -> String {
    assert!(JACO.contains(jaco.0) && COMPOSE.contains(compose.0));
    let new = manifest(&JACO.replace(jaco.0, jaco.1), &COMPOSE.replace(compose.0, compose.1));
    transcript(&diff(Some(&manifest(JACO, COMPOSE)), &new, false))
}

#[test]
fn nothing_changes_without_a_change() {
    assert_eq!(change(("", ""), ("", "")), "");
    assert_eq!(change(("", ""), ("nginx:1", "nginx:1 # comment")), "");
}

#[test]
fn everything_is_new_at_first() {
    let all = diff(None, &manifest(JACO, COMPOSE), false);
    let expected = "+ service db\n    1 replica started\n+ service web\n    3 replicas started\n\
                    + network default\n+ volume data\n+ route shop.example/\n";
    assert_eq!(transcript(&all), expected);
}

#[test]
fn fields_and_effects() {
    let mut out = String::new();
    for (title, jaco, compose) in [
        ("environment", ("", ""), ("SECRET: hunter2", "SECRET: changed, NEW: x")),
        ("image", ("", ""), ("nginx:1", "nginx:2")),
        ("scale up", ("replicas: 3", "replicas: 5"), ("", "")),
        ("scale down and replace", ("replicas: 3", "replicas: 1"), ("nginx:1", "nginx:2")),
        ("stateful", ("", ""), ("postgres", "postgres:2")),
        ("to global", ("replicas: 3", "placement: global"), ("", "")),
        ("port only", ("", ""), ("8080:80", "8081:80")),
        ("network", ("", ""), ("a: b", "a: c")),
        ("volume gone", ("", ""), ("    volumes: ['data:/data']\n", "")),
        ("route moved", ("shop.example", "new.example"), ("", "")),
        ("route changed", ("port: 80}", "port: 81}"), ("", "")),
    ] {
        let _ = writeln!(out, "=== {title} ===\n{}", change(jaco, compose));
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(out) });
}

#[test]
fn secrets_are_shown_only_when_asked_for() {
    let old = manifest(JACO, COMPOSE);
    let new = manifest(JACO, &COMPOSE.replace("hunter2", "hunter3"));
    assert!(!format!("{:?}", diff(Some(&old), &new, false)).contains("hunter"));
    assert!(format!("{:?}", diff(Some(&old), &new, true)).contains("hunter3"));
    assert!(!format!("{:?}", diff(None, &new, false)).contains("hunter"));
    let masked = mask(&new);
    assert!(!serde_json::to_string(&masked).unwrap().contains("hunter"));
    assert_eq!(masked.services["web"].1.environment["SECRET"].as_deref(), Some("•••"));
    assert_eq!(masked.services["web"].1.image, "nginx:1");
}
