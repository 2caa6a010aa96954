//! How much it may use.

use super::{Cannot, Row, row, unless};

pub(super) const LIMITS: &[Row] = &[
    row(
        &["services.*.sysctls"],
        "sysctls: {net.core.somaxconn: 1024}",
        &[("/HostConfig/Sysctls", r#"{"net.core.somaxconn":"1024"}"#)],
    ),
    row(
        &["services.*.ulimits.*.soft", "services.*.ulimits.*.hard"],
        "ulimits: {nofile: {soft: 10, hard: 20}}",
        &[("/HostConfig/Ulimits", r#"[{"Name":"nofile","Hard":20,"Soft":10}]"#)],
    ),
    row(
        &["services.*.oom_score_adj"],
        "oom_score_adj: -100",
        &[("/HostConfig/OomScoreAdj", "-100")],
    ),
    row(&["services.*.cpus"], "cpus: 0.5", &[("/HostConfig/NanoCpus", "500000000")]),
    row(&["services.*.mem_limit"], "mem_limit: 64m", &[("/HostConfig/Memory", "67108864")]),
    row(
        &["services.*.mem_reservation"],
        "mem_reservation: 32m",
        &[("/HostConfig/MemoryReservation", "33554432")],
    ),
    row(
        &["services.*.memswap_limit"],
        "mem_limit: 64m\nmemswap_limit: 128m",
        &[("/HostConfig/MemorySwap", "134217728")],
    ),
    row(&["services.*.pids_limit"], "pids_limit: 10", &[("/HostConfig/PidsLimit", "10")]),
    row(&["services.*.cpu_shares"], "cpu_shares: 512", &[("/HostConfig/CpuShares", "512")]),
    row(&["services.*.cpuset"], "cpuset: '0'", &[("/HostConfig/CpusetCpus", r#""0""#)]),
    row(
        &["services.*.cpu_period", "services.*.cpu_quota"],
        "cpu_period: 50ms\ncpu_quota: 25000",
        &[("/HostConfig/CpuPeriod", "50000"), ("/HostConfig/CpuQuota", "25000")],
    ),
    row(
        &[
            "services.*.deploy.resources.limits.cpus",
            "services.*.deploy.resources.limits.memory",
            "services.*.deploy.resources.limits.pids",
        ],
        "deploy: {resources: {limits: {cpus: '0.5', memory: 64M, pids: 9}}}",
        &[
            ("/HostConfig/NanoCpus", "500000000"),
            ("/HostConfig/Memory", "67108864"),
            ("/HostConfig/PidsLimit", "9"),
        ],
    ),
    row(
        &["services.*.deploy.resources.reservations.memory"],
        "deploy: {resources: {reservations: {memory: 32M}}}",
        &[("/HostConfig/MemoryReservation", "33554432")],
    ),
    unless(
        Cannot::Refuses("real-time"),
        row(
            &["services.*.cpu_rt_period", "services.*.cpu_rt_runtime"],
            "cpu_rt_period: 1s\ncpu_rt_runtime: 950ms",
            &[
                ("/HostConfig/CpuRealtimePeriod", "1000000"),
                ("/HostConfig/CpuRealtimeRuntime", "950000"),
            ],
        ),
    ),
    unless(
        Cannot::Lacks(&["/sys/fs/cgroup/memory/memory.swappiness"]),
        row(
            &["services.*.mem_swappiness"],
            "mem_swappiness: 10",
            &[("/HostConfig/MemorySwappiness", "10")],
        ),
    ),
    unless(
        Cannot::Lacks(&["/sys/fs/cgroup/memory/memory.oom_control"]),
        row(
            &["services.*.oom_kill_disable"],
            "mem_limit: 64m\noom_kill_disable: true",
            &[("/HostConfig/OomKillDisable", "true")],
        ),
    ),
    unless(
        Cannot::Lacks(&["/sys/fs/cgroup/blkio/blkio.weight", "/sys/fs/cgroup/cgroup.controllers"]),
        row(
            &["services.*.blkio_config.weight"],
            "blkio_config: {weight: 300}",
            &[("/HostConfig/BlkioWeight", "300")],
        ),
    ),
    unless(
        Cannot::Lacks(&[
            "/sys/fs/cgroup/blkio/blkio.weight_device",
            "/sys/fs/cgroup/cgroup.controllers",
        ]),
        row(
            &[
                "services.*.blkio_config.weight_device.path",
                "services.*.blkio_config.weight_device.weight",
            ],
            "blkio_config: {weight_device: [{path: /dev/null, weight: 400}]}",
            &[("/HostConfig/BlkioWeightDevice", r#"[{"Path":"/dev/null","Weight":400}]"#)],
        ),
    ),
    row(
        &[
            "services.*.blkio_config.device_read_bps.path",
            "services.*.blkio_config.device_read_bps.rate",
        ],
        "blkio_config: {device_read_bps: [{path: /dev/null, rate: 1m}]}",
        &[("/HostConfig/BlkioDeviceReadBps", r#"[{"Path":"/dev/null","Rate":1048576}]"#)],
    ),
    row(
        &[
            "services.*.blkio_config.device_write_bps.path",
            "services.*.blkio_config.device_write_bps.rate",
        ],
        "blkio_config: {device_write_bps: [{path: /dev/null, rate: 2m}]}",
        &[("/HostConfig/BlkioDeviceWriteBps", r#"[{"Path":"/dev/null","Rate":2097152}]"#)],
    ),
    row(
        &[
            "services.*.blkio_config.device_read_iops.path",
            "services.*.blkio_config.device_read_iops.rate",
        ],
        "blkio_config: {device_read_iops: [{path: /dev/null, rate: 120}]}",
        &[("/HostConfig/BlkioDeviceReadIOps", r#"[{"Path":"/dev/null","Rate":120}]"#)],
    ),
    row(
        &[
            "services.*.blkio_config.device_write_iops.path",
            "services.*.blkio_config.device_write_iops.rate",
        ],
        "blkio_config: {device_write_iops: [{path: /dev/null, rate: 30}]}",
        &[("/HostConfig/BlkioDeviceWriteIOps", r#"[{"Path":"/dev/null","Rate":30}]"#)],
    ),
    unless(
        Cannot::Refuses("storage-opt"),
        row(
            &["services.*.storage_opt"],
            "storage_opt: {size: 1G}",
            &[("/HostConfig/StorageOpt", r#"{"size":"1G"}"#)],
        ),
    ),
    row(
        &["services.*.logging.driver", "services.*.logging.options"],
        "logging: {driver: json-file, options: {max-size: 1m}}",
        &[("/HostConfig/LogConfig", r#"{"Type":"json-file","Config":{"max-size":"1m"}}"#)],
    ),
];
