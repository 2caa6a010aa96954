//! An archive on its way: between threads that pack and unpack and the connection that carries it.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::mpsc,
};

use crate::output::Output;

/// Bytes of an archive in one piece.
pub(super) const PIECE: usize = 64 << 10;

/// An archive that comes in pieces, to be read by a thread of its own.
pub(super) struct Incoming {
    pub(super) receiver: mpsc::Receiver<io::Result<Bytes>>,
    pub(super) rest: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let n = self.rest.len().min(into.len());
        into[..n].copy_from_slice(&self.rest.split_to(n));
        Ok(n)
    }
}

/// An archive that goes out in pieces, written by a thread of its own.
pub(super) struct Outgoing {
    pub(super) sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What comes in at an input, in pieces.
pub(super) fn pieces_of(
    input: impl AsyncRead + Unpin + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold(input, |mut input| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        match input.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.freeze()), input)),
            Err(error) => Some((Err(error), input)),
        }
    })
}

/// How much has gone through, on terminals.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(out: &Output) -> Self {
        if !out.draws {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{spinner} {bytes} {bytes_per_sec}");
        let bar = ProgressBar::new_spinner();
        Self(style.map_or(bar.clone(), |style| bar.with_style(style)))
    }
    pub(super) fn counter(&self) -> ProgressBar {
        self.0.clone()
    }
    pub(super) fn add(&self, bytes: usize) {
        self.0.inc(bytes as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
