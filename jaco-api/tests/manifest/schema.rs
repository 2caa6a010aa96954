//! The JSON Schema of `jaco.yaml` says what its reader says.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use jaco_api::manifest::{Treatment, check, schema, shaped, supported};
use serde_json::{Value, json};

use crate::support::{NAME, compose, jaco};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// The YAML of the text as JSON, as an editor sees it.
fn value(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn every_accepted_key_has_a_shape_and_no_other() {
    let shaped: BTreeSet<(&str, &str)> = shaped().into_iter().collect();
    let tables: BTreeSet<&str> = shaped.iter().map(|(of, _)| *of).collect();
    assert!(tables.contains("jaco.yaml"));
    let accepted: BTreeSet<(&str, &str)> = supported()
        .iter()
        .filter(|key| tables.contains(key.of) && key.support == Treatment::Accepted)
        .map(|key| (key.of, key.name))
        .collect();
    assert_eq!(shaped, accepted, "manifest/schema.rs and the tables of manifest/jaco.rs");
}

#[test]
fn the_schema_that_is_published_is_the_one_of_the_code() {
    let path = root().join("docs/manifests/jaco.schema.json");
    if std::env::var_os("JACO_WRITE_DOCS").is_some() {
        fs::write(&path, schema()).unwrap();
    }
    let present = fs::read_to_string(&path).unwrap_or_default();
    assert!(present == schema(), "docs/manifests/jaco.schema.json is out of date");
}

/// Every file below a directory that is called `jaco.yaml`.
fn manifests(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            manifests(&path, found);
        } else if path.file_name().is_some_and(|name| name == "jaco.yaml") {
            found.push(path);
        }
    }
}

#[test]
fn what_the_reader_accepts_fits_the_schema() {
    let validator = validator();
    let mut files = Vec::new();
    manifests(&root().join("examples"), &mut files);
    assert!(files.len() >= 2);
    files.push(root().join("jaco-api/tests/manifest/rich.jaco.yml"));
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let wrong: Vec<String> =
            validator.iter_errors(&value(&text)).map(|e| e.to_string()).collect();
        assert_eq!(wrong, Vec::<String>::new(), "{}", file.display());
    }
    let stack =
        compose("services: {web: {image: a}, db: {image: b}}\nnetworks: {front: , back: }\n");
    for more in [
        "",
        "services:\nroutes:\nacme:\n",
        "acme: on\nroutes: []\n",
        "acme: true\nenvironment: ./a/b.env\n",
        "services: [{name: web, replicas: 0}, {name: db, placement: hosts, hosts: [a, b-1]}]\n",
        "services: [{name: web, replicas: '3', placement: pack, networks: [front, back]}]\n",
        "services: [{name: web, constraints: ['node.labels.a.b==c', 'node.hostname != x']}]\n",
        "routes: [{service: web, port: 1}, {domain: '*.Shop.example.', service: db, port: '65535'}]\n",
        "routes: [{service: web, port: 80, path: /a/b, domain: a, tls: off}]\n",
        "routes: [{service: web, port: 80, domain: x_y.z, tls: own.cert, path: }]\n",
        "acme_email: ops@shop.example\nroutes: [{service: web, port: 80, headers: , allow: , redirect_to: }]\n",
        "routes: [{service: web, port: 80, strip_path: true, compress: 'yes', sticky: ip, protocol: grpc}]\n",
        "routes: [{service: web, port: 80, headers: {X-A: b, X-B: 1}, timeout: 30s, max_body: 1048576}]\n",
        "routes: [{service: web, port: 80, headers: {request: {set: {X-A: b}, remove: X-B}, response: {remove: [X-C]}}}]\n",
        "routes: [{service: web, port: 80, redirect_to: 'https://b.example/x'}]\n",
        "routes: [{service: web, port: 80, redirect_to: {url: 'http://[::1]:80', permanent: true, keep_path: false}}]\n",
        "routes: [{service: web, port: 80, basic_auth: {ann: secret, bob: 123}, rate_limit: 10r/s}]\n",
        "routes: [{service: web, port: 80, rate_limit: {requests: 10, per: 1m, burst: 5}}]\n",
        "routes: [{service: web, port: 80, allow: [10.0.0.0/8, '::1'], deny: 10.1.0.0/16}]\n",
    ] {
        let text = format!("{NAME}{more}");
        let read = check(&jaco(&text), &stack);
        // An environment is read by the client; the daemon has nothing to say about it.
        assert!(read.is_ok(), "{text}: {:?}", read.err());
        assert!(validator.is_valid(&value(&text)), "{text}");
    }
}

#[test]
fn what_does_not_fit_is_refused_by_both() {
    let validator = validator();
    let stack = compose("services: {web: {image: a}}\n");
    for text in [
        "services: []\n",
        "deployment: Bad_\n",
        "deployment: this-name-is-longer-than-forty-characters\n",
        "deployment: shop\nrepliccas: 3\n",
        "deployment: shop\nacme: maybe\n",
        "deployment: shop\nservices: {web: {replicas: 2}}\n",
        "deployment: shop\nservices: [{replicas: 2}]\n",
        "deployment: shop\nservices: [{name: web, replicas: -1}]\n",
        "deployment: shop\nservices: [{name: web, replicas: 10001}]\n",
        "deployment: shop\nservices: [{name: web, placement: spred}]\n",
        "deployment: shop\nservices: [{name: web, placement: hosts, hosts: [a, a]}]\n",
        "deployment: shop\nservices: [{name: web, placement: hosts, hosts: [Not_a_host]}]\n",
        "deployment: shop\nservices: [{name: web, constraints: ['node.labels.a = b']}]\n",
        "deployment: shop\nservices: [{name: web, constraints: ['engine.labels.a == b']}]\n",
        "deployment: shop\nroutes: [{port: 80}]\n",
        "deployment: shop\nroutes: [{service: web}]\n",
        "deployment: shop\nroutes: [{service: web, port: 0}]\n",
        "deployment: shop\nroutes: [{service: web, port: 65536}]\n",
        "deployment: shop\nroutes: [{service: web, port: http}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, path: api}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, domain: 'http://shop.example'}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, tls: 'own cert'}]\n",
        "deployment: shop\nacme_email: ops\n",
        "deployment: shop\nroutes: [{service: web, port: 80, headers: text}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, headers: {'X Y': a}}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, headers: {request: {sett: {}}}}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, headers: {request: {set: {X-A: [a]}}}}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, redirect_to: shop.example}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, redirect_to: {permanent: true}}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, strip_path: maybe}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, sticky: sometimes}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, basic_auth: [ann]}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, basic_auth: {'a:b': c}}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, rate_limit: 0/s}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, rate_limit: {requests: 0}}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, allow: [shop.example]}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, deny: []}]\n",
        "deployment: shop\nroutes: [{service: web, port: 80, protocol: https}]\n",
        "- deployment: shop\n",
    ] {
        assert!(check(&jaco(text), &stack).is_err(), "{text}");
        assert!(!validator.is_valid(&value(text)), "{text}");
    }
    // What a value refers to is beyond a schema.
    let text = "deployment: shop\nservices: [{name: nope}]\n";
    assert!(check(&jaco(text), &stack).is_err() && validator.is_valid(&value(text)));
}

#[test]
fn editors_get_descriptions_and_words() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let service = &schema["properties"]["services"]["items"]["properties"];
    assert_eq!(
        service["placement"]["enum"],
        json!(["spread", "pack", "hosts", "global", Value::Null])
    );
    assert!(service["replicas"]["description"].as_str().unwrap().contains("deploy.replicas"));
    assert_eq!(schema["properties"]["routes"]["items"]["required"], json!(["service", "port"]));
}
