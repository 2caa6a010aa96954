//! What a proxy costs, as the kernel counts it: all processes of its group together.

use std::{fs, path::PathBuf, time::Duration};

use rustix::process::{Resource, getrlimit, setrlimit};

/// The kernel tells times of processes in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Lets this process, and those that it starts, have as many descriptors as may be.
pub(super) fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is not enough, connections fail, which is told.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// The processor time that a group of processes has used.
pub(super) fn processor(group: i32) -> Duration {
    let ticks = members(group).into_iter().filter_map(|(_, stat)| {
        // Behind the name: state, parent, group; times of user and system are the 12th and 13th.
        let mut times = stat.split(' ').skip(11).map(|time| time.parse::<u32>().ok());
        Some(times.next()?? + times.next()??)
    });
    TICK * ticks.sum::<u32>()
}

/// The memory that a group of processes has, in KiB; what is shared counts once.
pub(super) fn memory(group: i32) -> u64 {
    let kib = members(group).into_iter().filter_map(|(process, _)| {
        let rollup = fs::read_to_string(process.join("smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    });
    kib.sum()
}

/// The numbers of the processes of a group.
pub(super) fn processes(group: i32) -> Vec<String> {
    let name = |(path, _): (PathBuf, _)| Some(path.file_name()?.to_str()?.to_owned());
    members(group).into_iter().filter_map(name).collect()
}

/// Directories of the processes of a group, and what the kernel says of each behind its name.
fn members(group: i32) -> Vec<(PathBuf, String)> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let member = |path: PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let its_group: i32 = rest.split(' ').nth(2)?.parse().ok()?;
        (its_group == group).then(|| (path, rest.to_owned()))
    };
    processes.filter_map(|entry| member(entry.ok()?.path())).collect()
}
