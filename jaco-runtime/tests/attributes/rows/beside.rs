//! What it shares with the container that it lives beside.

use super::{Row, row};

const fn beside(row: Row, lead: &'static str) -> Row {
    Row { lead: Some(lead), ..row }
}

pub(super) const BESIDE: &[Row] = &[
    beside(
        row(
            &["services.*.network_mode"],
            "network_mode: service:lead",
            &[
                ("/HostConfig/NetworkMode", r#""container:LEAD""#),
                ("/Config/Labels/jaco.lead", r#""LEAD""#),
            ],
        ),
        "",
    ),
    beside(
        row(
            &["services.*.ipc"],
            "ipc: service:lead",
            &[("/HostConfig/IpcMode", r#""container:LEAD""#)],
        ),
        "",
    ),
    beside(
        row(
            &["services.*.pid"],
            "pid: service:lead",
            &[("/HostConfig/PidMode", r#""container:LEAD""#)],
        ),
        "",
    ),
    beside(
        row(
            &["services.*.volumes_from"],
            "volumes_from: ['lead:ro']",
            &[
                ("/HostConfig/VolumesFrom", r#"["LEAD:ro"]"#),
                ("/Mounts/0/Destination", r#""/data""#),
                ("/Mounts/0/RW", "false"),
            ],
        ),
        "volumes: [/data]",
    ),
    beside(
        row(
            &["services.*.volumes_from"],
            "volumes_from: [lead]",
            &[("/HostConfig/VolumesFrom", r#"["LEAD"]"#), ("/Mounts/0/RW", "true")],
        ),
        "volumes: [/data]",
    ),
];
