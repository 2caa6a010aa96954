//! What is mounted.

use super::{Row, row, since, top};

pub(super) const MOUNTS: &[Row] = &[
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
        "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 01777}}]",
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
];
