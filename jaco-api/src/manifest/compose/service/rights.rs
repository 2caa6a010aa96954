//! What a container may do on its host, and what it shares with it.

use super::{ServiceDraft, sorted};
use crate::manifest::{
    compose::{devices, host, namespaces},
    fields::{Attribute, accepted},
    values,
};

/// Attributes of rights.
pub(super) const RIGHTS: &[Attribute<ServiceDraft>] = &[
    accepted(
        "privileged",
        "true: all the rights of the host. Needs the label that allows it.",
        |s, n, r| {
            s.spec.privileged = values::boolean(n, r).unwrap_or_default();
            s.privileged_at.push(n.mark);
        },
    ),
    accepted(
        "security_opt",
        "Security options of the engine, as `no-new-privileges:true`. Needs the label that allows it.",
        |s, n, r| {
            s.spec.security_opt = sorted(n, r);
            s.privileged_at.push(n.mark);
        },
    ),
    accepted(
        "cap_add",
        "Capabilities beyond the engine's, with `CAP_` or without. Dangerous ones need the label that allows them.",
        |s, n, r| {
            s.spec.cap_add = host::capabilities(n, r);
            s.privileged_at.push(host::dangerous(n));
        },
    ),
    accepted("cap_drop", "Capabilities that are taken away, or `ALL`.", |s, n, r| {
        s.spec.cap_drop = host::capabilities(n, r)
    }),
    accepted(
        "devices",
        "Devices of the host: `/dev/x[:/dev/y[:rwm]]`, the long form, or a name such as `vendor.com/class=name` (Docker 25). Needs the label that allows it.",
        devices::devices,
    ),
    accepted(
        "device_cgroup_rules",
        "Rules of further devices, as `c 189:* rmw`. Needs the label that allows it.",
        devices::cgroup_rules,
    ),
    accepted(
        "gpus",
        "GPUs of the node: `all`, or a list of device requests. It chooses no node: label those with GPUs and set a constraint.",
        devices::gpus,
    ),
    accepted(
        "ipc",
        "Shared memory and message queues: `private`, `shareable`, `none` (no `/dev/shm`), `service:<name>` for those of another service, or `host`, which needs the label that allows it.",
        namespaces::ipc,
    ),
    accepted(
        "pid",
        "`service:<name>`: it sees the processes of another service, beside whose replicas its own are. `host`: those of the host; needs the label that allows it.",
        namespaces::pid,
    ),
    accepted(
        "uts",
        "`host`: its host name is the host's. Needs the label that allows it.",
        namespaces::uts,
    ),
    accepted(
        "userns_mode",
        "`host`: its users are those of the host even when the engine maps them. Needs the label that allows it.",
        namespaces::userns,
    ),
    accepted(
        "cgroup",
        "Control groups it sees: `private`, or `host`, which needs the label that allows it.",
        namespaces::cgroup,
    ),
    accepted(
        "cgroup_parent",
        "Control group it is put under; limits of the host's slices may be escaped so. Needs the label that allows it.",
        namespaces::cgroup_parent,
    ),
    accepted(
        "runtime",
        "A runtime that is configured in each engine, as `runsc`. It decides how far the container is isolated, so it needs the label that allows it.",
        namespaces::runtime,
    ),
];
