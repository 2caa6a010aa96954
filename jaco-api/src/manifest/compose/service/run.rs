//! What runs, for how long and in which order.

use super::{ServiceDraft, sorted};
use crate::{
    error::ErrorCode,
    manifest::{
        compose::{
            depends, files, health, hooks, image, mounts, tmpfs,
            toplevel::texts,
            undecoded::{BUILD, DEVELOP},
            unresolved,
            wishes::is_wish,
        },
        fields::{Attribute, accepted, ignored},
        report::{Report, cut},
        values,
        yaml::Node,
    },
    model::{FileKind, Span},
};

/// Attributes of the program and of what it mounts.
pub(super) const RUN: &[Attribute<ServiceDraft>] = &[
    accepted(
        "image",
        "The image, as `[registry/]name[:tag][@digest]`. Needed: images are pulled, not built.",
        image::image,
    ),
    accepted(
        "pull_policy",
        "When the image is fetched: `missing` (the default, also `if_not_present`), `always`, `never`, or before a new container when it is old: `daily`, `weekly`, `every_12h`, `refresh`.",
        image::pull_policy,
    ),
    accepted(
        "pull_refresh_after",
        "With `pull_policy: refresh`: how long ago the image may have been fetched, as `12h`.",
        image::pull_refresh_after,
    ),
    accepted(
        "platform",
        "Platform of the image, as `linux/arm64`; only nodes of that platform are chosen.",
        |s, n, r| s.spec.platform = image::platform(n, r),
    ),
    accepted(
        "command",
        "Replaces the command of the image; a list, or a text that is split like a shell does.",
        |s, n, r| s.spec.command = values::command(n, r),
    ),
    accepted(
        "entrypoint",
        "Replaces the entry point of the image; a list, or a text that is split like a shell does.",
        |s, n, r| s.spec.entrypoint = values::command(n, r),
    ),
    accepted(
        "environment",
        "Variables of the container; a mapping or a list of `KEY=value`. A key without a value takes that of the variable of jaco.yaml's `environment`.",
        environment,
    ),
    accepted(
        "env_file",
        "Files of variables that the client folds into `environment`: a path, a list, or `{path, required, format}`.",
        |_, n, r| {
            let message = "the document still carries `env_file`, which only the client can read";
            r.coded(ErrorCode::EnvFileUnresolved, n.mark, message, None);
        },
    ),
    accepted(
        "extends",
        "Takes over what another service says: its name, or `{service, file}`. Read by the client.",
        |_, n, r| unresolved(n, r),
    ),
    accepted(
        "label_file",
        "Files of labels that the client folds into `labels`: a path, or a list.",
        |_, n, r| unresolved(n, r),
    ),
    accepted(
        "secrets",
        "Secrets it is given, as files in memory: names of the top level, or the long form.",
        |s, n, r| files::uses(&mut s.files, FileKind::Secret, n, r),
    ),
    accepted(
        "configs",
        "Configs it is given, as files in memory: names of the top level, or the long form.",
        |s, n, r| files::uses(&mut s.files, FileKind::Config, n, r),
    ),
    accepted(
        "user",
        "User the processes run as, and group after a colon; names or numbers.",
        |s, n, r| s.spec.user = values::some_text(n, r),
    ),
    accepted("group_add", "Further groups of the user.", |s, n, r| s.spec.group_add = sorted(n, r)),
    accepted("working_dir", "Directory the command starts in.", |s, n, r| {
        s.spec.working_dir = values::some_text(n, r)
    }),
    accepted(
        "labels",
        "Labels of the containers; a mapping or a list of `key=value`. Some that begin with `jaco.io/` are read by the cluster.",
        |s, n, r| {
            s.spec.labels = texts(n, r);
            s.spec.labels.retain(|label, _| !is_wish(label));
            s.deploy.wishes.read(n, r);
        },
    ),
    accepted(
        "annotations",
        "Annotations for the runtime of the engine; a mapping or a list. Needs Docker 24.",
        |s, n, r| s.spec.annotations = texts(n, r),
    ),
    accepted(
        "profiles",
        "Leaves the service out, unless `services` or `routes` of jaco.yaml name it.",
        |s, n, r| {
            s.profiles = values::string_list(n, r).unwrap_or_default();
        },
    ),
    accepted("init", "true: an init process forwards signals and reaps zombies.", |s, n, r| {
        s.spec.init = values::boolean(n, r)
    }),
    accepted("tty", "true: the container has a terminal.", |s, n, r| {
        s.spec.tty = values::boolean(n, r).unwrap_or_default()
    }),
    accepted("stdin_open", "true: standard input stays open.", |s, n, r| {
        s.spec.stdin_open = values::boolean(n, r).unwrap_or_default();
    }),
    accepted(
        "stop_signal",
        "Signal that asks the container to stop, as `SIGINT`; without it the image's, else `SIGTERM`.",
        |s, n, r| s.spec.stop_signal = values::some_text(n, r),
    ),
    accepted(
        "stop_grace_period",
        "Time between that signal and `SIGKILL`, as `1m30s`; default 10s.",
        |s, n, r| {
            // Ten seconds is what holds without it: one meaning, one digest.
            s.spec.stop_grace_period = values::duration(n, r).filter(|g| *g != Span::secs(10));
        },
    ),
    accepted(
        "post_start",
        "Commands that run in the container after each start, in order. A replica counts as running when all have ended with 0; one that fails stops it, which counts as a failed start.",
        hooks::post_start,
    ),
    accepted(
        "pre_stop",
        "Commands that run in the container before it is asked to stop, in order, within `stop_grace_period`. One that fails is reported and the stop goes on: the specification calls it off.",
        hooks::pre_stop,
    ),
    accepted(
        "healthcheck",
        "The command that tells whether a replica is healthy; replaces the image's.",
        |s, n, r| s.spec.healthcheck = health::decode(n, r),
    ),
    accepted(
        "depends_on",
        "Services that come first: names, or names with a condition.",
        |s, n, r| s.depends_on = depends::decode(n, r),
    ),
    accepted(
        "links",
        "Further names of other services, as `service:alias`; they come first, as with `depends_on`.",
        |s, n, r| s.links = depends::links(n, r),
    ),
    accepted(
        "container_name",
        "A further name of the service on its networks. No container is named by it.",
        |s, n, r| s.container_name = values::some_text(n, r),
    ),
    ignored("build", "How the image is built.", BUILD),
    ignored(
        "restart",
        "When an exited container is started again.",
        "the scheduler restarts what exits; see `deploy.restart_policy`",
    ),
    ignored("develop", "What happens while files are edited.", DEVELOP),
    ignored(
        "attach",
        "Whether `docker compose up` shows the output.",
        "`jaco logs` shows the output",
    ),
    // Storage.
    accepted(
        "volumes",
        "What is mounted: `[source:]target[:options]`, or the long form. A service with a volume or a path of the host stays on its node.",
        mounts::decode,
    ),
    accepted(
        "tmpfs",
        "Memory that is mounted as a file system: `/path` or `/path:size=64m,mode=1777,uid=1000`; one or a list.",
        tmpfs::decode,
    ),
    accepted("read_only", "true: the root file system cannot be written to.", |s, n, r| {
        s.spec.read_only = values::boolean(n, r).unwrap_or_default()
    }),
    accepted("shm_size", "Size of `/dev/shm`, as `64m`.", |s, n, r| {
        s.spec.shm_size_bytes = values::bytes(n, r).unwrap_or_default();
    }),
];

fn environment(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let Some(pairs) = values::pairs(node, report) else { return };
    for name in pairs.keys() {
        if name.is_empty() || name.contains('=') {
            let message = format!("`{}` is no name of a variable", cut(name));
            report.error(node.mark, message);
        }
    }
    draft.spec.environment = pairs;
}
