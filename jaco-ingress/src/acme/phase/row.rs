//! The replicated row of one domain.

use std::{fmt, str::FromStr, time::Duration};

use jaco_api::model::Timestamp;

use super::step::ORDER_TIME;

/// An order in progress: what another issuer needs to go on with it.
#[derive(Clone, PartialEq, Eq)]
pub struct OrderRef {
    /// The directory of the CA at which it was placed.
    pub directory: String,
    /// Its address there.
    pub url: String,
    /// The private key of the certificate to be, sealed by whoever replicates this; opaque here.
    pub sealed_key: Vec<u8>,
}

impl fmt::Debug for OrderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("OrderRef");
        out.field("directory", &self.directory).field("url", &self.url).finish_non_exhaustive()
    }
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

impl Validity {
    pub(super) fn life(self) -> Duration {
        self.not_after.since(self.not_before)
    }
}

/// When the CA would like a certificate to be renewed (ARI, RFC 9773).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From when.
    pub start: Timestamp,
    /// Until when.
    pub end: Timestamp,
}

/// An attempt to obtain a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// A dry run, whose certificate is thrown away.
    Staging,
    /// The first certificate that is served.
    Promoting,
    /// Its successor.
    Renewing,
}

impl Attempt {
    /// Its name, which is that of its phase.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Phase::from(self).as_str()
    }
}

impl FromStr for Attempt {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, UnknownPhase> {
        let phase: Phase = text.parse()?;
        phase.attempt().ok_or_else(|| UnknownPhase(text.to_owned()))
    }
}

/// A text that names no phase or attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no phase of a certificate")]
pub struct UnknownPhase(pub String);

/// Where a domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was tried yet.
    Pending,
    /// A dry run is being made.
    Staging,
    /// The first certificate is being obtained.
    Promoting,
    /// There is a certificate, and its renewal is not due.
    Issued,
    /// The next certificate is being obtained.
    Renewing,
    /// The last attempt failed; the next one begins at the deadline.
    Failed,
}

impl Phase {
    /// Its name, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Staging => "staging",
            Self::Promoting => "promoting",
            Self::Issued => "issued",
            Self::Renewing => "renewing",
            Self::Failed => "failed",
        }
    }

    /// The attempt that is being made.
    #[must_use]
    pub fn attempt(self) -> Option<Attempt> {
        match self {
            Self::Staging => Some(Attempt::Staging),
            Self::Promoting => Some(Attempt::Promoting),
            Self::Renewing => Some(Attempt::Renewing),
            Self::Pending | Self::Issued | Self::Failed => None,
        }
    }
}

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, UnknownPhase> {
        use Phase::{Failed, Issued, Pending, Promoting, Renewing, Staging};
        let all = [Pending, Staging, Promoting, Issued, Renewing, Failed];
        let found = all.into_iter().find(|phase| phase.as_str() == text);
        found.ok_or_else(|| UnknownPhase(text.to_owned()))
    }
}

impl From<Attempt> for Phase {
    fn from(attempt: Attempt) -> Self {
        match attempt {
            Attempt::Staging => Self::Staging,
            Attempt::Promoting => Self::Promoting,
            Attempt::Renewing => Self::Renewing,
        }
    }
}

/// All that is replicated about obtaining the certificate of one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it is.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// When the phase ends by itself: an attempt fails, a renewal is due, a failed attempt is repeated.
    pub deadline: Timestamp,
    /// How many attempts have begun. It names the attempt being made, so that news of another one is known as old.
    pub attempt: u32,
    /// Failures since the last certificate.
    pub failures: u32,
    /// What is repeated at the deadline of a failure.
    pub retry: Option<Attempt>,
    /// The order in progress.
    pub order: Option<OrderRef>,
    /// The CA's wish for the renewal of the present certificate, once it was heard.
    pub window: Option<Window>,
    /// Why the last attempt failed; gone with the next certificate.
    pub reason: Option<String>,
}

impl Row {
    /// The row of a domain that is new.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            phase: Phase::Pending,
            since: now,
            deadline: now,
            attempt: 0,
            failures: 0,
            retry: None,
            order: None,
            window: None,
            reason: None,
        }
    }

    /// With an order that was placed in this attempt. None when that attempt is over or has an order
    /// already: then this order must not be finished, for another one may be.
    #[must_use]
    pub fn placed(&self, attempt: u32, order: OrderRef) -> Option<Self> {
        let open =
            self.phase.attempt().is_some() && self.attempt == attempt && self.order.is_none();
        open.then(|| Self { order: Some(order), ..self.clone() })
    }

    /// Without the wait for the next attempt, because somebody asks for it. None while an attempt is made.
    #[must_use]
    pub fn hurried(&self, now: Timestamp) -> Option<Self> {
        match self.phase {
            Phase::Failed if self.deadline > now => Some(Self { deadline: now, ..self.clone() }),
            Phase::Issued => Some(Self {
                phase: Phase::Renewing,
                since: now,
                deadline: now.after(ORDER_TIME),
                attempt: self.attempt.wrapping_add(1),
                ..self.clone()
            }),
            _ => None,
        }
    }
}
