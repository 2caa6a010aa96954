//! A service: its draft and the table of its attributes.

mod limits;
mod network;
mod rights;
mod run;

use self::{limits::LIMITS, network::NETWORK, rights::RIGHTS, run::RUN};
use super::{
    AttachmentDraft, DependencyDraft, DeployDraft, FileUseDraft, JoinDraft, LinkDraft, MountDraft,
    OF_NETWORK, attach, deploy, host, image, join, namespaces,
    undecoded::{CREDENTIAL_SPEC, MODELS, NO_MODELS, NO_PROVIDER, PROVIDER},
};
use crate::{
    manifest::{
        fields::{Attribute, Schema, accepted, count, joined, legacy, rejected},
        report::{Mark, Report},
        values,
        yaml::{Node, Value},
    },
    model::{ContainerSpec, PublishedPort, Resources},
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
    /// Secrets and configs it names.
    pub(in crate::manifest) files: Vec<FileUseDraft>,
    pub(in crate::manifest) container_name: Option<String>,
    pub(in crate::manifest) deploy: DeployDraft,
    /// Resource keys of old formats: they count where `deploy.resources` says nothing.
    pub(in crate::manifest) old_resources: Resources,
    pub(in crate::manifest) profiles: Vec<String>,
    pub(in crate::manifest) network_mode: Option<Mark>,
    /// Services that it shares something with.
    pub(in crate::manifest) joins: Vec<JoinDraft>,
    /// What it sets of a network of its own.
    pub(in crate::manifest) of_network: Vec<(&'static str, Mark)>,
    /// Where it says on which nodes it may be.
    pub(in crate::manifest) placement_at: Option<Mark>,
    /// Where it asks for rights that equal access to the host.
    pub(in crate::manifest) privileged_at: Vec<Mark>,
    pub(super) image: Option<Mark>,
    /// What it says about fetching its image again.
    pub(super) refresh: image::RefreshDraft,
    /// Where it limits the processor time in the kernel's own terms.
    pub(super) quota_at: Option<Mark>,
}

/// Decodes a service; `None` when it is no mapping.
pub(super) fn decode(mark: Mark, node: &Node, report: &mut Report<'_>) -> Option<ServiceDraft> {
    let mut draft = ServiceDraft { mark, ..ServiceDraft::default() };
    SERVICE.decode(node, &mut draft, report);
    let Value::Map(_) = node.value else { return None };
    if draft.image.is_none() {
        match node.get("build") {
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
    let set = |key: &&'static str| node.get(key).filter(|n| !n.is_null()).map(|n| (*key, n.mark));
    draft.of_network = OF_NETWORK.iter().filter_map(set).collect();
    draft.placement_at = node
        .get("deploy")
        .and_then(|d| d.get("placement"))
        .filter(|n| !n.is_null())
        .map(|n| n.mark);
    draft.spec.device_requests.append(&mut draft.deploy.reservations.devices);
    image::settle_refresh(&mut draft, report);
    super::limits::check(mark, &draft, report);
    namespaces::check(mark, &draft, report);
    Some(draft)
}

/// Every attribute of a service. Adding one is one entry in a group and one function.
pub(super) static SERVICE: Schema<ServiceDraft> =
    Schema { what: "a service", at: &["services.*"], extensions: true, attributes: &ATTRIBUTES };

const GROUPS: &[&[Attribute<ServiceDraft>]] = &[RUN, NETWORK, RIGHTS, LIMITS, REST];
static ATTRIBUTES: [Attribute<ServiceDraft>; count(GROUPS)] = joined(GROUPS);

/// Attributes of the whole, of old formats, and those that are refused.
const REST: &[Attribute<ServiceDraft>] = &[
    accepted(
        "logging",
        "Log driver of the engine and its options. `jaco logs` needs a driver that can be read, such as `json-file` or `local`.",
        |s, n, r| s.spec.logging = host::logging(n, r),
    ),
    accepted(
        "deploy",
        "How many replicas, where, how they are replaced and what they may use.",
        |s, n, r| deploy::decode(&mut s.deploy, n, r),
    ),
    accepted("scale", "How many replicas, where `deploy.replicas` says nothing.", |s, n, r| {
        s.deploy.scale = deploy::replicas(n, r)
    }),
    accepted(
        "volumes_from",
        "Mounts what another service mounts, as `service` or `service:ro`; each of its replicas is then beside one of that service.",
        join::volumes_from,
    ),
    // Of old formats.
    legacy("log_driver", "Log driver.", "write `logging: {driver: …}`"),
    legacy("log_opt", "Options of the log driver.", "write `logging: {options: …}`"),
    legacy("net", "Network mode.", "write `network_mode:` or `networks:`"),
    legacy(
        "volume_driver",
        "Driver of its volumes.",
        "set `driver:` of the volume at the top level",
    ),
    legacy(
        "dockerfile",
        "Path of the Dockerfile.",
        "write `build: {dockerfile: …}`, and `image:` for the cluster",
    ),
    // Never.
    rejected(
        "external_links",
        "Names of containers outside of the project.",
        "is not supported: a deployment reaches only its own services",
        "publish a port or declare a route in the other deployment",
    ),
    rejected(
        "isolation",
        "Isolation of containers on Windows.",
        "exists on Windows only",
        "remove it",
    ),
    rejected(
        "credential_spec",
        "Credentials of a Windows service account.",
        CREDENTIAL_SPEC,
        "remove it",
    ),
    rejected(
        "cpu_count",
        "Number of processors on Windows.",
        "exists on Windows only",
        "use `cpus`",
    ),
    rejected(
        "cpu_percent",
        "Share of processors on Windows.",
        "exists on Windows only",
        "use `cpus`",
    ),
    rejected(
        "provider",
        "A program of the client that stands for the service.",
        PROVIDER,
        NO_PROVIDER,
    ),
    rejected("models", "Models of machine learning it uses.", MODELS, NO_MODELS),
    rejected(
        "use_api_socket",
        "Gives the container the socket of the engine.",
        "would give the container the engine of its host",
        "mount the socket as a volume, with the label that allows it",
    ),
    rejected("mac_address", "Hardware address of the container.", attach::ONE_MAC, "remove it"),
];

/// A set of texts.
fn sorted(node: &Node, report: &mut Report<'_>) -> Vec<String> {
    let mut all = values::string_list(node, report).unwrap_or_default();
    all.sort_unstable();
    all.dedup();
    all
}
