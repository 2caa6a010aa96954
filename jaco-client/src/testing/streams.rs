//! Streams of the fake that go on with what is still to come.

use futures::{StreamExt as _, stream};
use jaco_api::pb::{LogBatch, LogPosition};
use tokio_stream::wrappers::WatchStream;
use tonic::{Response, Status};

use super::{FakeCluster, Tables, services::Rows};

impl FakeCluster {
    /// What `fresh` finds, given the last item that was told. A stream that follows, of a cluster
    /// whose streams stay, goes on with every edit until it is cut: then it breaks.
    pub(super) fn following<T: Clone + Default + Send + 'static>(
        &self,
        follow: bool,
        mut fresh: impl FnMut(&Tables, &T) -> Vec<T> + Send + 'static,
    ) -> Response<Rows<T>> {
        let (fake, mut last) = (self.clone(), T::default());
        let (cut, stays) = self.read(|t| (t.cut, t.stays && follow));
        let mut news = move |fake: &FakeCluster| {
            let new = fake.read(|t| fresh(t, &last));
            last = new.last().cloned().unwrap_or_else(|| last.clone());
            new
        };
        if !stays {
            return Response::new(stream::iter(news(&fake)).map(Ok).boxed());
        }
        let wakes = WatchStream::new(self.version.subscribe());
        let items = wakes.flat_map(move |_| {
            let broken = fake.read(|t| t.cut != cut);
            let items = if broken {
                vec![Err(Status::unavailable("cut"))]
            } else {
                news(&fake).into_iter().map(Ok).collect()
            };
            stream::iter(items)
        });
        // Nothing comes after the break.
        let mut over = false;
        let until_broken = items.take_while(move |item| {
            let goes_on = !over;
            over |= item.is_err();
            std::future::ready(goes_on)
        });
        Response::new(until_broken.boxed())
    }
}

/// The lines of a batch behind what was read; what is left to be skipped is counted down.
pub(super) fn unread(batch: &LogBatch, read: &mut [LogPosition]) -> LogBatch {
    let mut batch = batch.clone();
    for position in read {
        batch.lines.retain(|line| {
            if line.replica != position.replica || line.generation > position.generation {
                return true;
            }
            if line.at == position.at && position.lines > 0 {
                position.lines -= 1;
                return false;
            }
            line.at >= position.at
        });
    }
    batch
}
