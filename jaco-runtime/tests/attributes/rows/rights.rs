//! What it may do on its host.

use super::{Row, row, since};

pub(super) const RIGHTS: &[Row] = &[
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
];
