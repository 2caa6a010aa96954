//! A service: its draft and the table of its attributes.

use super::{
    AttachmentDraft, DependencyDraft, DeployDraft, LinkDraft, MountDraft, attach, depends, deploy,
    health, host, mounts, ports, toplevel::texts, wishes::is_wish,
};
use crate::{
    error::ErrorCode,
    manifest::{
        fields::{Schema, accepted, ignored, legacy, planned, rejected},
        report::{Mark, Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::{ContainerSpec, PublishedPort, PullPolicy, Resources, Span},
};

/// A service as the file describes it; references to other things are not followed yet.
#[derive(Default)]
pub(in crate::manifest) struct ServiceDraft {
    /// The place of its name.
    pub(in crate::manifest) mark: Mark,
    /// What is decided already.
    pub(in crate::manifest) spec: ContainerSpec,
    pub(in crate::manifest) ports: Vec<(PublishedPort, Mark)>,
    /// Networks it names; `None` joins `default`.
    pub(in crate::manifest) networks: Option<Vec<AttachmentDraft>>,
    pub(in crate::manifest) depends_on: Vec<DependencyDraft>,
    pub(in crate::manifest) links: Vec<LinkDraft>,
    pub(in crate::manifest) mounts: Vec<MountDraft>,
    pub(in crate::manifest) container_name: Option<String>,
    pub(in crate::manifest) deploy: DeployDraft,
    /// Resource keys of old formats: they count where `deploy.resources` says nothing.
    pub(in crate::manifest) old_resources: Resources,
    pub(in crate::manifest) profiles: Vec<String>,
    pub(in crate::manifest) network_mode: Option<Mark>,
    /// Where it asks for rights that equal access to the host.
    pub(in crate::manifest) privileged_at: Vec<Mark>,
    image: Option<Mark>,
    build: Option<Mark>,
}

/// Decodes a service; `None` when it is no mapping.
pub(super) fn decode(mark: Mark, node: &Node, report: &mut Report<'_>) -> Option<ServiceDraft> {
    let mut draft = ServiceDraft { mark, ..ServiceDraft::default() };
    SERVICE.decode(node, &mut draft, report);
    let Value::Map(_) = node.value else { return None };
    if draft.image.is_none() {
        match draft.build {
            Some(_) => report.error_hint(
                mark,
                "the service has `build` and no `image`: images are not built here",
                "build and push the image, then name it with `image:`",
            ),
            None if SERVICE.lacks(node, "image") => {
                report.error(mark, "the service has no `image`");
            }
            None => {}
        }
    }
    Some(draft)
}

/// Every attribute of a service. Adding one is one entry here and one function.
pub(super) static SERVICE: Schema<ServiceDraft> = Schema {
    what: "a service",
    extensions: true,
    attributes: &[
        // What runs.
        accepted("image", image),
        accepted("pull_policy", pull_policy),
        accepted("platform", |s, n, r| s.spec.platform = platform(n, r)),
        accepted("command", |s, n, r| s.spec.command = values::command(n, r)),
        accepted("entrypoint", |s, n, r| s.spec.entrypoint = values::command(n, r)),
        accepted("environment", environment),
        accepted("env_file", |_, n, r| {
            let message = "the document still carries `env_file`, which only the client can read";
            r.coded(ErrorCode::EnvFileUnresolved, n.mark, message, None);
        }),
        accepted("user", |s, n, r| s.spec.user = values::some_text(n, r)),
        accepted("group_add", |s, n, r| s.spec.group_add = sorted(n, r)),
        accepted("working_dir", |s, n, r| s.spec.working_dir = values::some_text(n, r)),
        accepted("labels", |s, n, r| {
            s.spec.labels = texts(n, r);
            s.spec.labels.retain(|label, _| !is_wish(label));
            s.deploy.wishes.read(n, r);
        }),
        accepted("annotations", |s, n, r| s.spec.annotations = texts(n, r)),
        accepted("profiles", |s, n, r| {
            s.profiles = values::string_list(n, r).unwrap_or_default();
        }),
        accepted("init", |s, n, r| s.spec.init = values::boolean(n, r)),
        accepted("tty", |s, n, r| s.spec.tty = values::boolean(n, r).unwrap_or_default()),
        accepted("stdin_open", |s, n, r| {
            s.spec.stdin_open = values::boolean(n, r).unwrap_or_default();
        }),
        accepted("stop_signal", |s, n, r| s.spec.stop_signal = values::some_text(n, r)),
        accepted("stop_grace_period", |s, n, r| {
            // Ten seconds is what holds without it: one meaning, one digest.
            s.spec.stop_grace_period = values::duration(n, r).filter(|g| *g != Span::secs(10));
        }),
        accepted("healthcheck", |s, n, r| s.spec.healthcheck = health::decode(n, r)),
        accepted("depends_on", |s, n, r| s.depends_on = depends::decode(n, r)),
        accepted("links", |s, n, r| s.links = depends::links(n, r)),
        accepted("container_name", |s, n, r| s.container_name = values::some_text(n, r)),
        accepted("build", |s, n, r| {
            s.build = Some(n.mark);
            r.notice(n.mark, "build", "images are pulled, not built");
        }),
        ignored("restart", "the scheduler restarts what exits; see `deploy.restart_policy`"),
        ignored("develop", "it is for local work"),
        ignored("attach", "`jaco logs` shows the output"),
        // Storage.
        accepted("volumes", mounts::decode),
        accepted("tmpfs", mounts::tmpfs),
        accepted("read_only", |s, n, r| {
            s.spec.read_only = values::boolean(n, r).unwrap_or_default()
        }),
        accepted("shm_size", |s, n, r| {
            s.spec.shm_size_bytes = values::bytes(n, r).unwrap_or_default();
        }),
        // Network.
        accepted("networks", |s, n, r| s.networks = attach::decode(n, r)),
        accepted("network_mode", attach::network_mode),
        accepted("ports", |s, n, r| s.ports = ports::decode(n, r)),
        accepted("expose", |s, n, r| s.spec.expose = ports::expose(n, r)),
        accepted("hostname", |s, n, r| s.spec.hostname = host::name(n, r)),
        accepted("domainname", |s, n, r| s.spec.domainname = host::name(n, r)),
        accepted("extra_hosts", |s, n, r| s.spec.extra_hosts = host::extra_hosts(n, r)),
        accepted("dns", |s, n, r| s.spec.dns = host::dns(n, r)),
        accepted("dns_search", |s, n, r| {
            s.spec.dns_search = values::string_or_list(n, r).unwrap_or_default();
        }),
        accepted("dns_opt", |s, n, r| {
            s.spec.dns_opt = values::string_list(n, r).unwrap_or_default();
        }),
        // Rights.
        accepted("privileged", |s, n, r| {
            s.spec.privileged = values::boolean(n, r).unwrap_or_default();
            s.privileged_at.push(n.mark);
        }),
        accepted("security_opt", |s, n, r| {
            s.spec.security_opt = sorted(n, r);
            s.privileged_at.push(n.mark);
        }),
        accepted("cap_add", |s, n, r| {
            s.spec.cap_add = host::capabilities(n, r);
            s.privileged_at.push(n.mark);
        }),
        accepted("cap_drop", |s, n, r| s.spec.cap_drop = host::capabilities(n, r)),
        // Limits.
        accepted("sysctls", |s, n, r| s.spec.sysctls = texts(n, r)),
        accepted("ulimits", |s, n, r| s.spec.ulimits = host::ulimits(n, r)),
        accepted("oom_score_adj", |s, n, r| {
            s.spec.oom_score_adj = values::integer(n, -1000..=1000, r)
                .and_then(|v| i32::try_from(v).ok())
                .unwrap_or_default();
        }),
        accepted("cpus", |s, n, r| {
            s.old_resources.cpu_millis = deploy::cpus(n, r).unwrap_or_default();
        }),
        accepted("mem_limit", |s, n, r| {
            s.old_resources.memory_bytes = values::bytes(n, r).unwrap_or_default();
        }),
        accepted("mem_reservation", |s, n, r| {
            s.old_resources.memory_reservation_bytes = values::bytes(n, r).unwrap_or_default();
        }),
        accepted("memswap_limit", |s, n, r| {
            s.old_resources.memory_swap_bytes =
                values::bytes_or_unlimited(n, r).unwrap_or_default();
        }),
        accepted("pids_limit", |s, n, r| {
            s.old_resources.pids = values::integer(n, -1..=i64::MAX, r).unwrap_or_default();
        }),
        accepted("cpu_shares", |s, n, r| {
            s.old_resources.cpu_shares = values::integer(n, 0..=262_144, r).unwrap_or_default();
        }),
        accepted("cpuset", |s, n, r| {
            s.old_resources.cpuset = values::some_text(n, r).unwrap_or_default();
        }),
        // The rest.
        accepted("logging", |s, n, r| s.spec.logging = host::logging(n, r)),
        accepted("deploy", |s, n, r| deploy::decode(&mut s.deploy, n, r)),
        accepted("scale", |s, n, r| s.deploy.scale = deploy::replicas(n, r)),
        // Of old formats.
        legacy("log_driver", "write `logging: {driver: …}`"),
        legacy("log_opt", "write `logging: {options: …}`"),
        legacy("net", "write `network_mode:` or `networks:`"),
        legacy("volume_driver", "set `driver:` of the volume at the top level"),
        legacy("dockerfile", "write `build: {dockerfile: …}`, and `image:` for the cluster"),
        // Never.
        rejected(
            "external_links",
            "is not supported: a deployment reaches only its own services",
            "publish a port or declare a route in the other deployment",
        ),
        rejected("isolation", "exists on Windows only", "remove it"),
        rejected("credential_spec", "exists on Windows only", "remove it"),
        rejected("cpu_count", "exists on Windows only", "use `cpus`"),
        rejected("cpu_percent", "exists on Windows only", "use `cpus`"),
        rejected("provider", "runs a program on the client", "remove it"),
        rejected(
            "mac_address",
            "is not supported: addresses are assigned by the cluster",
            "remove it",
        ),
        // Not yet.
        planned("blkio_config"),
        planned("cgroup"),
        planned("cgroup_parent"),
        planned("configs"),
        planned("cpu_period"),
        planned("cpu_quota"),
        planned("cpu_rt_period"),
        planned("cpu_rt_runtime"),
        planned("device_cgroup_rules"),
        planned("devices"),
        planned("extends"),
        planned("gpus"),
        planned("ipc"),
        planned("label_file"),
        planned("mem_swappiness"),
        planned("models"),
        planned("oom_kill_disable"),
        planned("pid"),
        planned("post_start"),
        planned("pre_stop"),
        planned("pull_refresh_after"),
        planned("runtime"),
        planned("secrets"),
        planned("storage_opt"),
        planned("use_api_socket"),
        planned("userns_mode"),
        planned("uts"),
        planned("volumes_from"),
    ],
};

fn image(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    draft.image = Some(node.mark);
    let Some(image) = values::text(node, report) else { return };
    let fits = !image.is_empty()
        && image.len() <= 512
        && image.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@[]".contains(&b))
        && image.as_bytes()[0].is_ascii_alphanumeric();
    if !fits {
        return report.error(node.mark, format!("`{}` is no image reference", cut(image)));
    }
    image.clone_into(&mut draft.spec.image);
}

fn pull_policy(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    match node.as_text() {
        Some("build") => report.error_hint(
            node.mark,
            "`pull_policy: build` is not supported: images are not built here",
            "build and push the image, and write `missing` or `always`",
        ),
        Some(t) if t == "daily" || t == "weekly" || t.starts_with("every_") => {
            report.error(node.mark, format!("`pull_policy: {}` is not supported yet", cut(t)));
        }
        _ => {
            let words = [
                ("always", PullPolicy::Always),
                ("missing", PullPolicy::Missing),
                ("never", PullPolicy::Never),
                ("if_not_present", PullPolicy::Missing),
            ];
            draft.spec.pull_policy = values::one_of(node, &words, report).unwrap_or_default();
        }
    }
}

fn platform(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let platform = values::some_text(node, report)?;
    let parts: Vec<&str> = platform.split('/').collect();
    let word = |s: &&str| {
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(word) {
        return values::wrong(node, "a platform such as linux/amd64", report);
    }
    Some(platform.to_ascii_lowercase())
}

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

/// A set of texts.
fn sorted(node: &Node, report: &mut Report<'_>) -> Vec<String> {
    let mut all = values::string_list(node, report).unwrap_or_default();
    all.sort_unstable();
    all.dedup();
    all
}
