//! Connections to replicas, and requests that are sent over them.

use std::{
    future::poll_fn,
    io,
    os::fd::AsFd as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use http::{Method, Response};
use rustix::net::{RecvFlags, recv};
use tokio::net::{
    TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::io::poll_read_buf;

use super::{
    Answer, Fault,
    memory::Memory,
    request::Request,
    response::{self, Head, LONGEST},
    upload::Upload,
};
use crate::proxy::body::RequestBody;

/// How much is read at once: at first, and when that is always there.
const ROOM: (usize, usize) = (16 * 1024, 128 * 1024);

/// A connection that takes one request after the other. It is boxed: it goes through many hands.
#[derive(Debug)]
pub(crate) struct Connection {
    read: OwnedReadHalf,
    /// Away while a request is being written.
    write: Option<OwnedWriteHalf>,
    /// What was read and is not used yet.
    pub(super) buffer: BytesMut,
    room: usize,
    memory: Memory,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Box<Self> {
        let (read, write) = stream.into_split();
        Box::new(Self {
            read,
            write: Some(write),
            buffer: BytesMut::new(),
            room: ROOM.0,
            memory: Memory::default(),
        })
    }

    /// Whether the replica has not closed it, as far as this process was told.
    pub(crate) fn is_open(&self) -> bool {
        // What comes before it was asked for is no answer.
        blocks(self.read.try_read(&mut [0]))
    }

    /// The same as the kernel knows it now.
    pub(crate) fn is_open_now(&self) -> bool {
        let stream: &TcpStream = self.read.as_ref();
        let seen = recv(stream.as_fd(), &mut [0_u8], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        blocks(seen.map(|(length, _)| length).map_err(Into::into))
    }

    /// Makes it ready for the next request. `None`: it cannot take one.
    pub(super) fn rested(mut self: Box<Self>) -> Option<Box<Self>> {
        if self.write.is_none() || !self.buffer.is_empty() {
            return None;
        }
        self.room = ROOM.0;
        if self.buffer.capacity() > ROOM.0 {
            self.buffer = BytesMut::new();
        }
        Some(self)
    }

    /// Gives memory back while nothing is asked.
    pub(crate) fn forget(&mut self) {
        self.buffer = BytesMut::new();
        self.memory = Memory::default();
    }

    /// The connection itself, with what was read of it.
    pub(super) fn into_parts(self) -> Option<(TcpStream, BytesMut)> {
        let stream = self.read.reunite(self.write?).ok()?;
        Some((stream, self.buffer))
    }

    /// Reads more. Zero: the replica has closed it.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = self.read.as_ref();
        // While nothing is there no room is needed.
        ready!(stream.poll_read_ready(cx))?;
        self.buffer.reserve(self.room);
        let room = self.buffer.capacity() - self.buffer.len();
        let length = ready!(poll_read_buf(Pin::new(&mut self.read), cx, &mut self.buffer))?;
        if length == room {
            self.room = (2 * self.room).min(ROOM.1);
        }
        Poll::Ready(Ok(length))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, method: &Method) -> Poll<Result<Head, Fault>> {
        loop {
            let length = ready!(self.poll_more(cx))?;
            if length == 0 {
                return Poll::Ready(Err(Fault::Closed));
            }
            // Only a line more can make it whole: one that comes byte by byte is not read again for each.
            let new = self.buffer.len() - length;
            if self.buffer.len() <= LONGEST && !self.buffer[new..].contains(&b'\n') {
                continue;
            }
            while let Some(head) = response::read(&mut self.buffer, method, &mut self.memory)? {
                if !head.is_interim() {
                    return Poll::Ready(Ok(head));
                }
            }
        }
    }
}

fn blocks(read: io::Result<usize>) -> bool {
    read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(crate) response: Response<Answer>,
    /// What the answer has overtaken.
    pub(crate) upload: Option<Upload>,
}

/// An exchange without an answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// Nothing at all was sent, and the body is where it was.
    pub(crate) unsent: bool,
    pub(crate) fault: Fault,
}

/// Sends a request and waits for the head of its answer. The headers are taken once there is one. `body` is taken, unless
/// nothing was sent.
pub(crate) async fn exchange(
    mut connection: Box<Connection>,
    request: Request<'_>,
    body: &mut RequestBody,
) -> Result<Exchanged, Unanswered> {
    let Some(write) = connection.write.take() else {
        return Err(Unanswered { unsent: true, fault: Fault::Closed });
    };
    let mut upload = Upload::new(write, &request, std::mem::replace(body, RequestBody::EMPTY));
    // A replica may say no, and close, before it has read everything.
    let mut broken = None;
    let answered = poll_fn(|cx| {
        if !upload.is_done()
            && broken.is_none()
            && let Poll::Ready(Err(fault)) = upload.poll(cx)
        {
            match fault {
                Fault::Connection(_) if upload.has_begun() => broken = Some(fault),
                fault => return Poll::Ready(Err(fault)),
            }
        }
        connection.poll_head(cx, request.method)
    })
    .await;
    let head = match answered {
        Ok(head) => head,
        Err(fault) => {
            let unsent = upload.unsent();
            let is_unsent = unsent.is_some();
            *body = unsent.unwrap_or(RequestBody::EMPTY);
            return Err(Unanswered { unsent: is_unsent, fault: broken.unwrap_or(fault) });
        }
    };
    let upload = match upload.is_done() {
        true => {
            connection.write = Some(upload.into_write());
            None
        }
        false => broken.is_none().then_some(upload),
    };
    connection.memory.keep_map(std::mem::take(request.headers));
    let mut response = Response::new(Answer::new(connection, head.body, head.keep));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    if let Some(reason) = head.reason {
        response.extensions_mut().insert(reason);
    }
    Ok(Exchanged { response, upload })
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_waits_has_no_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).await;
        let mut connection = Connection::new(stream.expect("connected"));
        let mut replica = listener.accept().await.expect("accepted").0;
        let waits = poll_fn(|cx| Poll::Ready(connection.poll_more(cx).is_pending())).await;
        assert!(waits && connection.buffer.capacity() == 0);
        replica.write_all(b"HTTP").await.expect("written");
        assert_eq!(poll_fn(|cx| connection.poll_more(cx)).await.expect("read"), 4);
    }
}
