//! Why a node cannot start.

use std::{io, net::SocketAddr, path::PathBuf};

use jaco_api::{
    error::ApiError,
    model::{InvalidName, NodeName},
};

use crate::{pki::PkiError, rpc::SocketError, seal::SealError};

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The data directory cannot be used.
    #[error("cannot {operation} the data directory {} (`data_dir` in jacod.yaml)", path.display())]
    DataDirectory {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has the data directory.
    #[error("another daemon uses the data directory {}", .0.display())]
    DataDirectoryInUse(PathBuf),
    /// The host's name is no node name.
    #[error("the host name cannot be used as a node name; set `node_name` in jacod.yaml")]
    HostName(#[source] InvalidName),
    /// The node has another name in its cluster.
    #[error(
        "this node is {member} in its cluster and cannot become {configured}; set `node_name: {member}` in jacod.yaml"
    )]
    Renamed {
        /// The name in the cluster.
        member: NodeName,
        /// The name in the configuration.
        configured: NodeName,
    },
    /// A port cannot be had.
    #[error("cannot listen on {address}; `{key}` in jacod.yaml chooses another address")]
    Listen {
        /// The key that chooses it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The local socket cannot be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A file of the node is damaged.
    #[error("{} cannot be read", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The certificate of a member is missing.
    #[error("the certificate of node {node} is missing in {}", directory.display())]
    NoCertificate {
        /// The node.
        node: NodeName,
        /// Where it should be.
        directory: PathBuf,
    },
    /// A certificate cannot be had.
    #[error(transparent)]
    Enrol(#[from] crate::enrol::EnrolError),
    /// The private key of the mesh cannot be had.
    #[error(transparent)]
    MeshKey(#[from] jaco_net::mesh::KeyFileError),
    /// Certificates cannot be made or used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// Keys cannot be read or made.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// No container engine was given.
    #[error("a node needs a container engine: give one to `Builder::runtime`")]
    NoRuntime,
    /// The log on disk cannot be opened.
    #[error("the log in the data directory cannot be opened")]
    Storage(#[source] crate::raft::storage::StorageError),
    /// The log cannot be started.
    #[error("the log cannot be started")]
    Raft(#[source] crate::raft::RaftError),
    /// The certificate store of the ingress cannot be read.
    #[error("the certificate store cannot be read")]
    Certificates(#[source] jaco_ingress::CertStoreError),
    /// The services cannot be put together.
    #[error("the services cannot be put together")]
    Services(#[source] tonic_reflection::server::Error),
}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> Self {
        use std::error::Error as _;
        let mut api = Self::new(jaco_api::error::ErrorCode::Internal, error.to_string());
        let mut cause = error.source();
        while let Some(inner) = cause {
            let key = format!("cause{}", "'".repeat(api.details.len()));
            api = api.with(&key, inner);
            cause = inner.source();
        }
        api
    }
}
