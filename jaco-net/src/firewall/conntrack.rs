//! Makes the kernel forget tracked connections that lead to replicas which are gone.
//!
//! Speaks netlink, in the namespace of the thread that calls, with a bound on its time. Decides
//! nothing: which connections those are comes from `tracked`.

use std::{io, time::Duration};

use netlink_sys::{
    AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols::NETLINK_NETFILTER,
};

use super::{
    Ruleset,
    netlink::{messages, number},
    tracked::{self, Tracked},
};

/// The longest that all of it may take; a million connections are listed in a second.
const BOUND: Duration = Duration::from_secs(20);
/// `NLMSG_ERROR`, which is an acknowledgement too, and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Forgets whatever `held` made go where `wanted` does not lead; how many connections that were.
/// With `translated` only those are looked at that the kernel translated.
pub(super) async fn forget(
    held: &Ruleset,
    wanted: &Ruleset,
    translated: bool,
) -> io::Result<usize> {
    let all = async {
        let mut socket = TokioSocket::new(NETLINK_NETFILTER)?;
        socket.socket_mut().bind_auto()?;
        let mut forgotten = 0;
        for one in list(&mut socket, held, wanted, translated).await? {
            forgotten += usize::from(tell(&mut socket, &one.forget()).await?);
        }
        Ok(forgotten)
    };
    tokio::time::timeout(BOUND, all).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The connections that are stale.
async fn list(
    socket: &mut TokioSocket,
    held: &Ruleset,
    wanted: &Ruleset,
    translated: bool,
) -> io::Result<Vec<Tracked>> {
    send(socket, &tracked::list(translated)).await?;
    let mut stale = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full().await?;
        for message in messages(&datagram) {
            let message = message.ok_or(io::ErrorKind::InvalidData)?;
            match message.kind {
                DONE => return Ok(stale),
                ERROR => outcome(message.body)?,
                _ => {
                    let tracked = Tracked::read(&message);
                    stale.extend(tracked.filter(|tracked| tracked.stale(held, wanted)));
                }
            }
        }
    }
}

/// Tells the kernel something; whether there was still something to do.
async fn tell(socket: &mut TokioSocket, what: &[u8]) -> io::Result<bool> {
    send(socket, what).await?;
    let (datagram, _) = socket.recv_from_full().await?;
    let answer = messages(&datagram).next().flatten().ok_or(io::ErrorKind::InvalidData)?;
    match outcome(answer.body) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    }
}

async fn send(socket: &mut TokioSocket, what: &[u8]) -> io::Result<()> {
    socket.send_to(what, &SocketAddr::new(0, 0)).await.map(|_| ())
}

/// What the body of an acknowledgement says: an error number, negated, or nothing.
fn outcome(body: &[u8]) -> io::Result<()> {
    let code = number(body, 0, 4).and_then(|code| u32::try_from(code).ok());
    match code.ok_or(io::ErrorKind::InvalidData)?.cast_signed() {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(-code)),
    }
}
