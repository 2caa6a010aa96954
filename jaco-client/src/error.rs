//! What can go wrong between a caller and a cluster.

use std::{io, path::PathBuf, time::Duration};

use jaco_api::error::{ApiError, DOMAIN, ErrorCode};
use tonic_types::StatusExt as _;

/// An address that cannot be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not of the form <host>:<port>")]
pub struct InvalidEndpoint {
    /// The address as given.
    pub value: String,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cluster refused or failed the request.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// No connection to the server.
    #[error("cannot connect to {target}: {source}")]
    Connect {
        /// Socket path or `host:port`.
        target: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// None of several servers is reachable.
    #[error("none of {count} servers is reachable; the last one: {last}")]
    NoServer {
        /// How many were tried.
        count: usize,
        /// What the last one answered.
        #[source]
        last: Box<Error>,
    },
    /// The server's certificate does not lead to the pinned CA.
    #[error("{target} does not prove to be a node of this cluster: {}", crate::trust::why(source))]
    CaMismatch {
        /// `host:port`.
        target: String,
        /// What the check found.
        source: rustls::Error,
    },
    /// The TLS handshake failed for another reason.
    #[error("TLS handshake with {target} failed: {source}")]
    Tls {
        /// `host:port`.
        target: String,
        /// What failed.
        source: rustls::Error,
    },
    /// Something answers, but not with TLS.
    #[error("{target} does not speak TLS, so it is not the operator API of a JACO node")]
    Plaintext {
        /// `host:port`.
        target: String,
    },
    /// The CA certificate cannot be used.
    #[error("CA certificate {path}: {source}", path = path.display())]
    CaFile {
        /// Where it was read from; empty when it was given as text.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The CA certificate holds no usable certificate.
    #[error("the CA certificate holds no usable PEM certificate")]
    CaContent,
    /// The fingerprint is not one.
    #[error(transparent)]
    Fingerprint(#[from] crate::InvalidFingerprint),
    /// The address is not one.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// A remote server was named without a token.
    #[error("a remote server needs an operator token")]
    TokenMissing,
    /// The token cannot be sent.
    #[error("the operator token must be 64 hexadecimal digits")]
    TokenMalformed,
    /// A remote server was named without saying what to trust.
    #[error("a remote server needs a CA certificate or fingerprint to trust")]
    TrustMissing,
    /// The call took longer than allowed.
    #[error("no answer within {}", jaco_api::model::Span::from(*after))]
    Timeout {
        /// The time allowed.
        after: Duration,
    },
    /// The connection failed under a call that was already sent.
    #[error("the connection failed: {} ({})", status.message(), status.code())]
    Transport {
        /// The underlying gRPC failure.
        status: Box<tonic::Status>,
    },
    /// The archive that was to be sent ended with an error.
    #[error("the archive cannot be read: {source}")]
    Archive {
        /// Why not.
        source: io::Error,
    },
    /// The server sent something this version does not understand.
    #[error("the server's answer is not understood: {source}")]
    Answer {
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The stable code, where the failure has one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Api(e) => Some(e.code),
            Self::CaMismatch { .. } => Some(ErrorCode::CaMismatch),
            Self::TokenMissing | Self::TokenMalformed => Some(ErrorCode::TokenInvalid),
            Self::Answer { .. } => Some(ErrorCode::VersionMismatch),
            Self::NoServer { last, .. } => last.code(),
            _ => None,
        }
    }

    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Api(e) => e.hint(),
            Self::Connect { target, source } if target.starts_with('/') => {
                Some(match source.kind() {
                    io::ErrorKind::NotFound => {
                        "is jacod running here? `systemctl status jacod`; or name a node with --server"
                    }
                    io::ErrorKind::PermissionDenied => {
                        "the socket belongs to root and group jaco: `sudo usermod -aG jaco $USER`"
                    }
                    _ => "is jacod running here? `systemctl status jacod`",
                })
            }
            Self::NoServer { last, .. } => last.hint(),
            other => other.code().map(ErrorCode::hint).filter(|h| !h.is_empty()),
        }
    }

    /// Whether the same may well succeed a little later: the connection or the server is gone, or the
    /// cluster has no leader at the moment. What the cluster refuses, it refuses again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        crate::retry::is_lost(self)
    }

    /// Whether another server may well answer.
    pub(crate) const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect { .. })
    }

    pub(crate) fn answer(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Answer { source: source.into() }
    }
}

impl From<tonic::Status> for Error {
    /// A status with our own error details is an answer of the cluster; any other one is the
    /// transport's.
    fn from(status: tonic::Status) -> Self {
        if status.get_details_error_info().is_some_and(|info| info.domain == DOMAIN) {
            return Self::Api(ApiError::from(status));
        }
        match status.code() {
            tonic::Code::Unimplemented => Self::Api(ApiError::new(
                ErrorCode::VersionMismatch,
                "the server does not know this call; it runs another version",
            )),
            _ => Self::Transport { status: Box::new(status) },
        }
    }
}
