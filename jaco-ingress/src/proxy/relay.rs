//! Bytes between two connections, both ways, with half-closes, until one is silent for too long.

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// One buffer for each direction.
const BUFFER: usize = 32 * 1024;

/// When something moved last, and how much in all.
#[derive(Debug)]
struct Activity {
    since: Instant,
    last: AtomicU64,
}

impl Activity {
    fn moved(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Relaxed);
    }

    fn last(&self) -> Instant {
        self.since + Duration::from_millis(self.last.load(Relaxed))
    }
}

struct Watched<S> {
    inner: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() {
            self.activity.moved();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        if written.is_ready() {
            self.activity.moved();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Hands on what each side sends until both have ended, one fails, or nothing moves for `idle`. How many bytes went
/// from `a` to `b`, and back.
///
/// # Errors
/// A side failed, or nothing moved.
pub(crate) async fn relay<A, B>(a: A, b: B, idle: Duration) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let activity = Arc::new(Activity { since: Instant::now(), last: AtomicU64::new(0) });
    let mut a = Watched { inner: a, activity: Arc::clone(&activity) };
    let mut b = Watched { inner: b, activity: Arc::clone(&activity) };
    let mut copy = pin!(tokio::io::copy_bidirectional_with_sizes(&mut a, &mut b, BUFFER, BUFFER));
    loop {
        let end = activity.last() + idle;
        tokio::select! {
            done = &mut copy => return done,
            () = tokio::time::sleep_until(end) => {
                if activity.last() + idle <= end {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
    }
}
