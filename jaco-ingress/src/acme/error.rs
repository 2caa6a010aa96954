//! What can go wrong between us and a CA, in the CA's own words.

use std::time::Duration;

use instant_acme::Problem;

use super::{
    http::{HttpError, Said},
    phase::{Failure, FailureKind},
};
use crate::tls::CertificateProblem;

/// Something that somebody else said, as it is.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a CA gave no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// The CA said no.
    #[error("cannot {operation}: {detail} ({kind})")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// The type of the problem, a URN.
        kind: String,
        /// What the CA says about it.
        detail: String,
        /// The status of the answer, if the problem was one.
        status: Option<u16>,
        /// How long the CA wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The CA answered with something that is not ACME.
    #[error("cannot {operation}: the CA's answer makes no sense{}", said(.answer))]
    Garbage {
        /// What was tried.
        operation: &'static str,
        /// Status and text of the answer, if it was an error.
        answer: Option<Said>,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// The CA could not be reached.
    #[error("cannot {operation}: the CA cannot be reached")]
    Unreachable {
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The CA did not answer in time, or did not get done.
    #[error("cannot {operation}: the CA took too long")]
    TimedOut {
        /// What was tried.
        operation: &'static str,
    },
    /// The CA does not take the way that was chosen.
    #[error("the CA offers no {wanted} challenge for {name}, but {}", offered.join(", "))]
    NoChallenge {
        /// The name that is checked.
        name: String,
        /// The way that was chosen.
        wanted: &'static str,
        /// Those that there are.
        offered: Vec<String>,
    },
    /// The CA gave a certificate that cannot be served.
    #[error("the CA gave a certificate that cannot be served")]
    Unusable(#[source] CertificateProblem),
    /// The order could not be kept or the challenge not be published; the CA was not told.
    #[error("cannot {operation}")]
    Publish {
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
    /// What we brought along is no good: credentials, keys, roots, a contact.
    #[error("{what} cannot be used")]
    Input {
        /// Which of them.
        what: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
}

fn said(answer: &Option<Said>) -> String {
    answer.as_ref().map(|s| format!(" (status {}: {})", s.status, s.text)).unwrap_or_default()
}

const URN: &str = "urn:ietf:params:acme:error:";

impl AcmeError {
    /// What the failure means for the domain.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let kind = match self {
            Self::Refused { kind, status, .. } => match kind.strip_prefix(URN).unwrap_or(kind) {
                "rateLimited" => FailureKind::RateLimited,
                "badNonce" | "serverInternal" => FailureKind::Unreachable,
                _ if *status == Some(429) => FailureKind::RateLimited,
                _ => FailureKind::Refused,
            },
            Self::Garbage { answer: Some(said), .. } if said.status == 429 => {
                FailureKind::RateLimited
            }
            Self::NoChallenge { .. } | Self::Unusable(_) => FailureKind::Refused,
            Self::Garbage { .. } | Self::Unreachable { .. } | Self::TimedOut { .. } => {
                FailureKind::Unreachable
            }
            Self::Publish { .. } | Self::Input { .. } => FailureKind::Local,
        };
        Failure { kind, reason: self.told(), retry_after: self.retry_after() }
    }

    /// Whether the CA does not know our account any more, so that another one is to be made.
    #[must_use]
    pub fn account_is_gone(&self) -> bool {
        matches!(self, Self::Refused { kind, .. } if kind.ends_with(":accountDoesNotExist"))
    }

    /// Whether the CA did nothing but hand out another nonce, so that the request is made again at once
    /// (RFC 8555, section 6.5).
    pub(super) fn is_bad_nonce(&self) -> bool {
        matches!(self, Self::Refused { kind, .. } if kind.strip_prefix(URN) == Some("badNonce"))
    }

    /// Whether the CA spoke of a rate limit.
    #[must_use]
    pub fn is_rate_limit(&self) -> bool {
        self.failure().kind == FailureKind::RateLimited
    }

    /// How long the CA wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Garbage { answer, .. } => answer.as_ref()?.retry_after,
            _ => None,
        }
    }

    /// The error with its causes, in one line.
    fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect()
    }

    pub(super) fn problem(
        operation: &'static str,
        problem: &Problem,
        retry_after: Option<Duration>,
    ) -> Self {
        let own = problem.detail.iter().cloned();
        let parts = problem
            .subproblems
            .iter()
            .map(|sub| sub.to_string().trim_start_matches(": ").to_owned());
        Self::Refused {
            operation,
            kind: problem.r#type.clone().unwrap_or_else(|| "about:blank".to_owned()),
            detail: own.chain(parts).collect::<Vec<_>>().join("; "),
            status: problem.status,
            retry_after,
        }
    }

    pub(super) fn library(
        operation: &'static str,
        error: instant_acme::Error,
        answer: Option<Said>,
    ) -> Self {
        match error {
            instant_acme::Error::Api(problem) => {
                Self::problem(operation, &problem, answer.and_then(|a| a.retry_after))
            }
            instant_acme::Error::Timeout(_) => Self::TimedOut { operation },
            instant_acme::Error::KeyRejected | instant_acme::Error::Crypto => {
                Self::Input { what: "the account's key", source: error.into() }
            }
            instant_acme::Error::Other(source) => match source.downcast::<HttpError>() {
                Ok(http) => match *http {
                    HttpError::TimedOut => Self::TimedOut { operation },
                    HttpError::Transport(_) => Self::Unreachable { operation, source: http },
                    HttpError::Body(_) => Self::Garbage { operation, answer, source: http },
                },
                Err(source) => Self::Garbage { operation, answer, source },
            },
            other => Self::Garbage { operation, answer, source: other.into() },
        }
    }
}
