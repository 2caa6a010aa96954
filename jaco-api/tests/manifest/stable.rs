//! The digest of a container: what changes it and what does not.

use std::collections::BTreeSet;

use jaco_api::model::Digest;

use crate::support::{Memory, NAME, document, resolved};

const BASE: &str = "
services:
  web:
    image: nginx:1
    environment: {A: '1', B: '2'}
    labels: {x: 'y'}
    command: [a, b]
    networks: [front, back]
    volumes: ['data:/data', 'more:/more']
    cap_drop: [ALL, CHOWN]
    expose: ['80', '81']
    ulimits: {nofile: 10}
    healthcheck: {test: [CMD, x], interval: 90s}
  other: {image: other}
networks: {front: {}, back: {internal: true}}
volumes: {data: {}, more: {driver: local}}
";

fn web(compose: &str) -> Digest {
    document(compose).services["web"].1.digest()
}

fn edited(from: &str, to: &str) -> String {
    assert!(BASE.contains(from), "{from}");
    BASE.replace(from, to)
}

#[test]
fn comments_order_and_format_do_not_change_it() {
    let base = web(BASE);
    for same in [
        edited("    image", "    # a comment\n    image"),
        edited("{A: '1', B: '2'}", "{B: '2', A: '1'}"),
        edited("{A: '1', B: '2'}", "[\"B=2\", A=1]"),
        edited("{A: '1', B: '2'}", "{A: 1, B: 2} # numbers"),
        edited("[front, back]", "[back, front]"),
        edited("[front, back]", "{back: , front: {}}"),
        edited("[a, b]", "a b"),
        edited("['data:/data', 'more:/more']", "['more:/more/', 'data:/data:rw']"),
        edited("[ALL, CHOWN]", "[cap_chown, ALL]"),
        edited("['80', '81']", "['80-81/tcp']"),
        edited("{nofile: 10}", "{nofile: {soft: 10, hard: 10}}"),
        edited("90s", "1m30s"),
        edited("{front: {}, back", "{front: , back"),
        edited("    image: nginx:1\n", "    image: nginx:1\n    stop_grace_period: 10s\n"),
        edited("  other: {image: other}", "  other: {image: changed}"),
        edited("{x: 'y'}", "{x: 'y', jaco.io/singleton: 'true', jaco.io/reschedule-after: 1m}"),
        edited(
            "    command",
            "    deploy: {placement: {preferences: [{spread: node.labels.z}]}}\n    command",
        ),
        edited("\nservices", "\nx-note: &n {a: 1}\nservices"),
        BASE.replace('\n', "\r\n"),
    ] {
        assert_eq!(web(&same), base, "{same}");
    }
}

#[test]
fn every_semantic_edit_changes_it() {
    let edits = [
        edited("nginx:1", "nginx:2"),
        edited("A: '1'", "A: '2'"),
        edited("A: '1'", "A:"),
        edited("x: 'y'", "x: 'z'"),
        edited("[a, b]", "[a b]"),
        edited("[a, b]", "[]"),
        edited("[front, back]", "[front]"),
        edited("data:/data", "data:/data2"),
        edited("data:/data", "data:/data:ro"),
        edited("[ALL, CHOWN]", "[ALL]"),
        edited("'81'", "'82'"),
        edited("nofile: 10", "nofile: 11"),
        edited("90s", "91s"),
        // What it references.
        edited("internal: true", "internal: false"),
        edited("data: {}", "data: {labels: {a: b}}"),
        edited("data: {}", "data: {name: other}"),
    ];
    let digests: BTreeSet<Digest> = edits.iter().map(|e| web(e)).chain([web(BASE)]).collect();
    assert_eq!(digests.len(), edits.len() + 1);
}

#[test]
fn the_schedule_is_no_part_of_it() {
    let base = web(BASE);
    let deploy = edited(
        "    image: nginx:1\n",
        "    image: nginx:1\n    depends_on: [other]\n    ports: ['8080:80']\n    deploy: {replicas: 3, update_config: {delay: 1s}}\n",
    );
    assert_eq!(web(&deploy), base);
    let jaco = format!("{NAME}services: [{{name: web, replicas: 2, placement: pack}}]\n");
    let overridden = resolved(&jaco, BASE, &Memory::default()).document;
    assert_eq!(overridden.services["web"].1.digest(), base);
}
