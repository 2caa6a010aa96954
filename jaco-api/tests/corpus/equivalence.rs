//! What another reader of compose files makes of each manifest means the same to us.

use std::{
    env, io,
    num::NonZero,
    process::{Command, Output},
    thread,
};

use jaco_api::manifest::render;

use crate::read::{Manifest, manifests};

/// Manifests that `docker-compose` 1.29 cannot show, and why.
const TOO_NEW: [(&str, &str); 3] = [
    ("meilisearch", "`post_start`, `pre_stop` and times in `pull_policy` came later"),
    ("profiles", "`${V:+a}`, `KEY: value` in dotenv files and `env_file` with options came later"),
    ("split-files", "`include`, `label_file`, `!reset` and `!override` came later"),
];

/// What a run of `docker-compose` says.
fn docker_compose(manifest: &Manifest, arguments: &[&str]) -> io::Result<Output> {
    let mut command = Command::new("docker-compose");
    command.args(arguments).current_dir(&manifest.folder).env_clear();
    command.env("PATH", env::var_os("PATH").unwrap_or_default()).output()
}

/// Why nothing can be compared here.
fn obstacle(manifest: &Manifest) -> Option<String> {
    let output = match docker_compose(manifest, &["version", "--short"]) {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some("docker-compose is not installed".to_owned());
        }
        Err(error) => panic!("docker-compose: {error}"),
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!version.starts_with("1.29")).then(|| format!("docker-compose is {version}, not 1.29"))
}

/// What differs between a manifest and what `docker-compose config` makes of it.
fn difference(manifest: &Manifest) -> Option<String> {
    let manifest = manifest.in_its_folder();
    let ours = match manifest.resolve() {
        Ok(resolved) => resolved.document,
        Err(problems) => return Some(render(&problems, false)),
    };
    let env_file = manifest.env_file();
    let mut config = vec!["-f", "compose.yml"];
    config.extend(env_file.iter().flat_map(|file| ["--env-file", file]));
    config.push("config");
    let output = docker_compose(&manifest, &config).unwrap();
    if !output.status.success() {
        return Some(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    match manifest.resolve_with(&String::from_utf8_lossy(&output.stdout)) {
        Ok(theirs) => (theirs.document != ours)
            .then(|| different_lines(&format!("{ours:#?}"), &format!("{:#?}", theirs.document))),
        Err(problems) => Some(render(&problems, false)),
    }
}

/// The lines from the first that differs on.
fn different_lines(ours: &str, theirs: &str) -> String {
    let same = ours.lines().zip(theirs.lines()).take_while(|(a, b)| a == b).count();
    let some = |text: &str| text.lines().skip(same).take(6).collect::<Vec<_>>().join("\n");
    format!("ours:\n{}\ntheirs:\n{}\n", some(ours), some(theirs))
}

#[test]
fn docker_compose_reads_the_same() {
    let mut manifests = manifests();
    if let Some(obstacle) = obstacle(&manifests[0]) {
        let required = env::var_os("JACO_REQUIRE_RIG").is_some_and(|v| v != "false");
        assert!(!required, "{obstacle}: run `cargo xtask setup`");
        eprintln!("SKIPPED the comparison with docker-compose: {obstacle}");
        return;
    }
    manifests.retain(|manifest| !TOO_NEW.iter().any(|(name, _)| *name == manifest.name));
    // Each run takes a second, most of which is the start of Python.
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let shares = manifests.chunks(manifests.len().div_ceil(threads));
    let wrong: Vec<String> = thread::scope(|scope| {
        let compare = |share: &[Manifest]| -> Vec<String> {
            let one = |m: &Manifest| difference(m).map(|d| format!("=== {} ===\n{d}", m.name));
            share.iter().filter_map(one).collect()
        };
        let running: Vec<_> = shares.map(|share| scope.spawn(move || compare(share))).collect();
        running.into_iter().flat_map(|run| run.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
