//! What a container shares with its host or other containers, and what runs it.

use super::{
    ServiceDraft,
    join::{self, Shared},
};
use crate::{
    manifest::{
        report::{Mark, Report, cut},
        values,
        yaml::Node,
    },
    model::{CgroupMode, HostNamespace, IpcMode},
};

/// Takes `service:<name>` and refuses `container:…`; true when it was one of them.
fn joined(draft: &mut ServiceDraft, node: &Node, shared: Shared, report: &mut Report<'_>) -> bool {
    match node.as_text().and_then(|text| text.split_once(':')) {
        Some(("service", name)) => join::service(draft, name, shared, node.mark, report),
        Some(("container", _)) => {
            let key = report.subject();
            let message = format!("{key} cannot name a container: containers have no fixed name");
            report.error_hint(node.mark, message, "name a service: `service:<name>`");
        }
        _ => return false,
    }
    true
}

/// One of these words; empty is as good as absent, and what names another container is refused.
fn mode<T: Copy>(node: &Node, words: &[(&'static str, T)], report: &mut Report<'_>) -> Option<T> {
    let text = node.as_text()?;
    let key = report.subject();
    match text.split_once(':') {
        None if text.is_empty() => None,
        Some((kind @ ("service" | "container"), _)) => {
            let message = format!("{key} cannot be that of another {kind}");
            report.error_hint(node.mark, message, "remove it");
            None
        }
        _ => values::one_of(node, words, report),
    }
}

fn host(node: &Node, report: &mut Report<'_>) -> Option<HostNamespace> {
    mode(node, &[("host", HostNamespace::Host)], report)
}

/// Decodes `ipc`.
pub(super) fn ipc(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    if joined(draft, node, Shared::Ipc, report) {
        return;
    }
    let words = [
        ("host", IpcMode::Host),
        ("shareable", IpcMode::Shareable),
        ("private", IpcMode::Private),
        ("none", IpcMode::None),
    ];
    draft.spec.ipc = mode(node, &words, report);
    draft.privileged_at.extend(draft.spec.ipc.filter(|m| *m == IpcMode::Host).map(|_| node.mark));
}

/// Decodes `pid`.
pub(super) fn pid(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    if joined(draft, node, Shared::Pid, report) {
        return;
    }
    draft.spec.pid = host(node, report);
    draft.privileged_at.extend(draft.spec.pid.map(|_| node.mark));
}

/// Decodes `uts`.
pub(super) fn uts(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    draft.spec.uts = host(node, report);
    draft.privileged_at.extend(draft.spec.uts.map(|_| node.mark));
}

/// Decodes `userns_mode`.
pub(super) fn userns(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    draft.spec.userns = host(node, report);
    draft.privileged_at.extend(draft.spec.userns.map(|_| node.mark));
}

/// Decodes `cgroup`.
pub(super) fn cgroup(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let words = [("host", CgroupMode::Host), ("private", CgroupMode::Private)];
    draft.spec.cgroup = mode(node, &words, report);
    let host = draft.spec.cgroup.filter(|m| *m == CgroupMode::Host);
    draft.privileged_at.extend(host.map(|_| node.mark));
}

/// Decodes `cgroup_parent`: a path, or a slice of systemd.
pub(super) fn cgroup_parent(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let Some(parent) = values::some_text(node, report) else { return };
    if parent.split('/').any(|part| part == "..") || parent.contains(char::is_whitespace) {
        values::wrong::<()>(node, "the name of a control group", report);
        return;
    }
    draft.spec.cgroup_parent = Some(parent);
    draft.privileged_at.push(node.mark);
}

/// Decodes `runtime`: a name the engine knows.
pub(super) fn runtime(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let Some(runtime) = values::some_text(node, report) else { return };
    if !runtime.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        let message = format!("`{}` is no name of a runtime", cut(&runtime));
        return report.error_hint(node.mark, message, "runtimes are configured in each engine");
    }
    draft.spec.runtime = Some(runtime);
    draft.privileged_at.push(node.mark);
}

/// Namespaces that exclude other attributes.
pub(super) fn check(mark: Mark, draft: &ServiceDraft, report: &mut Report<'_>) {
    if draft.spec.uts.is_some() && draft.spec.hostname.is_some() {
        let message = "`hostname` and `uts: host` exclude each other: its name is the host's";
        report.error_hint(mark, message, "remove one of them");
    }
}
