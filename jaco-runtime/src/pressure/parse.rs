//! The kernel's files as numbers. Pure: text in, values out; what is not there is absent.

use jaco_api::model::Stall;

/// Processor time since boot, in the kernel's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticks {
    pub(super) busy: u64,
    pub(super) total: u64,
}

/// `/proc/stat`: its first line has user, nice, system, idle, iowait, irq, softirq, steal, and guest
/// times that are already in the first two.
pub(super) fn ticks(stat: &str) -> Option<Ticks> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let all: Vec<u64> = line.split_whitespace().take(8).filter_map(|n| n.parse().ok()).collect();
    let total: u64 = all.iter().sum();
    let idle = all.get(3)? + all.get(4).unwrap_or(&0);
    Some(Ticks { busy: total - idle, total })
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) used: u64,
    pub(super) total: u64,
}

/// `/proc/meminfo`.
pub(super) fn memory(meminfo: &str) -> Option<Memory> {
    let kib = |key: &str| {
        let line = meminfo.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (total, available) = (kib("MemTotal")?, kib("MemAvailable")?);
    Some(Memory { used: total.saturating_sub(available) << 10, total: total << 10 })
}

/// A file of pressure: lines `some avg10=1.23 …` and, mostly, `full avg10=…`.
pub(super) fn stall(text: &str) -> Option<Stall> {
    let permille = |kind: &str| {
        let line = text.lines().find(|l| l.split_whitespace().next() == Some(kind))?;
        let average = line.split_whitespace().find_map(|w| w.strip_prefix("avg10="))?;
        tenths(average)
    };
    let full_permille = permille("full").unwrap_or(0);
    Some(Stall { some_permille: permille("some")?, full_permille })
}

/// Percents with two digits after the point, as thousandths.
fn tenths(percent: &str) -> Option<u32> {
    let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
    let tenth: u32 = part.get(..1)?.parse().ok()?;
    Some(whole.parse::<u32>().ok()? * 10 + tenth)
}

/// A limit of a control group; one that limits nothing is absent.
pub(super) fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `cpu.max`: so many microseconds in such a period, as thousandths of a processor.
pub(super) fn processors(cpu_max: &str) -> Option<u64> {
    let mut words = cpu_max.split_whitespace();
    quota(limit(words.next()?)?, limit(words.next()?)?)
}

/// A quota in a period, as thousandths of a processor.
pub(super) fn quota(quota: u64, period: u64) -> Option<u64> {
    (quota * 1000).checked_div(period).filter(|n| *n > 0)
}

/// A number in a file of `key value` lines.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == key).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_busy_unless_idle_or_waiting_for_disks() {
        let stat = "cpu  100 20 30 400 50 6 4 10 7 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(ticks(stat), Some(Ticks { busy: 170, total: 620 }));
        assert_eq!(ticks("intr 1 2 3\n"), None);
        assert_eq!(ticks("cpu  1 2\n"), None);
    }

    #[test]
    fn memory_that_is_available_is_not_used() {
        let text = "MemTotal:       1000 kB\nMemFree:  100 kB\nMemAvailable:    600 kB\n";
        assert_eq!(memory(text), Some(Memory { used: 400 << 10, total: 1000 << 10 }));
        assert_eq!(memory("MemTotal: 1000 kB\n"), None);
    }

    #[test]
    fn pressure_is_the_average_of_ten_seconds() {
        let text = "some avg10=12.34 avg60=8.99 avg300=39.70 total=576934452\n\
                    full avg10=0.09 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(stall(text), Some(Stall { some_permille: 123, full_permille: 0 }));
        // Kernels before 5.13 have no line `full` for processors.
        let some = stall("some avg10=100.00 avg60=0.00 avg300=0.00 total=1\n");
        assert_eq!(some, Some(Stall { some_permille: 1000, full_permille: 0 }));
        assert_eq!(stall(""), None);
    }

    #[test]
    fn limits_that_limit_nothing_are_absent() {
        assert_eq!(limit("1073741824\n"), Some(1 << 30));
        for none in ["max\n", "-1\n", ""] {
            assert_eq!(limit(none), None, "{none:?}");
        }
        assert_eq!(processors("150000 100000\n"), Some(1500));
        assert_eq!(processors("max 100000\n"), None);
        assert_eq!(quota(100, 0), None);
        assert_eq!(keyed("anon 5\ninactive_file 7\n", "inactive_file"), Some(7));
        assert_eq!(keyed("inactive_file_x 7\n", "inactive_file"), None);
    }
}
