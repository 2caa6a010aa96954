//! The compose file: from the tree to drafts of services, networks and volumes.
//!
//! One file decodes one group of attributes. What depends on more than one service, on
//! `jaco.yaml` or on the deployment's name is decided later, in `merge`.

mod attach;
mod depends;
mod deploy;
mod devices;
mod files;
mod health;
mod hooks;
mod host;
mod image;
mod join;
mod limits;
mod mounts;
mod namespaces;
mod ports;
mod rollout;
mod service;
mod tmpfs;
mod toplevel;
mod undecoded;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use attach::AttachmentDraft;
pub(super) use depends::{DependencyDraft, LinkDraft};
#[cfg(feature = "fuzzing")]
pub(super) use deploy::constraint;
pub(super) use deploy::{DeployDraft, constraints, replicas};
pub(super) use files::{FileDraft, FileUseDraft};
pub(super) use join::{JoinDraft, OF_NETWORK, Shared};
pub(super) use mounts::MountDraft;
pub(super) use rollout::UpdateDraft;
pub(super) use service::ServiceDraft;
pub(super) use toplevel::VolumeDraft;

use super::{
    fields::Supported,
    report::{Mark, Report},
    yaml::Node,
};
use crate::{
    error::ErrorCode,
    model::{FileKind, NetworkName, NetworkSpec, ServiceName, VolumeName},
};

/// Most services of a deployment.
const MOST_SERVICES: usize = 1_000;

/// A decoded compose file.
#[derive(Default)]
pub(super) struct ComposeDraft {
    /// Services by name.
    pub(super) services: BTreeMap<ServiceName, ServiceDraft>,
    /// Every key below `services`, those that could not be decoded included.
    pub(super) service_names: BTreeSet<String>,
    /// Networks with the place of their key.
    pub(super) networks: BTreeMap<NetworkName, (NetworkSpec, Mark)>,
    /// Volumes.
    pub(super) volumes: BTreeMap<VolumeName, VolumeDraft>,
    /// Secrets and configs with the place of their key, by kind and key.
    pub(super) files: BTreeMap<(FileKind, String), (FileDraft, Mark)>,
    /// Every key below `networks` and `volumes`, those that could not be decoded included.
    pub(super) other_names: BTreeSet<(&'static str, String)>,
    /// Whether an included file could not be had: it may define what is missing.
    pub(super) partial: bool,
}

/// Decodes a compose file and reports every problem of it.
pub(super) fn decode(root: &Node, report: &mut Report<'_>) -> ComposeDraft {
    let mut draft = ComposeDraft { partial: !report.is_whole(), ..ComposeDraft::default() };
    if root.is_null() {
        report.error_hint(
            root.mark,
            "the compose file is empty",
            "it needs at least `services:` with one service",
        );
        return draft;
    }
    toplevel::COMPOSE.decode(root, &mut draft, report);
    if !draft.partial && toplevel::COMPOSE.lacks(root, "services") {
        report.error(root.mark, "the compose file has no `services`");
    }
    draft
}

/// Every key of a compose file but those that only the client reads.
pub(super) fn describe() -> Vec<Supported> {
    let mut out: Vec<Supported> = toplevel::COMPOSE.describe().collect();
    out.extend(service::SERVICE.describe());
    out.extend(deploy::describe());
    out.extend(health::HEALTHCHECK.describe());
    out.extend(hooks::HOOK.describe());
    out.extend(depends::LONG.describe());
    out.extend(ports::LONG.describe());
    out.extend(mounts::describe());
    out.extend(attach::ATTACHMENT.describe());
    out.extend(files::describe());
    out.extend(host::LOGGING.describe());
    out.extend(host::ULIMIT.describe());
    out.extend(devices::describe());
    out.extend(limits::describe());
    out.extend(toplevel::describe());
    out.extend(undecoded::describe());
    out
}

/// An attribute that names a file of the client, which has put the file in its place.
fn unresolved(node: &Node, report: &mut Report<'_>) {
    let message = format!(
        "the document still carries {}, which only the client can follow",
        report.subject()
    );
    report.coded(ErrorCode::ManifestUnresolved, node.mark, message, None);
}

/// Calls `f` for every entry of a mapping of names.
fn named(
    node: &Node,
    report: &mut Report<'_>,
    mut f: impl FnMut(&str, Mark, &Node, &mut Report<'_>),
) {
    let super::yaml::Value::Map(entries) = &node.value else {
        let message = format!("{} must be a mapping, not {}", report.subject(), node.kind());
        return report.error(node.mark, message);
    };
    for entry in entries.iter().filter(|e| !e.key.starts_with("x-")) {
        report.within(&entry.key, |report| f(&entry.key, entry.mark, &entry.value, report));
    }
}
