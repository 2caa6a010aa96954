//! Streams that are opened again where they broke off, on the next server when this one is gone.

use std::time::Duration;

use futures::{
    Stream, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::time::Instant;

use crate::{Client, Error, Notice, retry};

/// A stream that held for so long was fine, though nothing came: its end begins a new outage.
const HELD: Duration = Duration::from_secs(5);

/// What a stream is opened with, and how far it was read.
pub(crate) trait Cursor: Send + 'static {
    /// What it yields.
    type Item: Send + 'static;
    /// Opens the stream behind what was read.
    fn open(&self, client: Client) -> BoxFuture<'static, Result<Opened<Self::Item>, Error>>;
    /// Notes what was read.
    fn note(&mut self, item: &Self::Item);
}

/// An open stream.
pub(crate) type Opened<T> = BoxStream<'static, Result<T, Error>>;

struct Reading<C: Cursor> {
    client: Client,
    cursor: C,
    stream: Option<Opened<C::Item>>,
    opened: Instant,
    /// Since when the stream is broken, and how often it was tried to open it again.
    outage: Option<(Instant, u32)>,
}

/// The items of a stream, across broken connections and servers that end. It ends when the cluster
/// ends it, or with the error that is in the way for longer than calls are repeated.
///
/// # Errors
/// When the first stream cannot be opened.
pub(crate) async fn again<C: Cursor>(
    client: Client,
    cursor: C,
) -> Result<impl Stream<Item = Result<C::Item, Error>> + Send + Unpin, Error> {
    let first = cursor.open(client.clone()).await?;
    let opened = Instant::now();
    let reading = Reading { client, cursor, stream: Some(first), opened, outage: None };
    Ok(stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.next().await? {
            Ok(item) => Some((Ok(item), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed())
}

impl<C: Cursor> Reading<C> {
    async fn next(&mut self) -> Option<Result<C::Item, Error>> {
        loop {
            let error = match &mut self.stream {
                Some(stream) => match stream.next().await? {
                    Ok(item) => {
                        self.cursor.note(&item);
                        self.outage = None;
                        return Some(Ok(item));
                    }
                    Err(error) => error,
                },
                None => match self.cursor.open(self.client.clone()).await {
                    Ok(stream) => {
                        self.stream = Some(stream);
                        self.opened = Instant::now();
                        continue;
                    }
                    Err(error) => error,
                },
            };
            if let Err(error) = self.recover(error).await {
                return Some(Err(error));
            }
        }
    }

    /// Pauses before the stream is opened again, or gives up.
    async fn recover(&mut self, error: Error) -> Result<(), Error> {
        let inner = &self.client.inner;
        if self.stream.take().is_some() && self.opened.elapsed() > HELD {
            self.outage = None;
        }
        let (since, attempt) = self.outage.unwrap_or_else(|| (Instant::now(), 0));
        if !retry::is_lost(&error) || since.elapsed() > inner.retry_for {
            return Err(error);
        }
        tracing::debug!(%error, attempt, "a stream broke off");
        if attempt == 0 {
            inner.notify(Notice::StreamLost);
        }
        self.outage = Some((since, attempt + 1));
        inner.hang_up().await;
        tokio::time::sleep(retry::pause(attempt)).await;
        Ok(())
    }
}
