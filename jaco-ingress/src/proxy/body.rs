//! Bodies on their way through: nothing is held back, and each is told where it ends.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

/// Why a body of a request did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("the body of the request is larger than it may be")]
    TooLarge,
    #[error("the client stopped sending the body of its request")]
    TooSlow,
    #[error("the client went away or sent a broken body")]
    Broken,
}

/// How far the body of a request is; shared with who waits for the answer.
#[derive(Debug)]
pub(crate) struct Progress {
    /// What [`Progress::fault`] reads; nothing is wrong at zero.
    state: AtomicU8,
    since: Instant,
    /// Milliseconds from `since` to the last byte.
    last: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self { state: AtomicU8::new(0), since: Instant::now(), last: AtomicU64::new(0) }
    }

    /// When something of it came last.
    pub(crate) fn last(&self) -> Instant {
        self.since + Duration::from_millis(self.last.load(Relaxed))
    }

    pub(crate) fn fault(&self) -> Option<BodyFault> {
        match self.state.load(Relaxed) {
            1 => Some(BodyFault::TooLarge),
            2 => Some(BodyFault::TooSlow),
            3 => Some(BodyFault::Broken),
            _ => None,
        }
    }

    fn fail(&self, fault: BodyFault) -> BodyFault {
        let state = match fault {
            BodyFault::TooLarge => 1,
            BodyFault::TooSlow => 2,
            BodyFault::Broken => 3,
        };
        self.state.store(state, Relaxed);
        fault
    }

    fn moved(&self) {
        let last = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(last, Relaxed);
    }
}

/// The body of a request as the upstream gets it.
pub(crate) struct RequestBody(Option<Box<Sending>>);

struct Sending {
    incoming: Incoming,
    progress: Arc<Progress>,
    left: u64,
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestBody").field(&self.0.is_some()).finish()
    }
}

impl RequestBody {
    pub(crate) const EMPTY: Self = Self(None);

    /// Hands on `incoming`, at most `most` bytes, and gives up when nothing comes for `patience`.
    pub(crate) fn new(incoming: Incoming, most: Option<u64>, patience: Duration) -> Self {
        if incoming.is_end_stream() {
            return Self::EMPTY;
        }
        let progress = Arc::new(Progress::new());
        let left = most.unwrap_or(u64::MAX);
        Self(Some(Box::new(Sending { incoming, progress, left, patience, timer: None })))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// `None` if there is no body.
    pub(crate) fn progress(&self) -> Option<Arc<Progress>> {
        self.0.as_ref().map(|sending| Arc::clone(&sending.progress))
    }
}

impl Sending {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            let patience = self.patience;
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Some(Err(self.progress.fail(BodyFault::TooSlow))));
        };
        self.timer = None;
        Poll::Ready(match frame {
            None => {
                self.progress.moved();
                None
            }
            Some(Err(_)) => Some(Err(self.progress.fail(BodyFault::Broken))),
            Some(Ok(frame)) => {
                self.progress.moved();
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.left.checked_sub(length) {
                    None => return Poll::Ready(Some(Err(self.progress.fail(BodyFault::TooLarge)))),
                    Some(left) => self.left = left,
                }
                Some(Ok(frame))
            }
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |sending| sending.poll(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|sending| sending.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |sending| sending.incoming.size_hint())
    }
}
