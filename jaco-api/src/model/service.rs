//! What the scheduler knows of a service. None of it is secret: it is kept in the clear.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::{CronSchedule, FileId, NetworkName, NodeName, RevisionOrigin, ServiceName, Span};

/// How the replicas of a service are spread over nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// As evenly as possible.
    #[default]
    Spread,
    /// On as few nodes as possible.
    Pack,
    /// Evenly over these nodes only.
    Hosts(Vec<NodeName>),
    /// One on every eligible node.
    Global,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Spread => "spread",
            Self::Pack => "pack",
            Self::Hosts(_) => "hosts",
            Self::Global => "global",
        })
    }
}

/// Whether the containers of a service are meant to run for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Runs until it is stopped.
    #[default]
    Service,
    /// Runs to completion; a container that exits well is `completed`.
    Job,
}

/// What the name of a service leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointMode {
    /// To an address of the service itself, behind which connections are spread over its replicas.
    #[default]
    Vip,
    /// To the addresses of its replicas.
    Dnsrr,
}

/// Which exits are followed by a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartCondition {
    /// Every exit.
    #[default]
    Any,
    /// Exits with a code other than zero.
    OnFailure,
    /// None.
    None,
}

/// When and how often an exited container is started again on its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// Which exits count.
    pub condition: RestartCondition,
    /// Consecutive failures after which the replica is `failed`.
    pub max_attempts: u32,
    /// First pause; doubles up to a minute.
    pub delay: Span,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self { condition: RestartCondition::Any, max_attempts: 3, delay: Span::secs(1) }
    }
}

/// Which comes first when a replica is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateOrder {
    /// The new one is healthy before the old one stops.
    StartFirst,
    /// The old one stops before the new one starts.
    StopFirst,
}

/// What happens when an update step fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureAction {
    /// The previous revision is restored.
    #[default]
    Rollback,
    /// The rollout stops where it is.
    Pause,
    /// The failure is noted and the rollout goes on.
    Continue,
}

/// How a change is rolled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateConfig {
    /// How many replicas are replaced at a time; 0 means all.
    pub parallelism: u32,
    /// Pause between steps.
    pub delay: Span,
    /// Which comes first.
    pub order: UpdateOrder,
    /// How long a new replica must stay healthy.
    pub monitor: Span,
    /// Failed replicas tolerated, in thousandths of all.
    pub max_failure_permille: u32,
    /// What happens when more fail.
    pub failure_action: FailureAction,
}

impl UpdateConfig {
    /// What holds when the manifest says nothing.
    #[must_use]
    pub fn default_for(stateful: bool) -> Self {
        Self {
            parallelism: 1,
            delay: Span(0),
            order: if stateful { UpdateOrder::StopFirst } else { UpdateOrder::StartFirst },
            monitor: Span(0),
            max_failure_permille: 0,
            failure_action: FailureAction::Rollback,
        }
    }
}

/// What must hold of another service before a replica is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyCondition {
    /// One of its replicas has started.
    Started,
    /// One of its replicas is healthy.
    Healthy,
    /// One of its replicas has completed.
    Completed,
}

/// Transport protocol of a published port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// Version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// A port that every node listens on for this service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Port on the nodes; absent when the cluster chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<u16>,
    /// Port in the container.
    pub target: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// TCP: each connection to a replica begins with a header that tells who is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// What the scheduler knows of a service.
///
/// A change here never restarts a container; a change of the
/// [`ContainerSpec`](super::ContainerSpec) always does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSchedule {
    /// The image, for display.
    pub image: String,
    /// How many replicas; not used by `global` services.
    pub replicas: u32,
    /// How they are spread; absent means the cluster's `default_placement`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Placement constraints as Compose writes them, for example `node.labels.disk == ssd`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    /// Most replicas of the service on one node; 0 means no limit.
    #[serde(default)]
    pub max_replicas_per_node: u32,
    /// Runs for ever, or to completion.
    pub mode: Mode,
    /// Restart rules on the owning node.
    pub restart: RestartPolicy,
    /// How a change is rolled out.
    pub update: UpdateConfig,
    /// How an earlier revision is restored; absent means as any change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<UpdateConfig>,
    /// What must hold of other services before a replica starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<ServiceName, DependencyCondition>,
    /// Engine names of the volumes it mounts; a service with any is stateful and stays put.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// True when it has a volume or a bind mount.
    #[serde(default)]
    pub stateful: bool,
    /// Secrets and configs of the cluster that its containers are given.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub files: BTreeSet<FileId>,
    /// Networks of the deployment that it is on: its nodes need a block of addresses for each.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub networks: BTreeSet<NetworkName>,
    /// Of these, the ones that only containers beside its own are on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub networks_beside: BTreeSet<NetworkName>,
    /// What its name leads to.
    #[serde(default)]
    pub endpoint: EndpointMode,
    /// Ports every node publishes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PublishedPort>,
    /// Platform the image needs, for example `linux/arm64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Two copies never run, not even while the network is parted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub singleton: bool,
    /// How long after its node was lost a replica is placed elsewhere; absent means the cluster's
    /// `node_down_grace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reschedule_after: Option<Span>,
    /// Node labels over whose values replicas are spread first, for example `zone`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread_over: Vec<String>,
    /// Labels of the service itself, which its containers do not carry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub service_labels: BTreeMap<String, String>,
    /// Reserved processor time in thousandths of a core.
    #[serde(default)]
    pub reserved_cpu_millis: u64,
    /// Reserved memory in bytes.
    #[serde(default)]
    pub reserved_memory_bytes: u64,
    /// When it runs, if it runs at times instead of always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<CronSchedule>,
    /// The service whose containers its own live beside: each of its replicas is where one of that
    /// service is. What it asks of a node is in the schedule of that service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<ServiceName>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl ServiceSchedule {
    /// Whether it has one replica on every eligible node instead of a number of replicas.
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.placement == Some(Placement::Global)
    }

    /// The networks that its own containers are on.
    pub fn own_networks(&self) -> impl Iterator<Item = &NetworkName> {
        self.networks.difference(&self.networks_beside)
    }

    /// The networks on which it has a virtual address: all that its own containers are on, if its name
    /// leads to one. What ends by itself has none: nobody waits at an address for it.
    pub fn virtual_networks(&self) -> impl Iterator<Item = &NetworkName> {
        let has =
            self.endpoint == EndpointMode::Vip && self.mode == Mode::Service && self.cron.is_none();
        self.own_networks().filter(move |_| has)
    }

    /// How its replicas are replaced for a revision of this origin.
    #[must_use]
    pub fn update_for(&self, origin: RevisionOrigin) -> &UpdateConfig {
        let back = matches!(origin, RevisionOrigin::Rollback(_) | RevisionOrigin::AutoRollback(_));
        self.rollback.as_ref().filter(|_| back).unwrap_or(&self.update)
    }

    /// Whether a replacement is the next generation of the same replica (stop-first, global and
    /// companions) rather than a new replica (start-first).
    #[must_use]
    pub fn replaces_in_place(&self) -> bool {
        self.is_global() || self.beside.is_some() || self.update.order == UpdateOrder::StopFirst
    }

    /// Whether its data, its hosts or its kind tie a replica to its node: it is placed elsewhere only
    /// by an operator.
    #[must_use]
    pub fn is_tied(&self) -> bool {
        self.stateful || !self.volumes.is_empty() || self.is_global()
    }

    /// Whether a replica may be moved for the sake of its node: started elsewhere first, then stopped.
    #[must_use]
    pub fn moves_start_first(&self) -> bool {
        self.mode == Mode::Service
            && !self.is_tied()
            && !self.singleton
            && !self.replaces_in_place()
            && !matches!(self.placement, Some(Placement::Hosts(_)))
    }

    /// How many of `desired` replicas keep running whatever the rollout of such a revision does: all of them when the
    /// new ones start first, all but `parallelism` when the old ones stop first, none of a job.
    #[must_use]
    pub fn floor(&self, desired: u32, origin: RevisionOrigin) -> u32 {
        match (self.mode, self.replaces_in_place(), self.update_for(origin).parallelism) {
            (Mode::Job, ..) | (Mode::Service, true, 0) => 0,
            (Mode::Service, true, parallelism) => desired.saturating_sub(parallelism),
            (Mode::Service, false, _) => desired,
        }
    }
}
