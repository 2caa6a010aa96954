//! Measures the node this process runs on.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jaco_api::model::{NodeUsage, Pressure};

use super::parse::{self, Memory, Ticks};

/// A file of the kernel's that is always there could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used", path.display())]
pub struct SampleError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Measures this node. Each measurement covers the time since the one before.
#[derive(Debug)]
pub struct NodeSampler {
    proc: PathBuf,
    cgroup: PathBuf,
    before: Reading,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    ticks: Ticks,
    /// Processor time of our control group, where that is limited: used so far, and what may be
    /// used in a second, both in microseconds.
    group: Option<(u64, u64)>,
}

impl NodeSampler {
    /// Begins with a first look at the counters.
    ///
    /// # Errors
    /// [`SampleError`].
    pub fn new() -> Result<Self, SampleError> {
        Self::below("/proc", "/sys/fs/cgroup")
    }

    fn below(proc: impl Into<PathBuf>, cgroup: impl Into<PathBuf>) -> Result<Self, SampleError> {
        let (proc, cgroup) = (proc.into(), cgroup.into());
        let before = Reading::take(&proc, &cgroup)?;
        Ok(Self { proc, cgroup, before })
    }

    /// What the node has used since the last look.
    ///
    /// # Errors
    /// [`SampleError`].
    pub fn sample(&mut self) -> Result<NodeUsage, SampleError> {
        let now = Reading::take(&self.proc, &self.cgroup)?;
        let before = std::mem::replace(&mut self.before, now);
        let memory = self.memory()?;
        Ok(NodeUsage {
            cpu_permille: share(&before, &now),
            memory_used_bytes: memory.used,
            memory_total_bytes: memory.total,
            pressure: self.pressure(),
        })
    }

    fn memory(&self) -> Result<Memory, SampleError> {
        let path = self.proc.join("meminfo");
        let host = parse::memory(&read(&path)?).ok_or_else(|| malformed(&path))?;
        // The root of version 2 has no limit file, that of version 1 one beyond all memory.
        let group = group_memory(&self.cgroup).filter(|group| group.total < host.total);
        Ok(group.unwrap_or(host))
    }

    fn pressure(&self) -> Option<Pressure> {
        let stall = |name: &str| {
            let own = self.cgroup.join(format!("{name}.pressure"));
            let host = self.proc.join("pressure").join(name);
            // A node that is a container waits for its own limits, too.
            let text = there(&own).or_else(|| there(&host))?;
            parse::stall(&text)
        };
        Some(Pressure { cpu: stall("cpu")?, memory: stall("memory")?, io: stall("io")? })
    }
}

impl Reading {
    fn take(proc: &Path, cgroup: &Path) -> Result<Self, SampleError> {
        let path = proc.join("stat");
        let ticks = parse::ticks(&read(&path)?).ok_or_else(|| malformed(&path))?;
        Ok(Self { at: Instant::now(), ticks, group: group_processors(cgroup) })
    }
}

/// Share of the processors that was used between two readings, in thousandths.
fn share(before: &Reading, now: &Reading) -> u32 {
    let elapsed = now.at.duration_since(before.at);
    let (used, all) = match (before.group, now.group) {
        (Some((before, _)), Some((now, per_second))) => {
            let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
            let all = micros.saturating_mul(per_second) / micros_in(Duration::from_secs(1));
            (now.saturating_sub(before), all)
        }
        _ => (
            now.ticks.busy.saturating_sub(before.ticks.busy),
            now.ticks.total.saturating_sub(before.ticks.total),
        ),
    };
    let permille = used.saturating_mul(1000).checked_div(all).unwrap_or(0);
    u32::try_from(permille).unwrap_or(1000).min(1000)
}

fn micros_in(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Processor time of the control group we are in, when that is limited: used, and allowed per
/// second, in microseconds.
fn group_processors(cgroup: &Path) -> Option<(u64, u64)> {
    let text = |file: &str| there(&cgroup.join(file));
    let (used, millis) = match text("cpu.max") {
        Some(max) => (parse::keyed(&text("cpu.stat")?, "usage_usec")?, parse::processors(&max)?),
        None => {
            let quota = parse::limit(&text("cpu/cpu.cfs_quota_us")?)?;
            let period = parse::limit(&text("cpu/cpu.cfs_period_us")?)?;
            let nanos = parse::limit(&text("cpuacct/cpuacct.usage")?)?;
            (nanos / 1000, parse::quota(quota, period)?)
        }
    };
    Some((used, millis * 1000))
}

/// Memory of the control group we are in, when that is limited.
fn group_memory(cgroup: &Path) -> Option<Memory> {
    let text = |file: &str| there(&cgroup.join(file));
    let (total, used, stat, cache) = match text("memory.max") {
        Some(max) => (max, text("memory.current")?, text("memory.stat")?, "inactive_file"),
        None => (
            text("memory/memory.limit_in_bytes")?,
            text("memory/memory.usage_in_bytes")?,
            text("memory/memory.stat")?,
            "total_inactive_file",
        ),
    };
    let cache = parse::keyed(&stat, cache).unwrap_or(0);
    let used = parse::limit(&used)?.saturating_sub(cache);
    Some(Memory { used, total: parse::limit(&total)? })
}

fn read(path: &Path) -> Result<String, SampleError> {
    fs::read_to_string(path).map_err(|source| SampleError { path: path.to_owned(), source })
}

/// A file that not every kernel and not every control group has.
fn there(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn malformed(path: &Path) -> SampleError {
    SampleError { path: path.to_owned(), source: io::ErrorKind::InvalidData.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files below a directory that goes with the test.
    struct Host(tempfile::TempDir);

    impl Host {
        fn new() -> Self {
            let host = Self(tempfile::tempdir().unwrap());
            host.write("proc/stat", "cpu  100 0 0 900 0 0 0 0 0 0\n");
            host.write("proc/meminfo", "MemTotal: 4096 kB\nMemAvailable: 1024 kB\n");
            host
        }
        fn write(&self, file: &str, text: &str) {
            let path = self.0.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fn sampler(&self) -> NodeSampler {
            NodeSampler::below(self.0.path().join("proc"), self.0.path().join("cgroup")).unwrap()
        }
    }

    #[test]
    fn a_host_is_measured_between_two_looks() {
        let host = Host::new();
        let mut sampler = host.sampler();
        host.write("proc/stat", "cpu  400 0 0 1600 0 0 0 0 0 0\n");
        let usage = sampler.sample().unwrap();
        assert_eq!((usage.cpu_permille, usage.memory_permille()), (300, 750));
        assert_eq!(usage.pressure, None, "this kernel does not tell");
        assert_eq!(sampler.sample().unwrap().cpu_permille, 0, "nothing since");
    }

    #[test]
    fn pressure_is_read_where_it_is() {
        let host = Host::new();
        let line = |n: u32| format!("some avg10={n}.00 avg60=0.00 avg300=0.00 total=0\n");
        for (n, name) in [(1, "cpu"), (2, "memory"), (3, "io")] {
            host.write(&format!("proc/pressure/{name}"), &line(n));
        }
        let pressure = host.sampler().sample().unwrap().pressure.unwrap();
        let some = [pressure.cpu, pressure.memory, pressure.io].map(|s| s.some_permille);
        assert_eq!(some, [10, 20, 30]);
        host.write("cgroup/memory.pressure", &line(50));
        let pressure = host.sampler().sample().unwrap().pressure.unwrap();
        assert_eq!((pressure.cpu.some_permille, pressure.memory.some_permille), (10, 500));
    }

    #[test]
    fn limits_of_either_version_of_control_groups_make_a_node_smaller() {
        for (files, none) in [
            (
                [
                    ("memory.max", "2097152\n"),
                    ("memory.current", "1572864\n"),
                    ("memory.stat", "inactive_file 524288\n"),
                ],
                ("memory.max", "max\n"),
            ),
            (
                [
                    ("memory/memory.limit_in_bytes", "2097152\n"),
                    ("memory/memory.usage_in_bytes", "1572864\n"),
                    ("memory/memory.stat", "total_inactive_file 524288\n"),
                ],
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ),
        ] {
            let host = Host::new();
            for (file, text) in files {
                host.write(&format!("cgroup/{file}"), text);
            }
            let usage = host.sampler().sample().unwrap();
            assert_eq!((usage.memory_used_bytes, usage.memory_total_bytes), (1 << 20, 2 << 20));
            host.write(&format!("cgroup/{}", none.0), none.1);
            let usage = host.sampler().sample().unwrap();
            assert_eq!(usage.memory_total_bytes, 4 << 20);
        }
    }

    #[test]
    fn a_quota_is_all_the_processor_there_is() {
        let at = Instant::now();
        let ticks = Ticks { busy: 0, total: 0 };
        let before = Reading { at, ticks, group: Some((1_000_000, 1_500_000)) };
        let later = at + Duration::from_secs(2);
        let now = Reading { at: later, ticks, group: Some((2_500_000, 1_500_000)) };
        assert_eq!(share(&before, &now), 500);
        assert_eq!(share(&now, &before), 0, "counters that went back count for nothing");

        let host = Host::new();
        let cgroup = host.0.path().join("cgroup");
        assert_eq!(group_processors(&cgroup), None);
        host.write("cgroup/cpu/cpu.cfs_quota_us", "50000\n");
        host.write("cgroup/cpu/cpu.cfs_period_us", "100000\n");
        host.write("cgroup/cpuacct/cpuacct.usage", "7000000\n");
        assert_eq!(group_processors(&cgroup), Some((7_000, 500_000)));
        host.write("cgroup/cpu.max", "max 100000\n");
        host.write("cgroup/cpu.stat", "usage_usec 9\n");
        assert_eq!(group_processors(&cgroup), None, "version 2 without a limit");
    }

    #[test]
    fn this_machine_can_be_measured() {
        let usage = NodeSampler::new().unwrap().sample().unwrap();
        assert!(usage.cpu_permille <= 1000 && usage.memory_used_bytes > 0, "{usage:?}");
        assert!(usage.memory_used_bytes <= usage.memory_total_bytes, "{usage:?}");
    }

    #[test]
    fn a_file_that_must_be_there_is_named_when_it_is_not() {
        let error = NodeSampler::below("/nonexistent", "/nonexistent").unwrap_err();
        assert_eq!(error.path, Path::new("/nonexistent/stat"));
    }
}
