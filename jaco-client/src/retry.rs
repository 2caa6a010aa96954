//! When a failed call is made again.

use std::time::Duration;

use jaco_api::error::ErrorCode;

use crate::Error;

/// Whether sending a request twice does harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It reads, or carries a request id: the second one has no further effect.
    Harmless,
    /// It may take effect twice: only repeated when it was surely not carried out.
    Harmful,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try the next server at once.
    OtherServer,
    /// Wait for an election, then try again.
    Wait,
    /// Report it.
    GiveUp,
}

pub(crate) fn after(error: &Error, repeat: Repeat) -> Next {
    match error {
        Error::Api(e) if e.code == ErrorCode::NoLeader => Next::Wait,
        e if e.is_unreachable() => Next::OtherServer,
        Error::Transport { status } if status.code() == tonic::Code::Unavailable => match repeat {
            Repeat::Harmless => Next::OtherServer,
            Repeat::Harmful => Next::GiveUp,
        },
        _ => Next::GiveUp,
    }
}

/// Whether a stream that ended so can be opened again.
pub(crate) fn is_lost(error: &Error) -> bool {
    use tonic::Code::{Aborted, Cancelled, Internal, Unavailable, Unknown};
    match error {
        Error::Transport { status } => {
            matches!(status.code(), Aborted | Cancelled | Internal | Unavailable | Unknown)
        }
        Error::NoServer { .. } => true,
        other => after(other, Repeat::Harmless) != Next::GiveUp,
    }
}

/// Pause before attempt `n` (from 0): 100 ms doubling to 1 s.
pub(crate) fn pause(n: u32) -> Duration {
    Duration::from_millis(100 * (1 << n.min(4))).min(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use jaco_api::error::ApiError;

    use super::*;

    #[test]
    fn only_what_cannot_take_effect_twice_is_sent_again() {
        let lost = || Error::Transport { status: Box::new(tonic::Status::unavailable("gone")) };
        assert_eq!(after(&lost(), Repeat::Harmless), Next::OtherServer);
        assert_eq!(after(&lost(), Repeat::Harmful), Next::GiveUp);
        let election = Error::Api(ApiError::new(ErrorCode::NoLeader, "no leader"));
        assert_eq!(after(&election, Repeat::Harmful), Next::Wait);
        let refused = Error::Api(ApiError::new(ErrorCode::Conflict, "changed"));
        assert_eq!(after(&refused, Repeat::Harmless), Next::GiveUp);
    }

    #[test]
    fn a_stream_goes_on_after_a_loss_and_not_after_a_refusal() {
        let broken = |status| Error::Transport { status: Box::new(status) };
        assert!(is_lost(&broken(tonic::Status::unknown("connection reset"))));
        assert!(is_lost(&Error::Api(ApiError::new(ErrorCode::NoLeader, "shutting down"))));
        assert!(!is_lost(&broken(tonic::Status::out_of_range("message too large"))));
        assert!(!is_lost(&Error::Api(ApiError::new(ErrorCode::DeploymentNotFound, "gone"))));
    }

    #[test]
    fn pauses_grow_to_one_second() {
        let all: Vec<_> = (0..7).map(|n| pause(n).as_millis()).collect();
        assert_eq!(all, [100, 200, 400, 800, 1000, 1000, 1000]);
    }
}
