//! The manifests of the corpus run as they are, with images that stand in for theirs.
//!
//! No registry is needed: every image is replaced by one that runs for ever where a service is meant,
//! ends well where a job is, and is healthy. What a small machine cannot give is taken away: reserved
//! and limited processors, hosts by name, and rights beyond those of a container.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use jaco_api::{
    manifest::{FileProblem, Files, ManifestFile, Resolved, Source, resolve},
    model::{ContainerSpec, Healthcheck, Hook, ManifestDocument, Mode, Protocol},
};
use jaco_e2e::{Bench, Outcome};
use serde_json::Value;

/// Deployments at a time.
const AT_ONCE: usize = 10;

/// What not every machine may give its containers, and the processes of the host, among which the
/// stand-in does not know itself; that they reach the engine is tested elsewhere.
const TOO_MUCH: [&str; 8] =
    ["cpus", "cpuset", "platform", "ulimits", "cap_add", "privileged", "oom_score_adj", "pid"];

/// A manifest, ready to be applied.
struct Ready {
    name: String,
    directory: PathBuf,
    document: ManifestDocument,
}

pub(crate) fn forty_manifests_run(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let node = bench.node().name().to_owned();
    let mut all = Vec::new();
    for folder in folders()? {
        all.push(prepare(bench, &folder)?);
    }
    assert!(all.len() >= 40, "{} manifests", all.len());
    let images = bench.scratch()?.join("images");
    load(bench, &all, &images)?;
    label(bench, &all, &node)?;
    for batch in batches(all) {
        run(bench, &batch)?;
    }
    bench.nothing_left(false)
}

fn folders() -> Outcome<Vec<PathBuf>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../jaco-api/tests/corpus");
    let mut folders = Vec::new();
    for entry in fs::read_dir(corpus)? {
        let folder = entry?.path();
        if folder.join("compose.yml").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Validates a copy of the manifest as it is, then writes `stand-in.json` beside it.
fn prepare(bench: &Bench, folder: &Path) -> Outcome<Ready> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let directory = bench.scratch()?.join(&name);
    copy(folder, &directory)?;
    let (jaco, compose) = (directory.join("jaco.yaml"), directory.join("compose.yml"));
    let (jaco_path, compose_path) = (jaco.display().to_string(), compose.display().to_string());
    bench.cli().run(&["validate", "--jaco", &jaco_path, "--compose", &compose_path])?;

    let text = anywhere(&fs::read_to_string(&jaco)?);
    fs::write(&jaco, &text)?;
    let source = |name: &str, text: String| Source { name: name.to_owned(), text };
    let compose = source("compose.yml", fs::read_to_string(&compose)?);
    let resolved = resolve(&source("jaco.yaml", text), &compose, &Disk(directory.clone()));
    let Resolved { document, compose, .. } =
        resolved.map_err(|problems| jaco_api::manifest::render(&problems, false))?;
    let mut compose: Value = serde_json::from_str(&compose)?;
    for (service, (schedule, _)) in &document.services {
        let image = match schedule.mode {
            Mode::Job => "stand-in:job",
            Mode::Service => "stand-in:service",
        };
        let service = &mut compose["services"][service.as_str()];
        service["image"] = image.into();
        service["pull_policy"] = "never".into();
        let limits = service.as_object_mut().ok_or("a service is a mapping")?;
        // Some look once an hour.
        if let Some(check) = limits.get_mut("healthcheck").and_then(Value::as_object_mut) {
            check.insert("interval".to_owned(), "3s".into());
        }
        for key in TOO_MUCH {
            limits.remove(key);
        }
        if let Some(deploy) = limits.get_mut("deploy").and_then(Value::as_object_mut) {
            deploy.remove("resources");
            if let Some(placement) = deploy.get_mut("placement").and_then(Value::as_object_mut) {
                placement.remove("max_replicas_per_node");
            }
        }
    }
    // It is resolved already: a dollar in it is a dollar. Not every root is mounted to be shared.
    let written = serde_json::to_string(&compose)?.replace('$', "$$").replace(",rslave", "");
    fs::write(directory.join("stand-in.json"), written)?;
    Ok(Ready { name, directory, document })
}

/// A jaco.yaml without hosts by name.
fn anywhere(jaco: &str) -> String {
    let lines = jaco.lines().filter(|line| !line.trim_start().starts_with("hosts: ["));
    let lines = lines.map(|line| match line.split_once(", hosts: [") {
        Some((before, rest)) => {
            let after = rest.split_once(']').map_or("", |(_, after)| after);
            format!("{}{after}\n", before.replace("placement: hosts", "placement: spread"))
        }
        None => format!("{}\n", line.replace("placement: hosts", "placement: spread")),
    });
    lines.collect()
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, target)?;
        }
    }
    Ok(())
}

/// Files beside a manifest.
struct Disk(PathBuf);

impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        String::from_utf8(self.read_bytes(path)?).map_err(|_| FileProblem::NotText)
    }
    fn read_bytes(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        fs::read(path).map_err(|_| FileProblem::NotFound)
    }
    fn directory(&self, _: ManifestFile) -> Option<String> {
        Some(self.0.display().to_string())
    }
}

/// The main process of a service waits to be told to stop, that of a job ends; every other process is
/// a check, which finds nothing wrong.
const STAND_IN: &str = r#"#!/bin/busybox sh
[ $$ = 1 ] || [ "$PPID" = 1 ] || exit 0
[ -z "$STAND_IN_JOB" ] || exit 0
trap 'exit 0' HUP INT QUIT USR1 USR2 TERM WINCH
while :; do /bin/busybox sleep 86400 & wait $!; done
"#;

/// Loads both images, with every program, user and group that the manifests name.
fn load(bench: &Bench, all: &[Ready], directory: &Path) -> Outcome {
    let specs = all.iter().flat_map(|ready| ready.document.services.values().map(|(_, spec)| spec));
    let mut programs = BTreeSet::from(["/bin/sh".to_owned()]);
    let mut names = BTreeSet::new();
    for spec in specs {
        programs.extend(first_words(spec).iter().map(|word| place(spec, word)));
        let users = spec.user.iter().chain(hooks(spec).filter_map(|hook| hook.user.as_ref()));
        names.extend(users.flat_map(|user| user.split(':')).map(str::to_owned));
        names.extend(spec.group_add.iter().cloned());
    }
    names.retain(|name| name.parse::<u32>().is_err());
    let lines = |line: fn(usize, &str) -> String| -> String {
        names.iter().enumerate().map(|(n, name)| line(1000 + n, name)).collect()
    };
    let passwd = lines(|id, name| format!("{name}:x:{id}:{id}::/:/bin/sh\n"));
    let group = lines(|id, name| format!("{name}:x:{id}:\n"));
    let files = BTreeMap::from([
        ("/stand-in".to_owned(), STAND_IN.to_owned()),
        ("/etc/passwd".to_owned(), passwd),
        ("/etc/group".to_owned(), group),
    ]);
    let programs: BTreeMap<String, String> =
        programs.into_iter().map(|program| (program, "/stand-in".to_owned())).collect();
    fs::create_dir_all(directory)?;
    let tar = jaco_harness::busybox_image_with(directory, &files, &programs)?;
    let engine = bench.engine();
    let common = ["ENV PATH=/bin", "ENTRYPOINT [\"/stand-in\"]"];
    engine.import(&tar, "stand-in:service", &common)?;
    engine.import(&tar, "stand-in:job", &[&common[..], &["ENV STAND_IN_JOB=1"]].concat())?;
    Ok(())
}

/// Where a container looks for a program.
fn place(spec: &ContainerSpec, word: &str) -> String {
    let directory = spec.working_dir.as_deref().unwrap_or("/").trim_end_matches('/');
    match word {
        word if word.starts_with('/') => word.to_owned(),
        word if word.contains('/') => format!("{directory}/{}", word.trim_start_matches("./")),
        word => format!("/bin/{word}"),
    }
}

/// What runs in a container besides its own program.
fn hooks(spec: &ContainerSpec) -> impl Iterator<Item = &Hook> {
    spec.post_start.iter().chain(&spec.pre_stop)
}

/// The programs that a container is told to run.
fn first_words(spec: &ContainerSpec) -> Vec<String> {
    let mut words: Vec<String> = spec.entrypoint.iter().flat_map(|e| e.first().cloned()).collect();
    if spec.entrypoint.as_ref().is_some_and(Vec::is_empty) {
        words.extend(spec.command.iter().flat_map(|c| c.first().cloned()));
    }
    if let Some(Healthcheck::Check { test, .. }) = &spec.healthcheck
        && test.first().is_some_and(|kind| kind == "CMD")
    {
        words.extend(test.get(1).cloned());
    }
    words.extend(hooks(spec).flat_map(|hook| hook.command.first().cloned()));
    words
}

/// Gives the node the labels that constraints ask for, and the cluster the secrets that are external.
fn label(bench: &Bench, all: &[Ready], node: &str) -> Outcome {
    let services = all.iter().flat_map(|ready| ready.document.services.values());
    let value = bench.scratch()?.join("value");
    fs::write(&value, "a value")?;
    let value = value.display().to_string();
    for (schedule, _) in services {
        for constraint in &schedule.constraints {
            let wanted = constraint.strip_prefix("node.labels.").and_then(|c| c.split_once(" == "));
            if let Some((key, value)) = wanted {
                bench.cli().run(&["node", "label", node, &format!("{key}={value}")])?;
            }
        }
        for file in &schedule.files {
            let name = file.name.as_str();
            bench.cli().run(&[file.kind.as_str(), "set", name, "--from-file", &value])?;
        }
    }
    Ok(())
}

/// Groups of manifests that publish no port and claim no route of each other.
fn batches(all: Vec<Ready>) -> Vec<Vec<Ready>> {
    let mut batches: Vec<(BTreeSet<String>, Vec<Ready>)> = Vec::new();
    for ready in all {
        let claims = claims(&ready.document);
        let fits = |(taken, batch): &&mut (BTreeSet<String>, Vec<Ready>)| {
            batch.len() < AT_ONCE && taken.is_disjoint(&claims)
        };
        match batches.iter_mut().find(fits) {
            Some((taken, batch)) => {
                taken.extend(claims);
                batch.push(ready);
            }
            None => batches.push((claims, vec![ready])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

fn claims(document: &ManifestDocument) -> BTreeSet<String> {
    let ports = document.services.values().flat_map(|(schedule, _)| &schedule.ports);
    let port = |p: &jaco_api::model::PublishedPort| {
        let protocol = if p.protocol == Protocol::Tcp { "tcp" } else { "udp" };
        p.published.map(|n| format!("{n}/{protocol}"))
    };
    let routes = document.routes.iter().map(|r| format!("{}{}", r.domain, r.path));
    ports.filter_map(port).chain(routes).collect()
}

fn run(bench: &Bench, batch: &[Ready]) -> Outcome {
    let cli = bench.cli();
    for ready in batch {
        let file = |name: &str| ready.directory.join(name).display().to_string();
        let apply = ["apply", &file("jaco.yaml"), "--compose", &file("stand-in.json")];
        cli.run(&apply).map_err(|error| format!("{}: {error}", ready.name))?;
    }
    for ready in batch {
        let name = ready.document.deployment.as_str();
        let wait = ["wait", name, "--for", "running", "--timeout", "240s"];
        cli.run(&wait).map_err(|error| {
            let status = cli.run(&["status", name]).map(|o| o.stdout).unwrap_or_default();
            format!("{}: {error}\n{status}", ready.name)
        })?;
    }
    for ready in batch {
        cli.run(&["delete", ready.document.deployment.as_str(), "--volumes"])?;
    }
    bench.nothing_left(false)
}
