//! A view that stays up to date, across broken streams and elections.

use std::ops::ControlFlow;

use futures::TryStreamExt as _;
use tokio::time::Instant;

use crate::{Client, Error, StatusQuery, StatusView, retry};

impl Client {
    /// Shows `on_view` every consistent view until it breaks. A stream that ends is opened anew,
    /// on the next server when this one is gone.
    ///
    /// # Errors
    /// When the cluster stays out of reach for longer than calls are repeated.
    pub async fn follow<T>(
        &self,
        query: &StatusQuery,
        mut on_view: impl FnMut(&StatusView) -> ControlFlow<T> + Send,
    ) -> Result<T, Error> {
        let mut view = StatusView::default();
        let mut outage: Option<(Instant, u32)> = None;
        loop {
            let error = match self.follow_once(query, &mut view, &mut outage, &mut on_view).await {
                Ok(ControlFlow::Break(value)) => return Ok(value),
                Ok(ControlFlow::Continue(())) => Error::Transport {
                    status: Box::new(tonic::Status::unavailable("the stream ended")),
                },
                Err(e) => e,
            };
            // The first stream's failure is news; later ones are an outage to be sat out.
            if !view.is_synced() || !retry::is_lost(&error) {
                return Err(error);
            }
            let (since, attempt) = outage.unwrap_or_else(|| (Instant::now(), 0));
            if since.elapsed() > self.inner.retry_for {
                return Err(error);
            }
            outage = Some((since, attempt + 1));
            self.inner.hang_up().await;
            tokio::time::sleep(retry::pause(attempt)).await;
            view.restart();
        }
    }

    async fn follow_once<T>(
        &self,
        query: &StatusQuery,
        view: &mut StatusView,
        outage: &mut Option<(Instant, u32)>,
        on_view: &mut (impl FnMut(&StatusView) -> ControlFlow<T> + Send),
    ) -> Result<ControlFlow<T>, Error> {
        let mut batches = self.watch(query).await?;
        while let Some(batch) = batches.try_next().await? {
            if !view.apply(batch) {
                continue;
            }
            *outage = None;
            if let ControlFlow::Break(value) = on_view(view) {
                return Ok(ControlFlow::Break(value));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
