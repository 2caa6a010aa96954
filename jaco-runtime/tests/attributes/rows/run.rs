//! What runs.

use super::{Row, row, since};

pub(super) const RUN: &[Row] = &[
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
];
