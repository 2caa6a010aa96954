//! Bytes between two connections, both ways, with half-closes, until one is silent for too long.

use std::{
    cell::Cell,
    future::{Future as _, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Most that is read at once.
const BUFFER: usize = 32 * 1024;

thread_local! {
    /// What this thread reads into. It is taken along only while a receiver does not take what was read: who is
    /// silent holds no memory, and what comes next is read into memory that is still in the cache.
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// One of the two ways.
#[derive(Debug, Default)]
struct Way {
    /// What was read and is not handed on yet.
    held: Option<Held>,
    /// How many bytes were handed on.
    moved: u64,
    /// Something was handed on, and may wait in a buffer of the receiver's end.
    unflushed: bool,
    /// The sender has ended.
    ended: bool,
    /// And the receiver knows.
    done: bool,
}

#[derive(Debug)]
struct Held {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Way {
    /// Hands on what comes. Ready when the sender has ended and the receiver knows.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut R>,
        mut to: Pin<&mut W>,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead,
        W: AsyncWrite,
    {
        while !self.ended {
            if self.held.is_none() {
                match next(cx, from.as_mut())? {
                    Poll::Ready(None) => self.ended = true,
                    Poll::Ready(held) => self.held = held,
                    Poll::Pending => {
                        if self.unflushed {
                            ready!(to.as_mut().poll_flush(cx))?;
                            self.unflushed = false;
                        }
                        return Poll::Pending;
                    }
                }
            }
            ready!(self.hand_on(cx, to.as_mut()))?;
        }
        if !self.done {
            ready!(to.poll_shutdown(cx))?;
            self.done = true;
        }
        Poll::Ready(Ok(()))
    }

    fn hand_on<W: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        while let Some(held) = &mut self.held {
            let length = ready!(to.as_mut().poll_write(cx, &held.buffer[held.start..held.end]))?;
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            held.start += length;
            self.moved += length as u64;
            self.unflushed = true;
            if held.start == held.end {
                SPARE.set(self.held.take().map(|held| held.buffer));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What a sender says next; `None` at its end.
fn next<R: AsyncRead>(cx: &mut Context<'_>, from: Pin<&mut R>) -> Poll<io::Result<Option<Held>>> {
    let mut buffer = SPARE.take().unwrap_or_else(|| vec![0; BUFFER].into());
    let mut into = ReadBuf::new(&mut buffer);
    let read = from.poll_read(cx, &mut into);
    let end = into.filled().len();
    if end > 0 && matches!(read, Poll::Ready(Ok(()))) {
        return Poll::Ready(Ok(Some(Held { buffer, start: 0, end })));
    }
    SPARE.set(Some(buffer));
    read.map_ok(|()| None)
}

/// Hands on what each side sends until both have ended, one fails, or nothing is handed on for `idle`. How many bytes
/// went from `a` to `b`, and back.
///
/// # Errors
/// A side failed, or nothing was handed on.
pub(crate) async fn relay<A, B>(mut a: A, mut b: B, idle: Duration) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut to, mut back) = (Way::default(), Way::default());
    let mut last = Instant::now();
    let mut silence = pin!(tokio::time::sleep_until(last + idle));
    poll_fn(|cx| {
        let before = (to.moved, to.ended, back.moved, back.ended);
        let there = to.poll(cx, Pin::new(&mut a), Pin::new(&mut b))?;
        let here = back.poll(cx, Pin::new(&mut b), Pin::new(&mut a))?;
        if there.is_ready() && here.is_ready() {
            return Poll::Ready(Ok((to.moved, back.moved)));
        }
        if before != (to.moved, to.ended, back.moved, back.ended) {
            last = Instant::now();
        }
        // It is moved only when it goes off too early.
        while silence.as_mut().poll(cx).is_ready() {
            if last + idle <= silence.deadline() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            silence.as_mut().reset(last + idle);
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream, duplex, split};

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

    #[tokio::test]
    async fn each_side_gets_all_that_the_other_sent_and_then_its_end() {
        // The ends have less room than is read at once, and one of them keeps what is not flushed.
        let ((client, front), (back, server)) = (duplex(1000), duplex(300));
        let relaying = tokio::spawn(relay(BufStream::new(front), back, IDLE));
        let text =
            |seed: u8| -> Vec<u8> { (0..300_000_u32).map(|n| (n % 251) as u8 ^ seed).collect() };
        let (asked, answered) = (text(0), text(1));
        let (mut from_client, mut to_server) = split(client);
        let (mut from_server, mut to_client) = split(server);
        let ask = async {
            to_server.write_all(&asked).await?;
            to_server.shutdown().await
        };
        let hear = async {
            let mut heard = Vec::new();
            from_server.read_to_end(&mut heard).await.map(|_| heard)
        };
        let ((), heard) =
            tokio::try_join!(ask, hear).expect("the client has ended, the server not");
        assert!(heard == asked);
        let answer = async {
            to_client.write_all(&answered).await?;
            to_client.shutdown().await
        };
        let get = async {
            let mut got = Vec::new();
            from_client.read_to_end(&mut got).await.map(|_| got)
        };
        let ((), got) = tokio::try_join!(answer, get).expect("open");
        assert!(got == answered);
        let moved = relaying.await.expect("no panic").expect("both have ended");
        assert_eq!(moved, (300_000, 300_000));
    }

    #[tokio::test]
    async fn only_who_waits_for_a_receiver_holds_a_buffer() {
        let ((mut client, mut front), (mut back, mut server)) = (duplex(64), duplex(2));
        let mut way = Way::default();
        let mut go = async |way: &mut Way| {
            poll_fn(|cx| {
                let ended = way.poll(cx, Pin::new(&mut front), Pin::new(&mut back));
                Poll::Ready(ended.is_ready())
            })
            .await
        };
        assert!(!go(&mut way).await && way.held.is_none());
        client.write_all(b"abc").await.expect("open");
        assert!(!go(&mut way).await && way.held.is_some());
        let mut three = [0; 3];
        server.read_exact(&mut three[..2]).await.expect("open");
        assert!(!go(&mut way).await && way.held.is_none());
        server.read_exact(&mut three[2..]).await.expect("open");
        assert_eq!(&three, b"abc");
        drop(client);
        assert!(go(&mut way).await);
        assert_eq!((way.moved, server.read(&mut three).await.expect("open")), (3, 0));
    }
}
