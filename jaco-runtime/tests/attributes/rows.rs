//! One row for each attribute that the engine sees: what is written, and what `docker inspect` shows.

/// Attributes and what becomes of them.
pub(crate) struct Row {
    /// The attributes it is about, by their path in a compose file.
    pub(crate) of: &'static [&'static str],
    /// Lines of the service, beside its image and its labels.
    pub(crate) service: &'static str,
    /// Lines at the top of the file.
    pub(crate) top: &'static str,
    /// What is looked at: JSON pointers and values, or several between bars where engines differ.
    pub(crate) seen: &'static [(&'static str, &'static str)],
    /// What is looked at in a network or volume of the engine, by its name.
    pub(crate) thing: Option<Thing>,
    /// The oldest API that has it; an older engine must be told apart from one that refuses.
    pub(crate) needs: Option<&'static str>,
    /// How the engine says that its kernel or its disk cannot do it.
    pub(crate) cannot: Option<Cannot>,
}

/// How an engine says that a machine cannot do something.
pub(crate) enum Cannot {
    /// By making the container without it: the kernel has none of these files.
    Lacks(&'static [&'static str]),
    /// In its refusal.
    Refuses(&'static str),
}

/// A network or volume of the engine.
pub(crate) struct Thing {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) seen: &'static [(&'static str, &'static str)],
}

const fn row(
    of: &'static [&'static str],
    service: &'static str,
    seen: &'static [(&'static str, &'static str)],
) -> Row {
    Row { of, service, top: "", seen, thing: None, needs: None, cannot: None }
}

const fn top(row: Row, top: &'static str) -> Row {
    Row { top, ..row }
}

const fn since(needs: &'static str, row: Row) -> Row {
    Row { needs: Some(needs), ..row }
}

const fn unless(cannot: Cannot, row: Row) -> Row {
    Row { cannot: Some(cannot), ..row }
}

const fn thing(
    of: &'static [&'static str],
    service: &'static str,
    top: &'static str,
    thing: Thing,
) -> Row {
    Row { of, service, top, seen: &[], thing: Some(thing), needs: None, cannot: None }
}

/// Every row. Needs the label that allows everything, which each service gets.
pub(crate) const ROWS: &[Row] = &[
    // What runs.
    row(&["services.*.image"], "", &[("/Config/Image", r#""jaco-test/busybox:1""#)]),
    row(&["services.*.platform"], "platform: linux/amd64", &[("/Platform", r#""linux""#)]),
    row(
        &["services.*.command"],
        "command: sh -c 'echo $$A'",
        &[("/Config/Cmd", r#"["sh","-c","echo $$A"]"#)],
    ),
    row(
        &["services.*.entrypoint"],
        "entrypoint: [sh, -x]",
        &[("/Config/Entrypoint", r#"["sh","-x"]"#)],
    ),
    row(
        &["services.*.environment"],
        "environment: {A: '1', EMPTY: ''}",
        &[("/Config/Env/0", r#""A=1""#), ("/Config/Env/1", r#""EMPTY=""#)],
    ),
    row(&["services.*.user"], "user: '1000:1001'", &[("/Config/User", r#""1000:1001""#)]),
    row(
        &["services.*.group_add"],
        "group_add: [44, audio]",
        &[("/HostConfig/GroupAdd", r#"["44","audio"]"#)],
    ),
    row(&["services.*.working_dir"], "working_dir: /srv", &[("/Config/WorkingDir", r#""/srv""#)]),
    row(&["services.*.labels"], "", &[("/Config/Labels/team", r#""blue""#)]),
    since(
        "1.43",
        row(
            &["services.*.annotations"],
            "annotations: {a.b/c: d}",
            &[("/HostConfig/Annotations/a.b~1c", r#""d""#)],
        ),
    ),
    row(&["services.*.init"], "init: true", &[("/HostConfig/Init", "true")]),
    row(&["services.*.tty"], "tty: true", &[("/Config/Tty", "true")]),
    row(&["services.*.stdin_open"], "stdin_open: true", &[("/Config/OpenStdin", "true")]),
    row(
        &["services.*.stop_signal"],
        "stop_signal: SIGINT",
        &[("/Config/StopSignal", r#""SIGINT""#)],
    ),
    row(
        &["services.*.stop_grace_period"],
        "stop_grace_period: 1m30s",
        &[("/Config/StopTimeout", "90")],
    ),
    row(
        &[
            "services.*.healthcheck.test",
            "services.*.healthcheck.interval",
            "services.*.healthcheck.timeout",
            "services.*.healthcheck.start_period",
            "services.*.healthcheck.retries",
        ],
        "healthcheck: {test: [CMD, 'true'], interval: 30s, timeout: 2s, start_period: 1m, retries: 4}",
        &[
            ("/Config/Healthcheck/Test", r#"["CMD","true"]"#),
            ("/Config/Healthcheck/Interval", "30000000000"),
            ("/Config/Healthcheck/Timeout", "2000000000"),
            ("/Config/Healthcheck/StartPeriod", "60000000000"),
            ("/Config/Healthcheck/Retries", "4"),
        ],
    ),
    since(
        "1.44",
        row(
            &["services.*.healthcheck.start_interval"],
            "healthcheck: {test: 'true', start_interval: 500ms}",
            &[("/Config/Healthcheck/StartInterval", "500000000")],
        ),
    ),
    row(
        &["services.*.healthcheck.disable"],
        "healthcheck: {disable: true}",
        &[("/Config/Healthcheck/Test", r#"["NONE"]"#)],
    ),
    // What is mounted.
    row(&["services.*.read_only"], "read_only: true", &[("/HostConfig/ReadonlyRootfs", "true")]),
    row(&["services.*.shm_size"], "shm_size: 32m", &[("/HostConfig/ShmSize", "33554432")]),
    row(
        &["services.*.tmpfs"],
        "tmpfs: [/run, '/tmp:size=1m,uid=1000,mode=700']",
        &[
            ("/HostConfig/Mounts/0/Type", r#""tmpfs""#),
            ("/HostConfig/Mounts/0/Target", r#""/run""#),
            ("/HostConfig/Tmpfs/~1tmp", r#""uid=1000,size=1048576,mode=700""#),
        ],
    ),
    row(
        &["services.*.volumes.tmpfs.size", "services.*.volumes.tmpfs.mode"],
        "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 1777}}]",
        &[
            ("/HostConfig/Mounts/0/TmpfsOptions/SizeBytes", "1048576"),
            ("/HostConfig/Mounts/0/TmpfsOptions/Mode", "1023"),
        ],
    ),
    top(
        row(
            &[
                "services.*.volumes.type",
                "services.*.volumes.source",
                "services.*.volumes.target",
                "services.*.volumes.read_only",
                "services.*.volumes.volume.nocopy",
            ],
            "volumes: [{type: volume, source: data, target: /data, read_only: true, volume: {nocopy: true}}]",
            &[
                ("/HostConfig/Mounts/0/Type", r#""volume""#),
                ("/HostConfig/Mounts/0/Source", r#""jaco_attr_data""#),
                ("/HostConfig/Mounts/0/Target", r#""/data""#),
                ("/HostConfig/Mounts/0/ReadOnly", "true"),
                ("/HostConfig/Mounts/0/VolumeOptions/NoCopy", "true"),
            ],
        ),
        "volumes: {data: }",
    ),
    since(
        "1.45",
        top(
            row(
                &["services.*.volumes.volume.subpath"],
                "volumes: [{type: volume, source: data, target: /data, volume: {subpath: a/b}}]",
                &[("/HostConfig/Mounts/0/VolumeOptions/Subpath", r#""a/b""#)],
            ),
            "volumes: {data: }",
        ),
    ),
    row(
        &["services.*.volumes.volume.labels"],
        "volumes: [{type: volume, target: /data, volume: {labels: {a: b}}}]",
        &[("/HostConfig/Mounts/0/VolumeOptions/Labels/a", r#""b""#)],
    ),
    row(
        &["services.*.volumes.bind.create_host_path", "services.*.volumes.bind.propagation"],
        "volumes: [{type: bind, source: /tmp, target: /t, bind: {create_host_path: false, propagation: rslave}}]",
        &[
            ("/HostConfig/Mounts/0/Type", r#""bind""#),
            ("/HostConfig/Mounts/0/Source", r#""/tmp""#),
            ("/HostConfig/Mounts/0/BindOptions/Propagation", r#""rslave""#),
            ("/Mounts/0/Propagation", r#""rslave""#),
        ],
    ),
    row(
        &["services.*.volumes.bind.create_host_path", "services.*.volumes.bind.selinux"],
        "volumes: ['/tmp:/t:ro,z']",
        &[("/HostConfig/Binds", r#"["/tmp:/t:ro,z"]"#), ("/Mounts/0/RW", "false")],
    ),
    since(
        "1.44",
        row(
            &["services.*.volumes.bind.recursive"],
            "volumes: [{type: bind, source: /tmp, target: /t, read_only: true, bind: {recursive: writable}}, {type: bind, source: /tmp, target: /u, read_only: true, bind: {recursive: readonly, propagation: rprivate}}]",
            &[
                ("/HostConfig/Mounts/0/BindOptions/ReadOnlyNonRecursive", "true"),
                ("/HostConfig/Mounts/1/BindOptions/ReadOnlyForceRecursive", "true"),
            ],
        ),
    ),
    row(
        &["services.*.volumes.bind.recursive"],
        "volumes: [{type: bind, source: /tmp, target: /v, bind: {recursive: disabled, create_host_path: false}}]",
        &[("/HostConfig/Mounts/0/BindOptions/NonRecursive", "true")],
    ),
    since(
        "1.49",
        row(
            &["services.*.volumes.image.subpath"],
            "volumes: [{type: image, source: 'jaco-test/busybox:1', target: /docs, image: {subpath: bin}}]",
            &[
                ("/HostConfig/Mounts/0/Type", r#""image""#),
                ("/HostConfig/Mounts/0/Source", r#""jaco-test/busybox:1""#),
                ("/HostConfig/Mounts/0/ImageOptions/Subpath", r#""bin""#),
            ],
        ),
    ),
    // Network.
    row(
        &["services.*.network_mode"],
        "network_mode: none",
        &[("/HostConfig/NetworkMode", r#""none""#)],
    ),
    row(&["services.*.hostname"], "hostname: here", &[("/Config/Hostname", r#""here""#)]),
    row(
        &["services.*.domainname"],
        "domainname: d.example",
        &[("/Config/Domainname", r#""d.example""#)],
    ),
    row(
        &["services.*.expose"],
        "expose: [80, '90/udp']",
        &[("/Config/ExposedPorts", r#"{"80/tcp":{},"90/udp":{}}"#)],
    ),
    row(
        &["services.*.extra_hosts"],
        "extra_hosts: ['a=10.0.0.1', 'b=host-gateway']",
        &[("/HostConfig/ExtraHosts", r#"["a:10.0.0.1","b:host-gateway"]"#)],
    ),
    row(&["services.*.dns"], "dns: [10.0.0.53]", &[("/HostConfig/Dns", r#"["10.0.0.53"]"#)]),
    row(
        &["services.*.dns_search"],
        "dns_search: a.example",
        &[("/HostConfig/DnsSearch", r#"["a.example"]"#)],
    ),
    row(
        &["services.*.dns_opt"],
        "dns_opt: ['ndots:1']",
        &[("/HostConfig/DnsOptions", r#"["ndots:1"]"#)],
    ),
    row(
        &["services.*.container_name"],
        "container_name: other",
        &[("/NetworkSettings/Networks/jaco_attr_default/Aliases/1", r#""other""#)],
    ),
    top(
        row(
            &[
                "services.*.networks.*.aliases",
                "services.*.networks.*.driver_opts",
                "networks.*.driver",
            ],
            "networks: {front: {aliases: [www], driver_opts: {com.example.a: b}}}",
            &[
                ("/NetworkSettings/Networks/jaco_attr_front/Aliases/0", r#""web""#),
                ("/NetworkSettings/Networks/jaco_attr_front/Aliases/1", r#""www""#),
                (
                    "/NetworkSettings/Networks/jaco_attr_front/DriverOpts",
                    r#"{"com.example.a":"b"}"#,
                ),
            ],
        ),
        "networks: {front: {driver: bridge}}",
    ),
    since(
        "1.49",
        top(
            row(
                &["services.*.networks.*.gw_priority", "services.*.networks.*.interface_name"],
                "networks: {front: {gw_priority: 7, interface_name: front0}, back: }",
                &[
                    ("/NetworkSettings/Networks/jaco_attr_front/GwPriority", "7"),
                    (
                        "/NetworkSettings/Networks/jaco_attr_front/DriverOpts",
                        r#"{"com.docker.network.endpoint.ifname":"front0"}"#,
                    ),
                    ("/NetworkSettings/Networks/jaco_attr_back/GwPriority", "0"),
                ],
            ),
            "networks: {front: {driver: bridge}, back: }",
        ),
    ),
    top(
        row(
            &["services.*.networks.*.priority"],
            "networks: {back: {priority: 1}, front: {priority: 2}}",
            &[
                ("/HostConfig/NetworkMode", r#""jaco_attr_front""#),
                ("/NetworkSettings/Networks/jaco_attr_back/Aliases/0", r#""web""#),
            ],
        ),
        "networks: {front: , back: }",
    ),
    thing(
        &["networks.*.internal", "networks.*.labels", "networks.*.driver_opts"],
        "networks: [quiet]",
        "networks: {quiet: {internal: true, labels: {a: b}, driver_opts: {com.docker.network.driver.mtu: 1400}}}",
        Thing {
            kind: "network",
            name: "jaco_attr_quiet",
            seen: &[
                ("/Internal", "true"),
                ("/Driver", r#""bridge""#),
                ("/Labels/a", r#""b""#),
                ("/Options/com.docker.network.driver.mtu", r#""1400""#),
            ],
        },
    ),
    thing(
        &["volumes.*.name", "volumes.*.driver", "volumes.*.driver_opts", "volumes.*.labels"],
        "volumes: ['data:/data']",
        "volumes: {data: {name: jaco_attr_own, driver: local, driver_opts: {type: tmpfs, device: tmpfs, o: size=1m}, labels: {a: b}}}",
        Thing {
            kind: "volume",
            name: "jaco_attr_own",
            seen: &[
                ("/Driver", r#""local""#),
                ("/Options", r#"{"device":"tmpfs","o":"size=1m","type":"tmpfs"}"#),
                ("/Labels/a", r#""b""#),
            ],
        },
    ),
    // Rights.
    row(&["services.*.privileged"], "privileged: true", &[("/HostConfig/Privileged", "true")]),
    row(
        &["services.*.security_opt"],
        "security_opt: ['no-new-privileges:true']",
        &[("/HostConfig/SecurityOpt", r#"["no-new-privileges:true"]"#)],
    ),
    row(
        &["services.*.cap_add"],
        "cap_add: [SYS_ADMIN]",
        &[("/HostConfig/CapAdd/0", r#""SYS_ADMIN" | "CAP_SYS_ADMIN""#)],
    ),
    row(
        &["services.*.cap_drop"],
        "cap_drop: [chown]",
        &[("/HostConfig/CapDrop/0", r#""CHOWN" | "CAP_CHOWN""#)],
    ),
    row(
        &[
            "services.*.devices.source",
            "services.*.devices.target",
            "services.*.devices.permissions",
        ],
        "devices: ['/dev/null:/dev/a:r', {source: /dev/zero, target: /dev/b, permissions: rw}]",
        &[(
            "/HostConfig/Devices",
            r#"[{"PathOnHost":"/dev/null","PathInContainer":"/dev/a","CgroupPermissions":"r"},{"PathOnHost":"/dev/zero","PathInContainer":"/dev/b","CgroupPermissions":"rw"}]"#,
        )],
    ),
    since(
        "1.44",
        row(
            &["services.*.devices.source"],
            "devices: [vendor.com/net=nic0]",
            &[
                ("/HostConfig/DeviceRequests/0/Driver", r#""cdi""#),
                ("/HostConfig/DeviceRequests/0/DeviceIDs", r#"["vendor.com/net=nic0"]"#),
            ],
        ),
    ),
    row(
        &["services.*.device_cgroup_rules"],
        "device_cgroup_rules: ['c 1:3 rwm']",
        &[("/HostConfig/DeviceCgroupRules", r#"["c 1:3 rwm"]"#)],
    ),
    row(
        &[
            "services.*.gpus.capabilities",
            "services.*.gpus.count",
            "services.*.gpus.device_ids",
            "services.*.gpus.driver",
            "services.*.gpus.options",
        ],
        "gpus: [{driver: nvidia, count: 2, capabilities: [gpu, utility], options: {a: b}}, {device_ids: ['0', '3']}]",
        &[
            (
                "/HostConfig/DeviceRequests/0",
                r#"{"Driver":"nvidia","Count":2,"DeviceIDs":null,"Capabilities":[["gpu","utility"]],"Options":{"a":"b"}}"#,
            ),
            ("/HostConfig/DeviceRequests/1/DeviceIDs", r#"["0","3"]"#),
            ("/HostConfig/DeviceRequests/1/Capabilities", r#"[["gpu"]]"#),
        ],
    ),
    row(
        &[
            "services.*.deploy.resources.reservations.devices.capabilities",
            "services.*.deploy.resources.reservations.devices.count",
            "services.*.deploy.resources.reservations.devices.device_ids",
            "services.*.deploy.resources.reservations.devices.driver",
            "services.*.deploy.resources.reservations.devices.options",
        ],
        "deploy: {resources: {reservations: {devices: [{capabilities: [gpu], driver: nvidia, count: all, options: [a=b]}, {capabilities: [tpu], device_ids: [x]}]}}}",
        &[
            (
                "/HostConfig/DeviceRequests/0",
                r#"{"Driver":"nvidia","Count":-1,"DeviceIDs":null,"Capabilities":[["gpu"]],"Options":{"a":"b"}}"#,
            ),
            ("/HostConfig/DeviceRequests/1/DeviceIDs", r#"["x"]"#),
        ],
    ),
    row(&["services.*.ipc"], "ipc: shareable", &[("/HostConfig/IpcMode", r#""shareable""#)]),
    row(&["services.*.pid"], "pid: host", &[("/HostConfig/PidMode", r#""host""#)]),
    row(&["services.*.uts"], "uts: host", &[("/HostConfig/UTSMode", r#""host""#)]),
    row(
        &["services.*.userns_mode"],
        "userns_mode: host",
        &[("/HostConfig/UsernsMode", r#""host""#)],
    ),
    row(&["services.*.cgroup"], "cgroup: host", &[("/HostConfig/CgroupnsMode", r#""host""#)]),
    row(
        &["services.*.cgroup_parent"],
        "cgroup_parent: /batch",
        &[("/HostConfig/CgroupParent", r#""/batch""#)],
    ),
    row(&["services.*.runtime"], "runtime: runc", &[("/HostConfig/Runtime", r#""runc""#)]),
    // Limits.
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
