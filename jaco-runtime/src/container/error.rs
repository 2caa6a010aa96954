//! How an engine can fail.

/// The failure underneath.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an engine did not do what it was asked. Messages hold the engine's own words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The endpoint's text is no address of an engine.
    #[error("{endpoint:?} is no engine address: {problem}")]
    BadEndpoint {
        /// The refused text.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No connection, or it broke.
    #[error("the container engine at {endpoint} does not answer: {source}")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// Why not.
        source: Cause,
    },
    /// No answer in time.
    #[error("the container engine did not answer in time: {operation}")]
    TimedOut {
        /// What it was asked.
        operation: &'static str,
    },
    /// The engine's API is older than the oldest we speak.
    #[error("the container engine speaks API {found}; {needed} or newer is needed (Docker 20.10)")]
    EngineTooOld {
        /// API version of the engine.
        found: String,
        /// Oldest that works.
        needed: String,
    },
    /// The engine's API is older than an attribute of the container.
    #[error(
        "{attribute} needs a container engine with API {needed} or newer (Docker {release}); \
         this one speaks {found}"
    )]
    AttributeTooNew {
        /// What the container asks for, as the compose file writes it.
        attribute: &'static str,
        /// API version of the engine.
        found: String,
        /// Oldest that has it.
        needed: String,
        /// The release of Docker that brought it.
        release: &'static str,
    },
    /// There is no such thing.
    #[error("{message}")]
    NotFound {
        /// The engine's words.
        message: String,
    },
    /// Something is in the way: a name in use, a network with members, a mounted volume.
    #[error("{message}")]
    Conflict {
        /// The engine's words.
        message: String,
    },
    /// The addresses of a network, or the name of its bridge, are taken on this host.
    #[error(
        "the container engine refuses addresses {subnet}: {message}; where another network of this host \
         has them, choose others with `jaco cluster set address_pools`"
    )]
    AddressesTaken {
        /// The addresses.
        subnet: ipnet::IpNet,
        /// The engine's words.
        message: String,
    },
    /// What the node does for the networks of a container is not done.
    #[error("the network of this node: {reason}")]
    NetworkNotReady {
        /// What is missing.
        reason: String,
    },
    /// The image exists neither here nor at its registry, or the registry will not say.
    #[error("cannot fetch image {image}: {message}")]
    ImageNotFound {
        /// The image.
        image: String,
        /// The engine's words.
        message: String,
    },
    /// The image could not be fetched; another attempt may succeed.
    #[error("cannot fetch image {image}: {message}")]
    PullFailed {
        /// The image.
        image: String,
        /// The engine's words.
        message: String,
    },
    /// The container does not run, and this needs one that does.
    #[error("{message}")]
    NotRunning {
        /// The engine's words.
        message: String,
    },
    /// A command could not be started in a container that runs.
    #[error("{message}")]
    CannotExecute {
        /// What a shell would answer: 127 when there is no such program, 126 when it cannot be run.
        /// Some engines know only 126.
        exit_code: i64,
        /// The engine's words.
        message: String,
    },
    /// There is nothing at this path in the container.
    #[error("no such file or directory: {path}")]
    NoSuchPath {
        /// The path.
        path: String,
    },
    /// The archive that was to be unpacked ended with an error.
    #[error("the archive broke off: {source}")]
    BrokenOff {
        /// Why.
        source: Cause,
    },
    /// The container is in no network that this node reaches.
    #[error("container {container} has no network of its own, so none of its ports can be reached")]
    NoNetwork {
        /// The container.
        container: String,
    },
    /// Nothing answers at a port of a container.
    #[error("nothing answers at port {port} of {container}: {source}")]
    PortUnreachable {
        /// The container.
        container: String,
        /// The port.
        port: u16,
        /// Why not.
        source: Cause,
    },
    /// Secrets and configs cannot be kept where containers find them.
    #[error("cannot {operation}: {source}")]
    Files {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// This engine cannot do such a thing at all.
    #[error("this container engine cannot {operation}")]
    Unsupported {
        /// What it was asked.
        operation: &'static str,
    },
    /// The engine refused for another reason.
    #[error("{message}")]
    Refused {
        /// HTTP status, or what is nearest to it.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The engine's answer made no sense.
    #[error("the container engine's answer is not understood: {operation}")]
    NotUnderstood {
        /// What it was asked.
        operation: &'static str,
        /// Why not.
        source: Cause,
    },
}

impl RuntimeError {
    /// Whether the engine as a whole is away, rather than this request wrong.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::EngineTooOld { .. })
    }
    /// Whether the thing asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
    /// Whether asking again is pointless until somebody changes something.
    #[must_use]
    pub fn is_definitive_for_image(&self) -> bool {
        matches!(self, Self::ImageNotFound { .. })
    }
}
