//! `setup`: the Debian packages without which the rig cannot run.

use std::{path::Path, process::Command};

use crate::{
    error::{Result, TaskError},
    machine::{has, is_root, run, succeeds},
    say,
};

/// A program and the package that brings it.
const NEEDED: &[(&str, &str)] = &[
    ("dockerd", "docker.io"),
    ("docker", "docker-cli"),
    ("busybox", "busybox-static"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("tcpdump", "tcpdump"),
    ("faketime", "faketime"),
    ("docker-compose", "docker-compose"),
];

/// What tests of certificates ask: a CA and a name server. The latter's package starts a service that takes
/// port 53 of a host where services are started.
const ASKED_BY_TESTS: &[(&str, &str)] = &[("pebble", "pebble"), ("named", "bind9")];

/// Packages of the rig whose programs are missing.
pub(crate) fn missing() -> Vec<&'static str> {
    missing_of(NEEDED)
}

fn missing_of(needed: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    let absent = needed.iter().filter(|(program, _)| !has(program));
    let mut packages: Vec<&str> = absent.map(|(_, package)| *package).collect();
    // Older releases have the client inside docker.io.
    if packages.contains(&"docker-cli") && !succeeds("apt-cache", &["show", "docker-cli"]) {
        packages.retain(|package| *package != "docker-cli");
        if !packages.contains(&"docker.io") {
            packages.push("docker.io");
        }
    }
    packages
}

/// Installs what is missing, and says what that was.
pub(crate) fn install_if_possible() -> Result<(), String> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    if !is_root() {
        return Err(format!("not root, and not installed: {}", packages.join(" ")));
    }
    install().map_err(|error| error.to_string())
}

/// Installs what the rig misses.
pub(crate) fn install() -> Result<()> {
    install_all(NEEDED)
}

/// Installs what the rig misses, and what further tests ask where that disturbs nobody.
pub(crate) fn install_for_tests() -> Result<()> {
    install()?;
    if Path::new("/run/systemd/system").exists() && !has("named") {
        say::note("setup: bind9 is left out, since it would start: tests that ask it are skipped");
        return install_all(&ASKED_BY_TESTS[..1]);
    }
    install_all(ASKED_BY_TESTS)
}

/// Installs what is missing of these programs, each with the package that brings it.
pub(crate) fn install_all(needed: &[(&'static str, &'static str)]) -> Result<()> {
    if missing_of(needed).is_empty() {
        say::note("setup: everything is installed");
        return Ok(());
    }
    if !has("apt-get") {
        return Err(TaskError::NoApt { packages: missing_of(needed).join(" ") });
    }
    if !is_root() {
        return Err(TaskError::NotRoot { what: "setup" });
    }
    say::step("Installing Debian packages");
    // An outdated or empty list makes packages look as if they did not exist.
    run(&mut apt(&["update", "-q"]))?;
    let packages = missing_of(needed);
    let install = ["install", "-y", "-q", "--no-install-recommends"];
    run_with_services_off(&mut apt(&[&install[..], &packages].concat()))?;
    say::note(&format!("setup: installed {}", packages.join(" ")));
    match missing_of(needed).as_slice() {
        [] => Ok(()),
        left => Err(TaskError::StillMissing { packages: left.join(" ") }),
    }
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Keeps packages from starting an engine of their own: the rig starts what it needs.
fn run_with_services_off(command: &mut Command) -> Result<()> {
    let policy = Path::new("/usr/sbin/policy-rc.d");
    if policy.exists() || Path::new("/run/systemd/system").exists() {
        return run(command);
    }
    let file =
        |source| TaskError::File { operation: "write", path: policy.display().to_string(), source };
    std::fs::write(policy, "#!/bin/sh\nexit 101\n").map_err(file)?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(policy, executable).map_err(file)?;
    let outcome = run(command);
    std::fs::remove_file(policy).map_err(file)?;
    outcome
}
