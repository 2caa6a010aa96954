//! Which wishes of a container equal access to its host.

use crate::model::{BindAllowlist, CgroupMode, ContainerSpec, DeviceRequest, IpcMode, MountSource};

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

/// Whether a capability leads out of a container.
pub(super) fn is_dangerous(capability: &str) -> bool {
    DANGEROUS.contains(&capability)
}

/// Kernel parameters that a container has of its own; every other one is the host's.
pub(super) fn is_own_sysctl(name: &str) -> bool {
    const OWN: [&str; 6] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.hostname",
        "kernel.domainname",
    ];
    // The kernel takes `/` for `.` as well.
    let name = name.replace('/', ".");
    OWN.contains(&name.as_str())
        || ["net.", "fs.mqueue.", "kernel.shm"].iter().any(|own| name.starts_with(own))
}

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
    for (point, hooks) in [("post_start", &spec.post_start), ("pre_stop", &spec.pre_stop)] {
        let privileged = hooks.iter().enumerate().filter(|(_, hook)| hook.privileged);
        reasons.extend(privileged.map(|(at, _)| format!("privileged hook {} of {point}", at + 1)));
    }
    namespaces(spec, &mut reasons);
    devices(spec, &mut reasons);
    if let Some(parent) = &spec.cgroup_parent {
        reasons.push(format!("cgroup_parent {parent}"));
    }
    // Which runtime isolates how well is known to who configures the engines.
    if let Some(runtime) = &spec.runtime {
        reasons.push(format!("runtime {runtime}"));
    }
    let sysctls: Vec<&str> =
        spec.sysctls.keys().map(String::as_str).filter(|name| !is_own_sysctl(name)).collect();
    if !sysctls.is_empty() {
        reasons.push(format!("sysctls {}", sysctls.join(", ")));
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

/// Namespaces of the host instead of its own.
fn namespaces(spec: &ContainerSpec, reasons: &mut Vec<String>) {
    let shared = [
        ("pid", spec.pid.is_some()),
        ("ipc", spec.ipc == Some(IpcMode::Host)),
        ("uts", spec.uts.is_some()),
        ("userns_mode", spec.userns.is_some()),
        ("cgroup", spec.cgroup == Some(CgroupMode::Host)),
    ];
    reasons.extend(shared.iter().filter(|(_, host)| *host).map(|(key, _)| format!("{key} host")));
}

/// Devices of the host. One that is asked for by what it can do, as GPUs are, is lent by a driver
/// that the operator has installed for that, and is none.
fn devices(spec: &ContainerSpec, reasons: &mut Vec<String>) {
    let by_path = spec.devices.iter().map(|d| d.source.as_str());
    let by_name = spec.device_requests.iter().filter(|r| r.driver == DeviceRequest::CDI);
    let named = by_name.flat_map(|r| r.device_ids.iter().map(String::as_str));
    reasons.extend(by_path.chain(named).map(|device| format!("device {device}")));
    if !spec.device_cgroup_rules.is_empty() {
        reasons.push(format!("device_cgroup_rules {}", spec.device_cgroup_rules.join(", ")));
    }
}
