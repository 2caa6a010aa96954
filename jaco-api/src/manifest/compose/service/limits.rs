//! How much a container may use.

use super::ServiceDraft;
use crate::manifest::{
    compose::{deploy, host, limits, toplevel::texts},
    fields::{Attribute, accepted},
    privilege::is_own_sysctl,
    values,
};

/// Attributes of limits and weights.
pub(super) const LIMITS: &[Attribute<ServiceDraft>] = &[
    accepted(
        "sysctls",
        "Kernel parameters of its own namespaces (`net.*`, `fs.mqueue.*`, `kernel.shm*`, …); a mapping or a list. Others need the label that allows them.",
        |s, n, r| {
            s.spec.sysctls = texts(n, r);
            if !s.spec.sysctls.keys().all(|name| is_own_sysctl(name)) {
                s.privileged_at.push(n.mark);
            }
        },
    ),
    accepted(
        "ulimits",
        "Limits of its processes by name: a number, or `{soft, hard}`; -1 is unlimited.",
        |s, n, r| s.spec.ulimits = host::ulimits(n, r),
    ),
    accepted(
        "oom_score_adj",
        "Which processes the kernel kills first when memory runs out: from -1000 (last) to 1000.",
        |s, n, r| {
            s.spec.oom_score_adj = values::integer(n, -1000..=1000, r)
                .and_then(|v| i32::try_from(v).ok())
                .unwrap_or_default();
        },
    ),
    accepted(
        "cpus",
        "Limit of processors, as `1.5`; `deploy.resources.limits.cpus` wins.",
        |s, n, r| {
            s.old_resources.cpu_millis = deploy::cpus(n, r).unwrap_or_default();
        },
    ),
    accepted(
        "mem_limit",
        "Limit of memory, as `512m`; `deploy.resources.limits.memory` wins.",
        |s, n, r| {
            s.old_resources.memory_bytes = values::bytes(n, r).unwrap_or_default();
        },
    ),
    accepted(
        "mem_reservation",
        "Memory it should have, as `256m`; also what the scheduler reserves. `deploy.resources.reservations.memory` wins.",
        |s, n, r| {
            s.old_resources.memory_reservation_bytes = values::bytes(n, r).unwrap_or_default();
        },
    ),
    accepted("memswap_limit", "Limit of memory and swap together; -1 is unlimited.", |s, n, r| {
        s.old_resources.memory_swap_bytes = values::bytes_or_unlimited(n, r).unwrap_or_default();
    }),
    accepted(
        "pids_limit",
        "Limit of processes; -1 is unlimited. `deploy.resources.limits.pids` wins.",
        |s, n, r| {
            s.old_resources.pids = values::integer(n, -1..=i64::MAX, r).unwrap_or_default();
        },
    ),
    accepted(
        "cpu_shares",
        "Relative weight when processors are short; 1024 is usual.",
        |s, n, r| {
            s.old_resources.cpu_shares = values::integer(n, 0..=262_144, r).unwrap_or_default();
        },
    ),
    accepted("cpuset", "Processors it may run on, as `0-3` or `0,2`.", |s, n, r| {
        s.old_resources.cpuset = values::some_text(n, r).unwrap_or_default();
    }),
    accepted(
        "cpu_period",
        "Period of the processor limit in microseconds, or as `50ms`. Excludes `cpus`.",
        limits::cpu_period,
    ),
    accepted(
        "cpu_quota",
        "Processor time in each period, in microseconds or as `25ms`; -1 is unlimited. Excludes `cpus`.",
        limits::cpu_quota,
    ),
    accepted(
        "cpu_rt_period",
        "Period of the real-time limit in microseconds, or as `1s`; the engine's kernel must support it.",
        limits::rt_period,
    ),
    accepted(
        "cpu_rt_runtime",
        "Real-time processor time in each of those periods, in microseconds or as `950ms`.",
        limits::rt_runtime,
    ),
    accepted(
        "mem_swappiness",
        "How readily its memory is swapped out, from 0 to 100. Kernels with cgroup v2 do not have it.",
        limits::swappiness,
    ),
    accepted(
        "oom_kill_disable",
        "true: at its limit of memory it waits instead of being killed. Kernels with cgroup v2 do not have it.",
        limits::oom_kill_disable,
    ),
    accepted("blkio_config", "Weights and limits of disks.", limits::block_io),
    accepted(
        "storage_opt",
        "Options of the engine's storage driver, as `size: 10G`; the engine refuses those it does not know.",
        |s, n, r| s.spec.storage_opt = texts(n, r),
    ),
];
