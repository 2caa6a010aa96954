//! Limits and weights of the kernel: processor, memory, disks.
//!
//! Each attribute is decoded by itself; what excludes what is said by [`check`].

use std::collections::BTreeMap;

use super::ServiceDraft;
use crate::{
    manifest::{
        fields::{Schema, Supported, accepted},
        report::{Mark, Report, cut},
        values,
        yaml::Node,
    },
    model::BlockIo,
};

/// Longest period of the kernel's schedulers in microseconds.
const LONGEST_PERIOD: i64 = 1_000_000;

static BLOCK_IO: Schema<BlockIo> = Schema {
    what: "`blkio_config`",
    at: &["services.*.blkio_config"],
    extensions: true,
    attributes: &[
        accepted("weight", "Relative weight of its disk time, from 10 to 1000.", |b, n, r| {
            b.weight = weight(n, r).unwrap_or_default()
        }),
        accepted("weight_device", "The same for single disks.", |b, n, r| {
            b.weight_device = by_path(&WEIGHT, n, r)
        }),
        accepted("device_read_bps", "Most bytes read in a second, by disk.", |b, n, r| {
            b.read_bps = by_path(&RATE, n, r)
        }),
        accepted("device_write_bps", "Most bytes written in a second, by disk.", |b, n, r| {
            b.write_bps = by_path(&RATE, n, r)
        }),
        accepted("device_read_iops", "Most reads in a second, by disk.", |b, n, r| {
            b.read_iops = by_path(&OPERATIONS, n, r)
        }),
        accepted("device_write_iops", "Most writes in a second, by disk.", |b, n, r| {
            b.write_iops = by_path(&OPERATIONS, n, r)
        }),
    ],
};

/// The path of a disk and what holds for it.
type OfDisk<T> = (Option<String>, Option<T>);

static WEIGHT: Schema<OfDisk<u16>> = Schema {
    what: "a weight of a disk",
    at: &["services.*.blkio_config.weight_device"],
    extensions: true,
    attributes: &[
        accepted("path", "The disk, as `/dev/sda`.", |d, n, r| d.0 = values::some_text(n, r)),
        accepted("weight", "Weight from 10 to 1000.", |d, n, r| d.1 = weight(n, r)),
    ],
};

static RATE: Schema<OfDisk<u64>> = Schema {
    what: "a limit of a disk",
    at: &["services.*.blkio_config.device_read_bps", "services.*.blkio_config.device_write_bps"],
    extensions: true,
    attributes: &[
        accepted("path", "The disk, as `/dev/sda`.", |d, n, r| d.0 = values::some_text(n, r)),
        accepted("rate", "Bytes in a second, as `10m`.", |d, n, r| d.1 = values::bytes(n, r)),
    ],
};

static OPERATIONS: Schema<OfDisk<u64>> = Schema {
    what: "a limit of operations",
    at: &["services.*.blkio_config.device_read_iops", "services.*.blkio_config.device_write_iops"],
    extensions: true,
    attributes: &[
        accepted("path", "The disk, as `/dev/sda`.", |d, n, r| d.0 = values::some_text(n, r)),
        accepted("rate", "Operations in a second.", |d, n, r| {
            d.1 = values::integer(n, 0..=i64::MAX, r).and_then(|n| u64::try_from(n).ok());
        }),
    ],
};

/// Every key of `blkio_config`.
pub(super) fn describe() -> Vec<Supported> {
    let (all, weight) = (BLOCK_IO.describe(), WEIGHT.describe());
    all.chain(weight).chain(RATE.describe()).chain(OPERATIONS.describe()).collect()
}

/// Decodes `blkio_config`.
pub(super) fn block_io(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    BLOCK_IO.decode(node, &mut draft.old_resources.block_io, report);
}

fn weight(node: &Node, report: &mut Report<'_>) -> Option<u16> {
    values::integer(node, 10..=1000, report).and_then(|w| u16::try_from(w).ok())
}

/// A list of disks, each with one value.
fn by_path<T>(
    schema: &Schema<OfDisk<T>>,
    node: &Node,
    report: &mut Report<'_>,
) -> BTreeMap<String, T> {
    let mut out = BTreeMap::new();
    values::items(node, report, |item, report| {
        let mut disk = (None, None);
        schema.decode(item, &mut disk, report);
        match disk {
            (Some(path), _) if !path.starts_with('/') => {
                report.error(item.mark, format!("the path `{}` is not absolute", cut(&path)));
            }
            (Some(path), Some(value)) => drop(out.insert(path, value)),
            _ => {
                for attribute in schema.describe().filter(|a| item.get(a.name).is_none()) {
                    report.error(item.mark, format!("{} has no `{}`", schema.what, attribute.name));
                }
            }
        }
    });
    out
}

/// Decodes `cpu_period`.
pub(super) fn cpu_period(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let Some(period) = values::micros(node, LONGEST_PERIOD, report) else { return };
    if period != 0 && period < 1000 {
        values::wrong::<()>(node, "at least 1000 microseconds", report);
        return;
    }
    draft.old_resources.cpu_period_us = period;
    draft.quota_at = Some(node.mark);
}

/// Decodes `cpu_quota`; -1 is no limit.
pub(super) fn cpu_quota(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let quota = match node.as_text().map(str::trim) {
        Some("-1") => Some(-1),
        _ => values::micros(node, i64::MAX, report),
    };
    match quota {
        None => {}
        Some(1..1000) => drop(values::wrong::<()>(node, "at least 1000 microseconds", report)),
        Some(quota) => {
            draft.old_resources.cpu_quota_us = quota;
            draft.quota_at = Some(node.mark);
        }
    }
}

/// Decodes `cpu_rt_period`.
pub(super) fn rt_period(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let period = values::micros(node, LONGEST_PERIOD, report);
    draft.old_resources.cpu_rt_period_us = period.unwrap_or_default();
}

/// Decodes `cpu_rt_runtime`.
pub(super) fn rt_runtime(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let runtime = values::micros(node, LONGEST_PERIOD, report);
    draft.old_resources.cpu_rt_runtime_us = runtime.unwrap_or_default();
}

/// Decodes `mem_swappiness`. What is not said is the host's.
pub(super) fn swappiness(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let swappiness = values::integer(node, 0..=100, report);
    draft.old_resources.memory_swappiness = swappiness.and_then(|s| u8::try_from(s).ok());
}

/// Decodes `oom_kill_disable`.
pub(super) fn oom_kill_disable(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    draft.old_resources.oom_kill_disable = values::boolean(node, report).unwrap_or_default();
}

/// Limits that exclude each other.
pub(super) fn check(mark: Mark, draft: &ServiceDraft, report: &mut Report<'_>) {
    let (old, limits) = (&draft.old_resources, &draft.deploy.limits);
    if let Some(at) = draft.quota_at
        && (old.cpu_millis > 0 || limits.cpu_millis > 0)
    {
        report.error_hint(
            at,
            "`cpu_quota` and `cpu_period` exclude `cpus`: both limit the processor time",
            "keep `cpus`: it is the quota as a number of processors",
        );
    }
    if old.cpu_rt_period_us > 0 && old.cpu_rt_runtime_us > old.cpu_rt_period_us {
        report.error(mark, "`cpu_rt_runtime` is longer than `cpu_rt_period`");
    }
    if old.oom_kill_disable && old.memory_bytes == 0 && limits.memory_bytes == 0 {
        let message = "with `oom_kill_disable` and no limit of memory it can exhaust its host";
        report.warn(mark, message, Some("set `deploy.resources.limits.memory`".to_owned()));
    }
}
