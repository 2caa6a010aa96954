//! How much memory a daemon takes while something happens to it.

use std::fs;

use jaco_e2e::{Fleet, Outcome};

/// Does something; meanwhile the daemon of node `n` must grow by no more than `bound` KiB. What is done says what it was.
pub(super) fn grows_at_most(
    fleet: &mut Fleet,
    n: usize,
    bound: u64,
    work: impl FnOnce(&Fleet) -> Outcome<String>,
) -> Outcome {
    let process = fleet.cluster_mut().node_mut(n).process();
    let pid = process.ok_or("the daemon does not run")?.pid();
    // From here on the kernel's high-water mark is that of what follows.
    fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    let before = status(pid, "VmRSS")?;
    let done = work(fleet)?;
    let most = status(pid, "VmHWM")?;
    let growth = most.saturating_sub(before);
    fleet.measured(&done, format!("the daemon had {before} KiB and at most {growth} KiB more"));
    assert!(growth < bound, "{growth} KiB more than {before}");
    Ok(())
}

/// A line of a process's status, in KiB.
fn status(pid: i32, key: &str) -> Outcome<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or_else(|| format!("no {key}"))?.parse()?)
}
