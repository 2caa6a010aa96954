//! Taking a host away, whatever of it exists.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{Host, HostRecord};
use crate::{
    HarnessError, Patience, Result, Signal, clock,
    node::PID_FILE,
    process::{alive, signal_pid},
    run, until,
};

/// Removes everything of a host, whatever of it exists.
pub(crate) fn remove(record: &HostRecord) -> Result<()> {
    let mut host = Host::open(record.clone());
    if host.dockerd.is_some() {
        host.engine.remove_everything();
    }
    let mut outcome = host.stop_engine();
    outcome = outcome.and(kill_rest(record));
    for file in litter(record) {
        let _ = fs::remove_file(file);
    }
    remove_cgroups(&record.cgroup());
    unmount_below(&record.directory);
    if record.namespace_path().exists() {
        outcome = outcome.and(run("ip", &["netns", "del", &record.namespace()]).map(drop));
    }
    outcome = outcome.and(remove_link(&record.link()));
    match fs::remove_dir_all(&record.directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            outcome.and(Err(HarnessError::file("remove", &record.directory)(error)))
        }
        _ => outcome,
    }
}

/// The kernel takes a link away by itself some time after the namespace of its other end.
pub(crate) fn remove_link(link: &str) -> Result<()> {
    let exists = || Path::new("/sys/class/net").join(link).exists();
    if !exists() {
        return Ok(());
    }
    match run("ip", &["link", "del", link]) {
        Err(error) if exists() => Err(error),
        _ => Ok(()),
    }
}

/// Kills what still lives in the host's network or in its containers' control groups.
pub(super) fn kill_rest(record: &HostRecord) -> Result<()> {
    until(Patience::SHORT, "the host's processes to end", || {
        let left = processes(record);
        left.iter().for_each(|pid| signal_pid(*pid, Signal::KILL));
        if left.is_empty() { Ok(()) } else { Err(format!("still there: {left:?}")) }
    })
}

fn processes(record: &HostRecord) -> Vec<i32> {
    let namespace = fs::metadata(record.namespace_path()).map(|m| (m.dev(), m.ino())).ok();
    let cgroup = format!("/{}/", record.cgroup());
    let list = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = list.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let own = fs::metadata(format!("/proc/{pid}/ns/net")).map(|m| (m.dev(), m.ino())).ok();
        let inside = own.is_some() && own == namespace;
        let groups = || fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        (inside || groups().contains(&cgroup)) && alive(*pid)
    })
    .collect()
}

/// What killed daemons left outside of the host's directory.
fn litter(record: &HostRecord) -> Vec<PathBuf> {
    let nodes = fs::read_dir(&record.directory).into_iter().flatten().flatten();
    let pids = nodes.filter_map(|node| fs::read_to_string(node.path().join(PID_FILE)).ok());
    pids.filter_map(|pid| pid.trim().parse().ok()).flat_map(clock::litter).collect()
}

fn remove_cgroups(name: &str) {
    let roots = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let parents = roots.map(|root| root.path().join(name));
    for parent in parents.chain([Path::new("/sys/fs/cgroup").join(name)]) {
        remove_cgroup(&parent);
    }
}

/// Only empty directories go; a control group with processes in it cannot be removed.
fn remove_cgroup(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
}

/// Removes what is in a directory; what cannot be removed stays.
pub(super) fn empty(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
}

pub(super) fn unmount_below(directory: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    let mut below: Vec<&Path> = points.filter(|point| point.starts_with(directory)).collect();
    below.sort();
    for point in below.into_iter().rev() {
        let _ = run("umount", &["-l".as_ref(), point.as_os_str()]);
    }
}
