//! The requests of one HTTP/2 connection, driven in the task of the connection.
//!
//! What several of them have to say then leaves in one write. In tasks of their own, each would wake the connection,
//! which would write for each.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use hyper::rt::Executor;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a connection puts what it has begun.
#[derive(Clone, Default)]
pub(super) struct Begun(Arc<Mutex<Vec<Stream>>>);

impl Begun {
    fn take(&self) -> Vec<Stream> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F> Executor<F> for Begun
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(stream));
    }
}

/// A connection with what it has begun. It ends when the connection does.
pub(super) struct WithStreams<C> {
    connection: Pin<Box<C>>,
    begun: Begun,
    under_way: FuturesUnordered<Stream>,
}

impl<C> WithStreams<C> {
    /// `begun` is what the connection was given as its executor.
    pub(super) fn new(connection: C, begun: Begun) -> Self {
        Self { connection: Box::pin(connection), begun, under_way: FuturesUnordered::new() }
    }

    pub(super) fn connection(&mut self) -> Pin<&mut C> {
        self.connection.as_mut()
    }
}

impl<C: Future> Future for WithStreams<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let this = &mut *self;
        loop {
            while let Poll::Ready(Some(())) = this.under_way.poll_next_unpin(cx) {}
            if let Poll::Ready(ended) = this.connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            let begun = this.begun.take();
            if begun.is_empty() {
                return Poll::Pending;
            }
            this.under_way.extend(begun);
        }
    }
}
