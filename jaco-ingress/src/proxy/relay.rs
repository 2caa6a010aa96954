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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn silence_is_counted_from_the_last_byte_of_either_side() {
        let ((mut client, front), (back, mut server)) = (duplex(64), duplex(64));
        let began = Instant::now();
        let relaying = tokio::spawn(relay(front, back, IDLE));
        for n in 0..4 {
            tokio::time::sleep(Duration::from_secs(9)).await;
            let (from, to) =
                if n % 2 == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
            from.write_all(b"x").await.expect("open");
            assert_eq!(to.read_u8().await.expect("open"), b'x');
        }
        let ended = relaying.await.expect("no panic");
        assert_eq!(ended.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        assert_eq!(began.elapsed().as_secs(), 4 * 9 + 10);
    }
}
