//! The closed set of error codes and the error value that crosses every border.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tonic::Code;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal, $grpc:ident, $hint:literal;)*) => {
        /// Every way in which a call or a workload can fail. The text form is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode { $($(#[doc = $doc])* $variant,)* }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable snake_case name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            /// The gRPC status it travels with.
            #[must_use]
            pub const fn grpc(self) -> Code {
                match self { $(Self::$variant => Code::$grpc,)* }
            }
            /// What to do about it; empty when the message says it all.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)* }
            }
            /// What it means: the text of the documentation page.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii(),)* }
            }
        }
        impl FromStr for ErrorCode {
            type Err = UnknownErrorCode;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                match s {
                    $($text => Ok(Self::$variant),)*
                    other => Err(UnknownErrorCode(other.to_owned())),
                }
            }
        }
    };
}

codes! {
    /// The node belongs to no cluster yet.
    ClusterUninitialized = "cluster_uninitialized", FailedPrecondition, "run `jaco cluster init` here, or `jaco node join`";
    /// The node already belongs to a cluster.
    ClusterAlreadyInitialized = "cluster_already_initialized", AlreadyExists, "`jaco cluster status` shows it";
    /// A member of this name exists.
    NodeAlreadyMember = "node_already_member", AlreadyExists, "set another `node_name` in jacod.yaml, or remove the old member first";
    /// No member has this name.
    UnknownNode = "unknown_node", NotFound, "`jaco node list` shows the members";
    /// No leader was elected in time.
    NoLeader = "no_leader", Unavailable, "`jaco cluster status` shows which members are reachable";
    /// Too few voters are reachable to accept a write.
    QuorumLost = "quorum_lost", Unavailable, "bring voters back; what runs keeps running meanwhile";
    /// The token is not known, or none was given.
    TokenInvalid = "token_invalid", Unauthenticated, "pass --token or set JACO_TOKEN";
    /// The token was revoked.
    TokenRevoked = "token_revoked", Unauthenticated, "ask an administrator for a new token";
    /// The token's life is over.
    TokenExpired = "token_expired", Unauthenticated, "ask an administrator for a new token";
    /// The caller's role or deployment globs do not cover this.
    PermissionDenied = "permission_denied", PermissionDenied, "`jaco token list` shows what each token may do";
    /// The manifest asks for rights that equal host access.
    PrivilegeDenied = "privilege_denied", PermissionDenied, "it needs the label jaco.io/allow-privileged: \"true\" and a token issued with --allow-privileged";
    /// The join token is not known.
    JoinTokenInvalid = "join_token_invalid", Unauthenticated, "issue one with `jaco node issue-join-token`";
    /// The join token was used already.
    JoinTokenConsumed = "join_token_consumed", Unauthenticated, "each token admits one node; issue another";
    /// The join token's life is over.
    JoinTokenExpired = "join_token_expired", Unauthenticated, "issue another with `jaco node issue-join-token`";
    /// The node that was named to join or relay through does not answer.
    PeerUnreachable = "peer_unreachable", Unavailable, "check the address, and that the port can be reached from here";
    /// The server's certificate does not lead to the expected CA.
    CaMismatch = "ca_mismatch", Unauthenticated, "compare --ca-cert or --ca-fingerprint with `jaco cluster status` on a node";
    /// The request or manifest breaks a rule.
    ValidationFailed = "validation_failed", InvalidArgument, "";
    /// The document cannot be read.
    ParseFailed = "parse_failed", InvalidArgument, "";
    /// The manifest names a service that the compose file does not define.
    UnknownService = "unknown_service", InvalidArgument, "";
    /// The manifest names a host that is not a member.
    UnknownHost = "unknown_host", InvalidArgument, "`jaco node list` shows the members";
    /// A service names a network that the compose file does not define.
    UnknownNetwork = "unknown_network", InvalidArgument, "";
    /// Ports 80 and 443 belong to the ingress.
    ReservedPort = "reserved_port", InvalidArgument, "declare a route in jaco.yaml instead";
    /// Another deployment publishes this port.
    PortConflict = "port_conflict", AlreadyExists, "";
    /// Another route has this domain and path.
    RouteConflict = "route_conflict", AlreadyExists, "";
    /// The routes of one domain differ in their tls setting.
    RouteTlsMixed = "route_tls_mixed", InvalidArgument, "";
    /// The field belongs to an old compose format.
    LegacyComposeField = "legacy_compose_field", InvalidArgument, "";
    /// The document still carries an env_file, which only the client can read.
    EnvFileUnresolved = "env_file_unresolved", InvalidArgument, "apply with `jaco apply`, which folds env files into the environment";
    /// The document still carries `extends`, `include` or `label_file`, which only the client can follow.
    ManifestUnresolved = "manifest_unresolved", InvalidArgument, "apply with `jaco apply`, which puts everything into one document";
    /// More replicas are wanted than hosts are pinned.
    ReplicasExceedPinnedHosts = "replicas_exceed_pinned_hosts", InvalidArgument, "";
    /// No node can take the replica.
    UnsatisfiablePlacement = "unsatisfiable_placement", FailedPrecondition, "`jaco node list` shows nodes and labels";
    /// There is no such deployment.
    DeploymentNotFound = "deployment_not_found", NotFound, "`jaco get deployments` lists them";
    /// The deployment has no such service.
    ServiceNotFound = "service_not_found", NotFound, "`jaco status <deployment>` lists its services";
    /// There is no such replica.
    ReplicaNotFound = "replica_not_found", NotFound, "`jaco get replicas` lists them";
    /// The replica has no running container at the moment.
    ReplicaNotRunning = "replica_not_running", FailedPrecondition, "`jaco status` shows why";
    /// The command could not be started in the container.
    ExecFailed = "exec_failed", FailedPrecondition, "";
    /// There is nothing at this path in the container.
    PathNotFound = "path_not_found", NotFound, "";
    /// The port of the replica cannot be reached.
    PortUnreachable = "port_unreachable", FailedPrecondition, "";
    /// The node that has the replica does not answer the one that was asked.
    NodeUnreachable = "node_unreachable", Unavailable, "`jaco node list` shows how the node is";
    /// The cluster has no such secret or config.
    SecretNotFound = "secret_not_found", NotFound, "`jaco secret list` and `jaco config list` show what there is";
    /// There is no such route.
    RouteNotFound = "route_not_found", NotFound, "`jaco get routes` lists them";
    /// There is no such revision, or no earlier one.
    NoPreviousRevision = "no_previous_revision", FailedPrecondition, "`jaco history <deployment>` lists the revisions that are kept";
    /// The image cannot be fetched.
    ImagePullFailed = "image_pull_failed", FailedPrecondition, "";
    /// The container engine refused a request.
    EngineError = "engine_error", Internal, "";
    /// The container engine does not answer.
    EngineUnreachable = "engine_unreachable", Unavailable, "start the engine; work resumes by itself";
    /// A container ended that should run.
    ContainerExited = "container_exited", FailedPrecondition, "`jaco logs` and `jaco get replica` show its last output";
    /// The health check fails.
    HealthcheckFailed = "healthcheck_failed", FailedPrecondition, "";
    /// A command that runs in the container after its start, or before its stop, has failed.
    HookFailed = "hook_failed", FailedPrecondition, "";
    /// The container failed too often in a row.
    RestartExhausted = "restart_exhausted", FailedPrecondition, "apply a fixed version, or `jaco restart`";
    /// The rollout was given up.
    RolloutFailed = "rollout_failed", Aborted, "";
    /// The node cannot keep deployments apart.
    IsolationUnavailable = "isolation_unavailable", FailedPrecondition, "";
    /// The firewall read back from the kernel is not the one that was loaded.
    IsolationSelfTestFailed = "isolation_self_test_failed", Internal, "";
    /// A pool of addresses has too few left.
    SubnetPoolExhausted = "subnet_pool_exhausted", ResourceExhausted, "";
    /// There is no such certificate.
    CertificateNotFound = "certificate_not_found", NotFound, "`jaco cert list` shows what there is";
    /// A certificate could not be obtained.
    CertFailed = "cert_failed", FailedPrecondition, "";
    /// Replicas on the node cannot move.
    DrainBlocked = "drain_blocked", FailedPrecondition, "";
    /// Replicas did not move in time.
    DrainTimeout = "drain_timeout", DeadlineExceeded, "";
    /// The backup could not be written.
    BackupFailed = "backup_failed", Internal, "";
    /// The archive is no backup, or is damaged.
    RestoreInvalid = "restore_invalid", InvalidArgument, "";
    /// Client and server, or two members, do not understand each other.
    VersionMismatch = "version_mismatch", FailedPrecondition, "";
    /// Signature or checksum of the release is wrong.
    UpgradeVerificationFailed = "upgrade_verification_failed", Aborted, "";
    /// The new version did not become ready.
    UpgradeFailed = "upgrade_failed", Internal, "";
    /// Too many failed attempts from this source.
    RateLimited = "rate_limited", ResourceExhausted, "wait and try again";
    /// Somebody else changed the same thing first.
    Conflict = "conflict", Aborted, "look at the present state and try again";
    /// Something that must not happen.
    Internal = "internal", Internal, "";
}

/// An error code that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown error code {0:?}")]
pub struct UnknownErrorCode(pub String);

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `ErrorInfo.domain` of every error of JACO.
pub const DOMAIN: &str = "jaco.sh";

/// An error as it crosses a border: code, sentence and details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// Which failure.
    pub code: ErrorCode,
    /// One sentence, without a full stop.
    pub message: String,
    /// Further facts, one line each when shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// Every problem of a refused manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<crate::manifest::Diagnostic>,
}

impl ApiError {
    /// An error without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: BTreeMap::new(), diagnostics: Vec::new() }
    }

    /// The same error with one more fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.details.insert(key.to_owned(), value.to_string());
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.details
            .get("hint")
            .map(String::as_str)
            .or_else(|| Some(self.code.hint()).filter(|h| !h.is_empty()))
    }
}
