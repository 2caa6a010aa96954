//! Which wishes of a container equal access to its host.

use crate::model::{BindAllowlist, ContainerSpec, MountSource};

/// The service label that says somebody meant it.
pub(super) const LABEL: &str = "jaco.io/allow-privileged";

/// Capabilities that lead out of a container.
const DANGEROUS: [&str; 14] = [
    "ALL",
    "AUDIT_CONTROL",
    "BPF",
    "DAC_READ_SEARCH",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "NET_ADMIN",
    "PERFMON",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
];

/// Why this container equals access to its host; empty when it does not. What `allowed` covers may be
/// mounted by anybody.
///
/// A container with reasons is admitted only with the label `jaco.io/allow-privileged: "true"` on
/// its service, which [`check`](super::check) demands, and by a caller that may allow it, which
/// admission demands.
#[must_use]
pub fn privileges(spec: &ContainerSpec, allowed: &BindAllowlist) -> Vec<String> {
    let mut reasons = Vec::new();
    if spec.privileged {
        reasons.push("privileged".to_owned());
    }
    if !spec.security_opt.is_empty() {
        reasons.push(format!("security_opt {}", spec.security_opt.join(", ")));
    }
    let capabilities: Vec<&str> =
        spec.cap_add.iter().map(String::as_str).filter(|c| DANGEROUS.contains(c)).collect();
    if !capabilities.is_empty() {
        reasons.push(format!("cap_add {}", capabilities.join(", ")));
    }
    for mount in &spec.mounts {
        match &mount.source {
            MountSource::Bind { path, .. } if allowed.covers(path) => {}
            MountSource::Bind { path, .. } => reasons.push(format!("bind mount of {path}")),
            // The local driver mounts whatever its options name, directories of the host included.
            MountSource::Volume { name, driver_opts, .. } if driver_opts.contains_key("device") => {
                reasons.push(format!("volume {name} with a device"));
            }
            _ => {}
        }
    }
    reasons
}
