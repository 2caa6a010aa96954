//! Every attribute of a compose file as a real engine shows it, when `JACO_TEST_DOCKER` names one.
//!
//! Compose text, `check`, the requests of the runtime, `docker inspect`: one row for each attribute.
//! What acts elsewhere (the scheduler, the names, the client) is named with the test that shows it.
#![cfg(feature = "docker")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../docker/mod.rs"]
mod docker;
mod elsewhere;
mod rows;

use std::{collections::BTreeSet, path::Path, process::Command, sync::Arc};

use jaco_api::{
    manifest::{Source, Treatment, check, render, supported},
    model::{AssignedNetwork, Assignment, ManifestDocument, ReplicaId},
};
use jaco_runtime::{
    ContainerRuntime, DockerRuntime,
    container::{ContainerRequest, RuntimeError},
    spec,
    testing::sample,
};
use rows::{Cannot, Row, rows};
use serde_json::Value;

/// The document of a row: a service with what it says, and the label that allows everything.
fn document(row: &Row) -> ManifestDocument {
    let indented = |text: &str| text.lines().map(|l| format!("    {l}\n")).collect::<String>();
    let lead = row.lead.map_or_else(String::new, |lead| {
        let image = docker::IMAGE;
        let lead = indented(lead);
        format!("  lead:\n    image: {image}\n    command: [sleep, '60']\n{lead}")
    });
    let allowed = "labels: {jaco.io/allow-privileged: 'true', team: blue}";
    // The image has none.
    let command = if row.service.contains("command:") { "" } else { "    command: [sleep, '1']\n" };
    let text = format!(
        "services:\n{lead}  web:\n    image: {}\n    {allowed}\n{command}{}{}\n",
        docker::IMAGE,
        indented(row.service),
        row.top
    );
    let file = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    match check(&file("jaco.yaml", "deployment: attr\n"), &file("compose.yml", &text)) {
        Ok(checked) => checked.document,
        Err(problems) => panic!("{text}\n{}", render(&problems, false)),
    }
}

/// Whether every accepted attribute is shown, here or elsewhere.
#[test]
fn every_accepted_attribute_is_shown_by_a_test() {
    let of_jaco = [
        "jaco.yaml",
        "a service of jaco.yaml",
        "a schedule",
        "the history of a schedule",
        "a route",
        "the headers of a route",
        "changes of headers",
        "a redirect",
        "a rate limit",
    ];
    let shown: BTreeSet<&str> = rows().flat_map(|r| r.of).copied().collect();
    let elsewhere: BTreeSet<&str> = elsewhere::ALL.iter().flat_map(|e| e.of).copied().collect();
    let covers = |all: &BTreeSet<&str>, path: &str| {
        all.iter().any(|s| s.strip_prefix(path).is_some_and(|r| r.is_empty() || r.starts_with('.')))
    };
    let mut known = BTreeSet::new();
    let mut missing = Vec::new();
    for key in supported().iter().filter(|k| !of_jaco.contains(&k.of)) {
        for path in key.paths() {
            if key.support == Treatment::Accepted
                && !covers(&shown, &path)
                && !covers(&elsewhere, &path)
            {
                missing.push(path.clone());
            }
            known.insert(path);
        }
    }
    assert_eq!(missing, [""; 0], "accepted, and shown by no test");
    let unknown: Vec<_> = shown.union(&elsewhere).filter(|p| !known.contains(**p)).collect();
    assert!(unknown.is_empty(), "in no table: {unknown:?}");
}

/// The tests that are named for what acts elsewhere exist.
#[test]
fn the_tests_that_are_named_exist() {
    for elsewhere in elsewhere::ALL {
        let (file, test) = elsewhere.test;
        let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(text.contains(&format!("fn {test}()")), "{file} has no test {test}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_shows_what_the_file_says() {
    let Some(engine) = docker::engine().await else { return };
    let mut wrong = Vec::new();
    for (number, row) in rows().enumerate() {
        let found = show(&engine, row, number).await;
        wrong.extend(found.into_iter().map(|problem| format!("{:?}: {problem}", row.of)));
    }
    clear(&engine).await;
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows().count(), wrong.join("\n"));
    eprintln!("{} rows", rows().count());
}

/// Makes the container of a row and looks at it; says what differs.
async fn show(engine: &DockerRuntime, row: &Row, number: usize) -> Vec<String> {
    let document = document(row);
    let id: ReplicaId = format!("attr.web.{}", number + 1).parse().unwrap();
    let lead = match lead(engine, &document, &id).await {
        Ok(lead) => lead,
        Err(error) => return vec![format!("its lead cannot run: {error}")],
    };
    let request = match prepare(engine, &document, &id).await {
        Ok(request) => request,
        Err(error) => return vec![format!("cannot be prepared: {error}")],
    };
    let request = match &lead {
        Some(lead) => spec::beside(lead, request),
        None => request,
    };
    let wrong = show_container(engine, row, &request, lead.as_deref().unwrap_or_default()).await;
    if let Some(lead) = lead {
        engine.remove(&lead).await.unwrap();
    }
    wrong
}

/// Makes and starts the container that it lives beside, if there is one.
async fn lead(
    engine: &DockerRuntime,
    document: &ManifestDocument,
    id: &ReplicaId,
) -> Result<Option<String>, RuntimeError> {
    let id = ReplicaId { service: "lead".parse().unwrap(), ..id.clone() };
    if !document.services.contains_key(&id.service) {
        return Ok(None);
    }
    let request = prepare(engine, document, &id).await?;
    let lead = engine.create(&request).await?;
    engine.start(&lead).await?;
    Ok(Some(lead))
}

async fn show_container(
    engine: &DockerRuntime,
    row: &Row,
    request: &ContainerRequest,
    lead: &str,
) -> Vec<String> {
    let container = match (engine.create(request).await, row.needs) {
        (Ok(container), _) => container,
        // Told apart from a refusal, and only where the engine really is too old.
        (Err(RuntimeError::AttributeTooNew { found, needed, .. }), Some(needs))
            if needs == needed && minor(&found) < minor(needs) =>
        {
            return skipped(row, &format!("the engine speaks {found} and {needed} is needed"));
        }
        (Err(RuntimeError::Refused { message, .. }), _) if cannot(row, &message) => {
            return skipped(row, &message);
        }
        (Err(error), _) => return vec![format!("the engine refuses: {error}")],
    };
    if let Some(Cannot::Lacks(files)) = row.cannot
        && !files.iter().any(|file| Path::new(file).exists())
    {
        engine.remove(&container).await.unwrap();
        return skipped(row, &format!("the kernel has none of {}", files.join(", ")));
    }
    let mut wrong = compare(&inspect("container", &container), row.seen, lead);
    if let Some(thing) = &row.thing {
        wrong.extend(compare(&inspect(thing.kind, thing.name), thing.seen, lead));
    }
    engine.remove(&container).await.unwrap();
    wrong
}

/// Makes the networks and volumes, and the request for the container.
async fn prepare(
    engine: &DockerRuntime,
    document: &ManifestDocument,
    id: &ReplicaId,
) -> Result<ContainerRequest, RuntimeError> {
    let (_, container) = &document.services[&id.service];
    let replica = sample::replica_of(&id.to_string(), 1, container.clone());
    let Assignment { cluster, .. } = sample::assignment([replica.clone()]);
    for (network, network_spec) in &document.networks {
        let (deployment, network) = (id.deployment.clone(), network.clone());
        let name = jaco_api::model::NetworkSpec::engine_name(&deployment, &network);
        let spec = network_spec.clone();
        let assigned = AssignedNetwork { deployment, network, spec, subnet: None };
        match engine.create_network(&spec::network(cluster, &name, &assigned, None)).await {
            Ok(()) | Err(RuntimeError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    for request in spec::volumes(cluster, id, container).0 {
        engine.create_volume(&request).await?;
    }
    Ok(spec::container(cluster, &replica, &Arc::new(container.clone())))
}

fn compare(shown: &Value, seen: &[(&str, &str)], lead: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (pointer, expected) in seen {
        let expected = expected.replace("LEAD", lead);
        let found = shown.pointer(pointer).cloned().unwrap_or(Value::Null);
        let mut all = expected.split(" | ").map(|e| serde_json::from_str::<Value>(e).unwrap());
        if !all.any(|expected| expected == found) {
            wrong.push(format!("{pointer} is {found}, not {expected}"));
        }
    }
    wrong
}

/// The minor version of `1.44`.
fn minor(version: &str) -> u32 {
    version.rsplit('.').next().unwrap().parse().unwrap()
}

fn cannot(row: &Row, refusal: &str) -> bool {
    matches!(row.cannot, Some(Cannot::Refuses(text)) if refusal.contains(text))
}

/// Says loudly that this machine cannot show a row.
fn skipped(row: &Row, why: &str) -> Vec<String> {
    eprintln!("SKIPPED {:?}: {why}", row.of);
    Vec::new()
}

/// What the engine's own tool shows.
fn inspect(kind: &str, name: &str) -> Value {
    let shown: Value = serde_json::from_str(&docker(&[kind, "inspect", name])).unwrap();
    shown[0].clone()
}

fn docker(arguments: &[&str]) -> String {
    let socket = std::env::var("JACO_TEST_DOCKER").unwrap();
    let socket = format!("unix://{}", socket.trim_start_matches("unix://"));
    let mut command = Command::new("docker");
    let output =
        command.args(["-H", &socket]).args(arguments).output().expect("docker is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Networks and volumes go again.
async fn clear(engine: &DockerRuntime) {
    let labels = spec::cluster_labels(sample::cluster());
    for network in engine.networks(&labels).await.unwrap() {
        if network.name.starts_with("jaco_attr_") {
            engine.remove_network(&network.id).await.unwrap();
        }
    }
    for volume in ["jaco_attr_data", "jaco_attr_own"] {
        engine.remove_volume(volume).await.unwrap();
    }
}
