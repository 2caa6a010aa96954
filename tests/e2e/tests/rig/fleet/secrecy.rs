//! A secret is in the memory of the hosts that use it, and nowhere else.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::Patience;

use crate::stacks::named;

/// Values that nothing else contains.
const FIRST: &str = "first-value-0c1b6a9e";
const SECOND: &str = "second-value-57d2f3b4";
const OWN: &str = "own-value-8e41aa07";
const OTHER_OWN: &str = "other-own-value-19f0d6c2";

const COMPOSE: &str = r#"
services:
  user:
    image: busybox:rig
    command: sleep 1000000
    stop_grace_period: 1s
    secrets:
      - {source: db, uid: "7", gid: "8", mode: 0440}
      - own
    configs: [settings]
    deploy: {replicas: 3}
  other:
    image: busybox:rig
    command: sleep 1000000
    stop_grace_period: 1s
secrets:
  db: {external: true, name: db-password}
  own: {file: ./own.txt}
configs:
  settings: {external: true}
"#;

pub(crate) fn a_secret_is_where_it_must_be_and_nowhere_else(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let scratch = fleet.scratch()?;
    set(fleet, "secret", "db-password", FIRST)?;
    set(fleet, "config", "settings", "level = 3")?;
    let stack = fleet.stack(&named("vault"), COMPOSE)?;
    stack.put("own.txt", OWN)?;
    fleet.cli(1).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    found(fleet, FIRST, OWN)?;
    only_in_memory(fleet, FIRST, 3, &scratch)?;
    only_in_memory(fleet, OWN, 3, &scratch)?;

    // A new value of the cluster's rolls its users, and nobody else.
    let before = containers(fleet)?;
    set(fleet, "secret", "db-password", SECOND)?;
    rolled(fleet, &before)?;
    found(fleet, SECOND, OWN)?;
    only_in_memory(fleet, SECOND, 3, &scratch)?;
    only_in_memory(fleet, FIRST, 0, &scratch)?;

    // And so does one of the manifest's.
    let before = containers(fleet)?;
    stack.put("own.txt", OTHER_OWN)?;
    fleet.cli(2).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    rolled(fleet, &before)?;
    found(fleet, SECOND, OTHER_OWN)?;
    only_in_memory(fleet, OWN, 0, &scratch)?;

    // The same value again rolls nobody.
    let before = containers(fleet)?;
    let again = set(fleet, "secret", "db-password", SECOND)?;
    assert!(again.contains("unchanged"), "{again}");
    assert_eq!(containers(fleet)?, before);

    shown(fleet)?;
    let refused = fleet.cli(0).try_run(&["secret", "delete", "db-password"])?;
    assert_eq!(refused.error_code(), Some("conflict"), "{refused:?}");
    fleet.cli(0).run(&["delete", "vault", "--wait"])?;
    fleet.cli(0).run(&["secret", "delete", "db-password"])?;
    only_in_memory(fleet, SECOND, 0, &scratch)?;
    only_in_memory(fleet, OTHER_OWN, 0, &scratch)
}

/// Sets it from a file, so that it is on no command line; what was printed is returned.
fn set(fleet: &Fleet, kind: &str, name: &str, value: &str) -> Outcome<String> {
    let file = fleet.scratch()?.join("value");
    fs::write(&file, value)?;
    let done =
        fleet.cli(0).run(&[kind, "set", name, "--from-file", &file.display().to_string()])?;
    fs::remove_file(file)?;
    assert!(!done.stdout.contains(value) && !done.stderr.contains(value), "{done:?}");
    Ok(done.stdout)
}

/// Names and ids of the containers of every service.
fn containers(fleet: &Fleet) -> Outcome<BTreeMap<String, Vec<String>>> {
    let mut all = BTreeMap::new();
    for service in ["user", "other"] {
        let found = fleet.containers(service)?.into_iter().flatten();
        let mut ids: Vec<String> = found.map(|c| c.id).collect();
        ids.sort();
        all.insert(service.to_owned(), ids);
    }
    Ok(all)
}

/// Waits until the users have new containers, all of them; the other service keeps its own.
fn rolled(fleet: &Fleet, before: &BTreeMap<String, Vec<String>>) -> Outcome {
    fleet.cluster().until(Patience::LONG, "new containers of the users", || {
        let now = containers(fleet).map_err(|e| e.to_string())?;
        let kept = now["user"].iter().any(|id| before["user"].contains(id));
        if now["user"].len() == 3 && !kept { Ok(()) } else { Err(format!("{before:?} {now:?}")) }
    })?;
    assert_eq!(containers(fleet)?["other"], before["other"], "it does not use the secret");
    fleet.cli(0).run(&["wait", "vault", "--for", "running", "--timeout", "60s"])?;
    Ok(())
}

/// Every user finds them, with owner and mode.
fn found(fleet: &Fleet, cluster: &str, own: &str) -> Outcome {
    let replicas = fleet.replicas(0)?;
    let users: Vec<_> = replicas.iter().filter(|r| r.id.starts_with("vault.user.")).collect();
    assert_eq!(users.len(), 3, "{replicas:?}");
    for user in users {
        let script = "cat /run/secrets/db; echo; stat -c '%u %g %a' /run/secrets/db; \
                      cat /run/secrets/own; echo; cat /settings; echo; \
                      echo x > /run/secrets/db || echo refused";
        let said = fleet.cli(1).run(&["exec", &user.id, "--", "sh", "-c", script])?.stdout;
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines, [cluster, "7 8 440", own, "level = 3", "refused"], "{}", user.id);
    }
    Ok(())
}

/// The value is in so many files of the hosts' memory, and in no other file of theirs (their daemons'
/// logs, data and snapshots, the engines' data), in nothing the engines tell, and in no command line or
/// environment of this machine.
pub(super) fn only_in_memory(fleet: &Fleet, value: &str, copies: usize, scratch: &Path) -> Outcome {
    let rig = fleet.cluster().rig();
    let mut held = Vec::new();
    for host in rig.hosts() {
        let memory = host.memory();
        for file in holding(host.directory(), value, scratch) {
            assert!(file.starts_with(&memory), "{value} is in {}", file.display());
            held.push(file);
        }
        let engine = host.engine();
        for id in engine.docker(&["ps", "-aq"])?.lines() {
            for arguments in [&["inspect", id][..], &["logs", id]] {
                let said = engine.docker(arguments)?;
                assert!(!said.contains(value), "docker {arguments:?} shows {value}");
            }
        }
    }
    assert_eq!(held.len(), copies, "{value}: {held:?}");
    for entry in fs::read_dir("/proc")?.flatten() {
        for part in ["cmdline", "environ"] {
            let file = entry.path().join(part);
            assert!(!contains(&file, value), "{value} is in {}", file.display());
        }
    }
    Ok(())
}

/// Regular files below a directory that hold the value; those of the test itself apart.
fn holding(directory: &Path, value: &str, scratch: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        match kind {
            Ok(kind) if kind.is_dir() && path != scratch => {
                found.extend(holding(&path, value, scratch));
            }
            Ok(kind) if kind.is_file() && contains(&path, value) => found.push(path),
            _ => {}
        }
    }
    found
}

fn contains(file: &Path, value: &str) -> bool {
    let bytes = fs::read(file).unwrap_or_default();
    bytes.windows(value.len()).any(|window| window == value.as_bytes())
}

/// No answer of the cluster shows a value unless it is asked for.
fn shown(fleet: &Fleet) -> Outcome {
    for arguments in [
        &["get", "deployment", "vault"][..],
        &["audit", "--since", "1h"],
        &["events", "vault"],
        &["secret", "list"],
        &["status"],
    ] {
        for format in ["table", "json"] {
            let said = fleet.cli(2).run(&[arguments, &["-o", format]].concat())?.stdout;
            for value in [FIRST, SECOND, OWN, OTHER_OWN] {
                assert!(!said.contains(value), "{arguments:?} shows {value}");
            }
        }
    }
    let asked = ["get", "deployment", "vault", "--show-secrets", "-o", "json"];
    let said = fleet.cli(0).run(&asked)?.stdout;
    assert!(said.contains(OTHER_OWN), "{said}");
    let audit = fleet.cli(0).json(&["audit", "--since", "1h", "--type", "secret_upsert"])?;
    let rolled: Vec<_> = audit
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|event| event["payload"]["rolled"].as_str())
        .collect();
    assert_eq!(rolled, ["vault/user"], "{audit}");
    Ok(())
}
