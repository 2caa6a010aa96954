//! One mistake is one message, however often it shows.

use std::collections::BTreeSet;

use jaco_api::{manifest::unknown_hosts, model::NodeName};

use crate::support::{NAME, jaco, problems};

/// What is said, with file and line.
fn said(jaco: &str, compose: &str) -> Vec<String> {
    let found = problems(jaco, compose);
    found.iter().map(|d| format!("{}:{} {}", d.file, d.line, d.message)).collect()
}

#[test]
fn an_unknown_service_is_told_once_per_file() {
    let jaco = format!(
        "{NAME}services: [{{name: wbe, replicas: 2}}]\nroutes:\n  - {{service: wbe, port: 80}}\n  - {{service: wbe, port: 80, path: /b}}\n"
    );
    let compose = "services:\n  web: {image: a}\n  api: {image: a, depends_on: [wbe]}\n  job: {image: a, links: [wbe]}\n";
    assert_eq!(
        said(&jaco, compose),
        [
            "jaco.yaml:2 the service `wbe` is not defined in compose.yml (also on lines 4, 5)",
            "compose.yml:3 the service `wbe` is not defined in compose.yml (also on line 4)",
        ]
    );
}

#[test]
fn networks_and_volumes_that_are_not_defined_are_told_once() {
    let service = |n| format!("  s{n}: {{image: a, networks: [fornt], volumes: ['dta:/d']}}\n");
    let services: String = (0..12).map(service).collect();
    let compose = format!("services:\n{services}networks: {{front: }}\nvolumes: {{data: }}\n");
    let found = problems(NAME, &compose);
    let messages: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "the network `fornt` is not defined (also on lines 3, 4, 5, 6, 7, 8, 9, 10 and 3 more)",
            "the volume `dta` is not defined (also on lines 3, 4, 5, 6, 7, 8, 9, 10 and 3 more)",
        ]
    );
    assert_eq!(found[0].hint.as_deref(), Some("did you mean `front`?"));
}

#[test]
fn variables_and_files_that_are_missing_are_told_once() {
    let compose = "services:\n  a: {image: 'a:$TAG', env_file: x.env}\n  b: {image: 'a:$TAG', env_file: x.env, user: '${U:?who}'}\n  c: {image: a, user: '${U:?who}'}\n";
    assert_eq!(
        said(NAME, compose),
        [
            "compose.yml:2 the variable `TAG` is not set; it stands for nothing (also on line 3)",
            "compose.yml:2 the file `x.env` does not exist (also on line 3)",
            "compose.yml:3 the required variable `U` is not set or empty: who (also on line 4)",
        ]
    );
}

#[test]
fn a_key_with_a_typo_is_not_missing_as_well() {
    let compose = "services:\n  web: {imagee: a}\n  api: {command: x}\n";
    assert_eq!(
        said("deploymnet: shop\nroutes: [{servcie: web, port: 1}]\n", compose),
        [
            "jaco.yaml:1 unknown key `deploymnet` in jaco.yaml",
            "jaco.yaml:2 unknown key `servcie` in a route",
            "compose.yml:2 unknown key `imagee` in a service",
            "compose.yml:3 the service has no `image`",
        ]
    );
}

#[test]
fn without_services_nothing_is_said_of_each_that_is_named() {
    let jaco = format!("{NAME}routes: [{{service: web, port: 1}}]\nservices: [{{name: web}}]\n");
    assert_eq!(
        said(&jaco, "service:\n  web: {image: a}\n"),
        ["compose.yml:1 unknown key `service` in a compose file"]
    );
    assert_eq!(said(&jaco, "x-a: b\n"), ["compose.yml:1 the compose file has no `services`"]);
}

#[test]
fn ranges_of_ports_that_overlap_are_told_once() {
    let compose = "services:\n  a: {image: a, ports: ['9000-9100:1-101']}\n  b: {image: a, ports: ['9000-9100:1-101', '9100:5']}\n";
    assert_eq!(
        said(NAME, compose),
        [
            "compose.yml:3 port 9000 is published by `a` already, at compose.yml:2",
            "compose.yml:3 port 9100 is published by `a` already, at compose.yml:2",
        ]
    );
}

#[test]
fn a_host_that_is_no_member_is_told_once() {
    let hosts = "deployment: shop\nservices:\n  - {name: a, placement: hosts, hosts: [x, y]}\n  - {name: b, placement: hosts, hosts: [x]}\n";
    let found = unknown_hosts(&jaco(hosts), &BTreeSet::from([NodeName::new("y").unwrap()]));
    let messages: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(messages, ["no member of the cluster is named `x` (also on line 4)"]);
}
