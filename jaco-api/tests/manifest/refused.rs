//! Wrong manifests and the words they are refused with. Each group is one golden file.

use std::fmt::Write as _;

use jaco_api::{
    error::ErrorCode,
    manifest::{Severity, Source, check, render, unknown_hosts},
    model::NodeName,
};

use crate::support::{NAME, compose, jaco, problems};

/// Compares with the golden file of the test.
macro_rules! golden {
    ($text:expr $(,)?) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}

const WEB: &str = "services:\n  web:\n    image: nginx\n";

/// Renders every case: title, then what is said about it.
fn transcript(cases: &[(&str, &str, &str)]) -> String {
    let mut out = String::new();
    for (title, jaco, compose) in cases {
        let problems = problems(jaco, compose);
        assert!(!problems.is_empty(), "nothing is said about: {title}");
        let _ = writeln!(out, "=== {title} ===\n{}", render(&problems, false));
    }
    out
}

/// The same for compose files with the smallest jaco.yaml.
fn of_compose(cases: &[(&str, &str)]) -> String {
    transcript(&cases.iter().map(|(t, c)| (*t, NAME, *c)).collect::<Vec<_>>())
}

/// The same for one service with the attributes given.
fn of_service(cases: &[(&str, &str)]) -> String {
    let files: Vec<(&str, String)> = cases
        .iter()
        .map(|(title, attributes)| {
            (*title, format!("services:\n  web:\n    image: nginx\n    {attributes}\n"))
        })
        .collect();
    of_compose(&files.iter().map(|(t, c)| (*t, c.as_str())).collect::<Vec<_>>())
}

/// The same for jaco.yaml with the smallest compose file.
fn of_jaco(cases: &[(&str, &str)]) -> String {
    transcript(&cases.iter().map(|(t, j)| (*t, *j, WEB)).collect::<Vec<_>>())
}

#[test]
fn files_that_are_no_yaml() {
    let deep = format!("a: {}{}", "[".repeat(300), "]".repeat(300));
    let deep_block: String = (0..100).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    golden!(transcript(&[
        ("both empty", "", ""),
        ("only comments", "# nothing\n", "# nothing\n"),
        ("binary", "deployment: shop\n", "\u{7f}ELF\u{1}\u{0}\u{0}"),
        ("NUL in the middle", "deployment: sh\0op\n", WEB),
        ("control characters", NAME, "services: \u{1b}[31m\n"),
        ("tab as indentation", NAME, "services:\n\tweb: {}\n"),
        ("not closed", NAME, "services: {web: [\n"),
        ("not closed quote", NAME, "services: \"web\n"),
        ("a quote that reaches too far", NAME, "services:\n  web: \"a\n  api: \"b\"\n"),
        ("text after a quote", NAME, "services:\n  web: {image: 'a' b}\n"),
        ("an item at the wrong depth", NAME, "services:\n  web:\n    image: a\n   tty: true\n"),
        ("a list at the wrong depth", NAME, "x-a:\n  - a\n - b\n"),
        ("no colon", NAME, "services:\n  web\n  api: {}\n"),
        ("no space after the colon", NAME, "services:\n  web:\n    image:nginx\n    tty: true\n"),
        ("a second colon", NAME, "services:\n  web:\n    image: nginx: 1\n"),
        ("a key below a value", NAME, "services:\n  web:\n    image: nginx\n      tty: true\n"),
        ("no comma", NAME, "services: {web: {expose: [1 2, \"3\" \"4\"]}}\n"),
        ("no brace", NAME, "services: {web: {image: a]}\n"),
        ("an anchor with a typo", NAME, "x-a: &common {}\nservices: {web: {<<: *comon}}\n"),
        ("several documents", NAME, "services: {}\n---\nservices: {}\n"),
        (
            "duplicate keys",
            "deployment: a\ndeployment: b\n",
            "services:\n  web: {image: a, image: b}\n  web: {image: c}\n"
        ),
        ("deep flow nesting", NAME, &deep),
        ("deep block nesting", NAME, &deep_block),
        ("unknown alias", NAME, "services: *nope\n"),
        ("recursive alias", NAME, "services: &a {web: *a}\n"),
        ("merge of a text", NAME, "services: {web: {<<: text, image: a}}\n"),
        ("a list as key", NAME, "services: {[a, b]: c}\n"),
        ("tag", NAME, "services: !secret null\n"),
        ("a text", "deployment", "services"),
        ("a list", "- deployment", "- services"),
        (
            "CRLF and a mark of byte order keep their places",
            NAME,
            "\u{feff}services:\r\n  web:\r\n    imgae: nginx\r\n"
        ),
    ]));
}

#[test]
fn files_that_are_too_large() {
    let large = format!("{WEB}# {}\n", "x".repeat(4 << 20));
    let found = problems(NAME, &large);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, ErrorCode::ParseFailed);
    assert!(found[0].message.contains("the most are 4 MiB"), "{}", found[0].message);
    let env = format!("x-a: &a \"{}\"\nx-b: [{}]\n{WEB}", "y".repeat(100_000), "*a, ".repeat(60));
    let found = problems(NAME, &env);
    assert!(found[0].message.contains("above 4 MiB"), "{}", found[0].message);
}

#[test]
fn alias_bombs_are_stopped() {
    let mut bomb = "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n".to_owned();
    for level in 1..10 {
        let alias = format!("*x{}, ", level - 1).repeat(10);
        let _ = writeln!(bomb, "x{level}: &x{level} [{alias}]");
    }
    let began = std::time::Instant::now();
    golden!(of_compose(&[("a billion laughs", &bomb)]));
    assert!(began.elapsed().as_secs() < 20);
}

#[test]
fn a_flood_of_problems_is_cut_and_still_an_error() {
    let warnings: String = (0..300).map(|i| format!("  s{i}: {{image: 'a$X{i}'}}\n")).collect();
    let found = problems(NAME, &format!("services:\n{warnings}  last: {{imgae: a}}\n"));
    assert!(found.len() <= 201);
    assert!(found.iter().any(|d| d.severity == Severity::Error && d.message.contains("imgae")));
    assert!(found.last().is_some_and(|d| d.message.contains("more problems")));
}

#[test]
fn jaco_yaml() {
    golden!(of_jaco(&[
        ("no deployment", "services: []\n"),
        ("bad deployment names", "deployment: My_Shop\n"),
        ("long deployment name", "deployment: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"),
        ("deployment is a list", "deployment: [a]\n"),
        (
            "unknown keys at every level",
            "deployment: shop\nenviroment: .env\nservices: [{name: web, replcias: 2}]\nroutes: [{service: web, prot: 80, port: 80}]\n"
        ),
        ("wrong types", "deployment: shop\nservices: {web: {}}\nroutes: web\nacme: maybe\n"),
        ("not built yet", "deployment: shop\nservices: [{name: web, autoscale: {}}]\n"),
        (
            "unknown service",
            "deployment: shop\nservices: [{name: wbe}]\nroutes: [{service: api, port: 80}]\n"
        ),
        (
            "a service without name, one twice",
            "deployment: shop\nservices: [{replicas: 1}, {name: web}, {name: web}]\n"
        ),
        (
            "replicas",
            "deployment: shop\nservices: [{name: web, replicas: -1}, {name: web, replicas: many}]\n"
        ),
        ("huge replicas", "deployment: shop\nservices: [{name: web, replicas: 4000000000}]\n"),
        (
            "global with replicas",
            "deployment: shop\nservices: [{name: web, placement: global, replicas: 2}]\n"
        ),
        (
            "hosts placement without hosts",
            "deployment: shop\nservices: [{name: web, placement: hosts}]\n"
        ),
        (
            "no host at all",
            "deployment: shop\nservices: [{name: web, placement: hosts, hosts: []}]\n"
        ),
        (
            "hosts without hosts placement",
            "deployment: shop\nservices: [{name: web, hosts: [a]}]\n"
        ),
        (
            "more replicas than hosts",
            "deployment: shop\nservices:\n  - name: web\n    placement: hosts\n    hosts: [a, b]\n    replicas: 3\n"
        ),
        (
            "bad hosts",
            "deployment: shop\nservices: [{name: web, placement: hosts, hosts: [a, a, B_c, 42]}]\n"
        ),
        ("bad placement", "deployment: shop\nservices: [{name: web, placement: spred}]\n"),
        (
            "bad constraint",
            "deployment: shop\nservices: [{name: web, constraints: [disk, 'node.labels == x', 'node.labels.a ==', 'engine.labels.x == y']}]\n"
        ),
        ("unknown network", "deployment: shop\nservices: [{name: web, networks: [bcak]}]\n"),
        ("route without service and port", "deployment: shop\nroutes: [{domain: a.example}]\n"),
        (
            "two catch-all routes",
            "deployment: shop\nroutes:\n  - {service: web, port: 80}\n  - {service: web, port: 81, domain: '*'}\n"
        ),
        (
            "the same route twice",
            "deployment: shop\nroutes:\n  - {domain: a.example, path: /api, service: web, port: 80}\n  - {domain: A.example, path: /api/, service: web, port: 81}\n"
        ),
        (
            "mixed tls on one domain",
            "deployment: shop\nroutes:\n  - {domain: a.example, service: web, port: 80}\n  - {domain: a.example, path: /x, service: web, port: 80, tls: off}\n"
        ),
        (
            "certificate without a domain",
            "deployment: shop\nroutes: [{service: web, port: 80, tls: auto}]\n"
        ),
        (
            "bad domains",
            "deployment: shop\nroutes:\n  - {domain: 'https://a.example/x', service: web, port: 80}\n  - {domain: 'a b', service: web, port: 80}\n  - {domain: '-a.example', service: web, port: 80}\n"
        ),
        (
            "bad ports and paths",
            "deployment: shop\nroutes:\n  - {domain: a.example, service: web, port: 0}\n  - {domain: b.example, service: web, port: http}\n  - {domain: c.example, service: web, port: 80, path: api}\n  - {domain: d.example, service: web, port: 80, path: /a/../b}\n"
        ),
        ("missing environment file", "deployment: shop\nenvironment: .env\n"),
    ]));
}

#[test]
fn the_top_of_a_compose_file() {
    golden!(of_compose(&[
        ("no services", "volumes: {}\n"),
        ("services are empty", "services: {}\n"),
        ("services are a list", "services: [web]\n"),
        ("a service without content", "services:\n  web:\n"),
        ("a service without image", "services: {web: {build: .}, api: {command: x}}\n"),
        ("bad service names", "services: {'we b': {image: a}, -x: {image: a}}\n"),
        (
            "bad network and volume names",
            "services: {web: {image: a}}\nnetworks: {'a/b': }\nvolumes: {'a b': }\n"
        ),
        (
            "unknown keys at every level",
            "servcies: {}\nservices:\n  web: {image: a, comand: x, deploy: {replica: 1, resources: {limit: {}}, placement: {constraint: []}}, healthcheck: {tests: x}, logging: {drver: x}}\nnetworks: {default: {internl: true}}\nvolumes: {data: {externl: true}}\n"
        ),
        (
            "without effect",
            "version: '3'\nname: x\nservices: {web: {image: a, restart: always, build: ., attach: true, develop: {}}, api: {image: a, restart: always}, db: {image: a, restart: 'no'}}\n"
        ),
        (
            "of old formats",
            "services: {web: {image: a, log_driver: x, log_opt: {}, net: host, volume_driver: x, dockerfile: y}}\n"
        ),
        (
            "networks",
            "services: {web: {image: a}}\nnetworks: {a: {external: true}, b: {ipam: {}}, c: {driver: macvlan}, d: {driver: overlay}, e: {enable_ipv6: true}, f: text}\n"
        ),
        ("unknown dependency", "services: {web: {image: a, depends_on: [dbb]}, db: {image: d}}\n"),
        (
            "self and circle",
            "services:\n  a: {image: a, depends_on: [a]}\n  b: {image: b, depends_on: [c]}\n  c: {image: c, depends_on: {d: {condition: service_healthy}}}\n  d: {image: d, links: [b]}\n"
        ),
        (
            "dependency on a profile",
            "services: {web: {image: a, depends_on: [db]}, db: {image: d, profiles: [x]}}\n"
        ),
        (
            "waits for what never ends",
            "services:\n  web: {image: a, depends_on: {db: {condition: service_completed_successfully}}}\n  db: {image: d, deploy: {restart_policy: {condition: any}}}\n"
        ),
        (
            "bad condition",
            "services: {web: {image: a, depends_on: {db: {condition: service_health}}}, db: {image: d}}\n"
        ),
        (
            "the same published port",
            "services: {web: {image: a, ports: ['8080:80']}, api: {image: a, ports: ['8079-8081:1-3']}}\n"
        ),
    ]));
}

#[test]
fn attributes_of_a_service() {
    golden!(of_service(&[
        ("a list for a text", "hostname: [a]"),
        (
            "wrong types",
            "command: {a: b}\n    environment: text\n    labels: [[a]]\n    privileged: maybe\n    init: 3\n    cap_add: ALL\n    user: {}\n    deploy: []"
        ),
        ("environment", "environment: ['=x', A=1, A=2]"),
        ("nested environment", "environment: {A: [1], B: {c: d}}"),
        ("command quotes", "command: sh -c 'echo\n    entrypoint: \"x \\\\\""),
        (
            "ports",
            "ports: ['80:80', '0:1', 'x', '1-2:3', '127.0.0.1:8080:80', '8080:80/sctp', '9-8:1-2', '1:2:3:4:5', {published: 9}, {target: 70000}, {target: 8, publised: 9}]"
        ),
        (
            "reserved ports in every form",
            "ports: ['443:8443', {target: 1, published: 80}, '79-81:79-81']"
        ),
        ("too many ports", "ports: ['1000-30000:1000-30000']\n    expose: ['1-65535']"),
        (
            "volumes",
            "volumes: [nope:/x, 'data:rel', 'a:b:c:d', '/a:/b:wx', {type: bind, target: /t}, {type: npipe, target: /t}, {source: a, target: /t}, {type: volume}, {type: tmpfs, source: x, target: /t}, '~/x:/y', '/a:/']"
        ),
        ("two mounts at one path", "tmpfs: /run\n    volumes: [/run/]"),
        ("tmpfs", "tmpfs: ['run', '/run:size=x', '/tmp:uid=1', '/t:mode=99']"),
        (
            "healthcheck",
            "healthcheck: {test: [curl, x], interval: 5, timeout: soon, retries: -1, start_interval: 1s}"
        ),
        (
            "amounts",
            "mem_limit: 5x\n    shm_size: -1\n    cpus: many\n    pids_limit: a\n    stop_grace_period: 10"
        ),
        (
            "deploy",
            "deploy: {mode: globl, replicas: x, endpoint_mode: y, resources: {limits: {cpus: -1, memory: lots}, reservations: {devices: []}}, update_config: {order: first, max_failure_ratio: 2, parallelism: -1}, restart_policy: {condition: always}, rollback_config: {}, placement: {preferences: [{spread: zone}, {spred: node.labels.a}, node.labels.b, {spread: node.labels.}]}}"
        ),
        ("global with replicas", "deploy: {mode: global, replicas: 2}"),
        (
            "a singleton",
            "deploy: {replicas: 2, labels: {jaco.io/singleton: true}, update_config: {order: start-first}}"
        ),
        ("a global singleton", "labels: [jaco.io/singleton=on]\n    deploy: {mode: global}"),
        (
            "wishes for the scheduler",
            "labels: {jaco.io/singleton: maybe, jaco.io/reschedule-after: 30}\n    deploy: {labels: [jaco.io/singelton=true, jaco.io/reschedule-after=soon]}"
        ),
        (
            "wishes that differ",
            "labels: {jaco.io/reschedule-after: 1m}\n    deploy: {labels: {jaco.io/reschedule-after: 2m}}"
        ),
        (
            "wishes without effect",
            "volumes: [data:/data]\n    deploy: {labels: {jaco.io/reschedule-after: 1m}}\nvolumes: {data: {}}"
        ),
        ("networks", "networks: [front]\n    extra_hosts: ['a', 'a=b']\n    dns: [x]"),
        ("fixed address", "networks: {default: {ipv4_address: 10.0.0.1}}"),
        ("networks and mode", "networks: [default]\n    network_mode: none"),
        ("host network", "network_mode: host"),
        (
            "service network",
            "network_mode: 'service:'\n    pid: 'service:'\n    ipc: container:x\n    uts: service:x"
        ),
        ("container network", "network_mode: container:db"),
        ("volumes of others", "volumes_from: [container:x, 'db:rx', ':ro', db, 'db:ro', [x]]"),
        ("limits", "ulimits: {nofile: {soft: 5, hard: 2}, nproc: {soft: 1}, core: x}"),
        ("pull policy and platform", "pull_policy: build\n    platform: arm"),
        (
            "what equals access to the host",
            "privileged: true\n    cap_add: [SYS_ADMIN]\n    security_opt: ['seccomp:unconfined']\n    volumes: ['/var/run/docker.sock:/s']"
        ),
        (
            "variables",
            "command: [\"${UNSET}\", '${NEED:?give it}', 'x ${A', '$']\n    labels: {a: \"b $UNSET\"}\n    user: |\n      ${A:?in a block}"
        ),
        ("env files", "env_file: [missing.env, {path: a, format: json}, {required: false}, [x]]"),
    ]));
}

#[test]
fn services_beside_others() {
    let both = |services: &str, jaco: &str| {
        let services = services.replace("{image}", "image: busybox");
        (format!("deployment: shop\n{jaco}"), format!("services:\n{services}"))
    };
    let cases: Vec<(&str, (String, String))> = vec![
        ("itself", both("  a: {{image}, network_mode: service:a}\n", "")),
        ("unknown", both("  app: {{image}, pid: service:vpm}\n  vpn: {{image}}\n", "")),
        (
            "left out",
            both("  app: {{image}, ipc: service:vpn}\n  vpn: {{image}, profiles: [x]}\n", ""),
        ),
        (
            "two",
            both(
                "  app:\n    image: busybox\n    network_mode: service:vpn\n    volumes_from: [vpn, db]\n  \
                 vpn: {{image}}\n  db: {{image}}\n",
                "",
            ),
        ),
        (
            "a row",
            both(
                "  a: {{image}, network_mode: service:b}\n  b: {{image}, pid: service:c}\n  c: {{image}}\n",
                "",
            ),
        ),
        (
            "each beside the other",
            both("  a: {{image}, network_mode: service:b}\n  b: {{image}, pid: service:a}\n", ""),
        ),
        (
            "a circle",
            both("  a: {{image}, network_mode: service:b}\n  b: {{image}, depends_on: [a]}\n", ""),
        ),
        (
            "what belongs to a network",
            both(
                "  app:\n    image: busybox\n    network_mode: service:vpn\n    networks: [default]\n    \
                 ports: ['8080:80']\n    expose: [80]\n    hostname: h\n    extra_hosts: ['a=10.0.0.1']\n    \
                 dns: 10.0.0.2\n    dns_search: x\n    dns_opt: ['ndots:1']\n    links: [vpn]\n  vpn: {{image}}\n",
                "services: [{name: app, networks: [default]}]\nroutes: [{domain: a.example, service: app, port: 80}]\n",
            ),
        ),
        (
            "what its lead decides",
            both(
                "  app:\n    image: busybox\n    network_mode: service:vpn\n    \
                 labels: {jaco.io/singleton: 'true', jaco.io/reschedule-after: 1m}\n    deploy:\n      \
                 replicas: 3\n      placement: {constraints: [node.labels.a == b]}\n      \
                 update_config: {order: start-first}\n  vpn: {{image}, deploy: {replicas: 2}}\n",
                "services: [{name: app, placement: spread, constraints: [node.labels.c == d], schedule: '@daily'}]\n",
            ),
        ),
        (
            "everywhere",
            both(
                "  app: {{image}, pid: service:vpn, deploy: {mode: global}}\n  vpn: {{image}}\n",
                "",
            ),
        ),
        (
            "a number beside what is everywhere",
            both(
                "  app: {{image}, pid: service:vpn, deploy: {replicas: 2}}\n  \
                 vpn: {{image}, deploy: {mode: global}}\n",
                "",
            ),
        ),
        (
            "another number in jaco.yaml",
            both(
                "  app: {{image}, pid: service:vpn}\n  vpn: {{image}}\n",
                "services: [{name: vpn, replicas: 2}, {name: app, replicas: 1}]\n",
            ),
        ),
        (
            "what ends",
            both(
                "  app: {{image}, pid: service:job}\n  \
                 job: {{image}, deploy: {restart_policy: {condition: none}}}\n  \
                 more: {{image}, pid: service:timed}\n  timed: {{image}}\n",
                "services: [{name: timed, schedule: '@daily'}]\n",
            ),
        ),
        (
            "memory that is not shared",
            both(
                "  a: {{image}, ipc: service:vpn}\n  vpn: {{image}, ipc: private}\n  \
                 b: {{image}, ipc: service:db}\n  db: {{image}, ipc: none}\n",
                "",
            ),
        ),
    ];
    let cases: Vec<_> = cases
        .iter()
        .map(|(title, (jaco, compose))| (*title, jaco.as_str(), compose.as_str()))
        .collect();
    golden!(transcript(&cases));
}

#[test]
fn the_daemon_refuses_what_only_the_client_can_do() {
    let text = "services:\n  web:\n    image: nginx\n    env_file: a.env\n    volumes: [./a:/b]\n    environment: {A: $B}\n";
    let problems = check(&jaco(NAME), &compose(text)).unwrap_err();
    golden!(render(&problems, false));
    assert_eq!(problems[0].code, ErrorCode::EnvFileUnresolved);
}

#[test]
fn problems_of_both_files_come_together_and_in_order() {
    let problems = problems(
        "deployment: X\nroutes: [{service: nope, port: 80}]\nextra: 1\n",
        "services:\n  web: {image: 'a b', ports: ['80:80']}\n  api: {imgae: x}\n",
    );
    let places: Vec<_> = problems.iter().map(|d| (d.file.as_str(), d.line)).collect();
    assert_eq!(
        places,
        [
            ("jaco.yaml", 1),
            ("jaco.yaml", 2),
            ("jaco.yaml", 3),
            ("compose.yml", 2),
            ("compose.yml", 2),
            ("compose.yml", 3),
        ]
    );
}

#[test]
fn unknown_hosts_are_named_with_the_members() {
    let members = ["node-a", "node-b"].iter().map(|n| NodeName::new(n).unwrap()).collect();
    let source = Source {
        name: "jaco.yaml".to_owned(),
        text: "deployment: shop\nservices:\n  - name: web\n    placement: hosts\n    hosts: [node-a, nodeb, other]\n"
            .to_owned(),
    };
    golden!(render(&unknown_hosts(&source, &members), false));
}

#[test]
fn colours_are_only_there_when_asked_for() {
    let problems = problems("", "");
    assert!(!render(&problems, false).contains('\u{1b}'));
    assert!(render(&problems, true).contains("\u{1b}[1;31merror[validation_failed]"));
}
