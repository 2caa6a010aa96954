//! Hears from the kernel when somebody changes the table.
//!
//! A wake carries nothing. Subscribes over netlink, in the namespace of the thread that subscribes;
//! never asks and never changes anything. When notifications were lost, that is a wake too.

use std::{
    future::poll_fn,
    io,
    sync::{Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use netlink_sys::{AsyncSocket, SocketAddr, TokioSocket, protocols::NETLINK_NETFILTER};
use tokio::{sync::watch, task::AbortHandle};

use super::netlink;

/// `NFNLGRP_NFTABLES`, the seventh group, as a bit.
const NFTABLES: u32 = 1 << 6;
/// What one datagram may be; one that is cut off counts as one that concerns us.
const LONGEST: usize = 64 << 10;
/// The pause before a lost subscription is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// Wakes whoever subscribed when the table of this name may have changed.
#[derive(Debug)]
pub(super) struct Notifications {
    table: &'static str,
    changed: watch::Sender<u64>,
    listener: Mutex<Option<AbortHandle>>,
}

impl Notifications {
    pub(super) fn new(table: &'static str) -> Self {
        Self { table, changed: watch::Sender::new(0), listener: Mutex::new(None) }
    }

    /// Everything that changes from now on wakes the receiver.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = listener.as_ref().is_none_or(AbortHandle::is_finished);
        if gone {
            // Opened here and not by the task: what happens after this call is heard.
            let socket = subscribed();
            let task = listen(socket, self.table, self.changed.clone());
            *listener = Some(tokio::spawn(task).abort_handle());
        }
        self.changed.subscribe()
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = listener.take() {
            task.abort();
        }
    }
}

fn subscribed() -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(NETLINK_NETFILTER)?;
    socket.socket_mut().bind(&SocketAddr::new(0, NFTABLES))?;
    Ok(socket)
}

async fn listen(
    mut socket: io::Result<TokioSocket>,
    table: &'static str,
    changed: watch::Sender<u64>,
) {
    loop {
        match &socket {
            Ok(socket) => hear(socket, table, &changed).await,
            Err(error) => {
                tracing::warn!(%error, "changes of the firewall cannot be heard; looking each second");
                tokio::time::sleep(PAUSE).await;
            }
        }
        socket = subscribed();
        // Only now: what happens after the look that this causes is heard.
        changed.send_modify(|n| *n += 1);
    }
}

/// Wakes at every burst of notifications, until the socket is lost or overrun.
async fn hear(socket: &TokioSocket, table: &str, changed: &watch::Sender<u64>) {
    let mut datagram = Vec::with_capacity(LONGEST);
    loop {
        let (mut heard, mut concerned) = (false, false);
        let burst = poll_fn(|context| {
            loop {
                datagram.clear();
                match socket.poll_recv(context, &mut datagram) {
                    Poll::Ready(Ok(())) => concerned |= concerns(&datagram, table),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if heard => return Poll::Ready(Ok(())),
                    Poll::Pending => return Poll::Pending,
                }
                heard = true;
            }
        });
        let burst = burst.await;
        if let Err(error) = burst {
            tracing::debug!(%error, "notifications of the firewall were lost");
            return;
        }
        if concerned {
            changed.send_modify(|n| *n += 1);
        }
    }
}

/// Whether a datagram of notifications says anything about this table. What cannot be read does.
///
/// Attribute 1 of every message about a table, or about something in one, is the name of the table.
fn concerns(bytes: &[u8], table: &str) -> bool {
    /// `NFT_MSG_NEWGEN` of the subsystem of nf_tables: ends every transaction, and is about none.
    const NEW_GENERATION: u16 = 10 << 8 | 15;
    let mut of_ours = netlink::messages(bytes).map(|message| {
        let Some(message) = message else { return true };
        if message.kind == NEW_GENERATION {
            return false;
        }
        let name = message.attributes().and_then(|all| netlink::attribute(all, 1));
        let name = name.and_then(|name| name.strip_suffix(&[0]));
        name.is_none_or(|name| name == table.as_bytes())
    });
    of_ours.any(|ours| ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        netlink::written(kind, value)
    }

    fn message(kind: u16, attributes: &[u8]) -> Vec<u8> {
        netlink::message(10 << 8 | kind, 0, 1, attributes)
    }

    #[test]
    fn only_messages_about_the_table_concern_it() {
        let ours = message(6, &[attribute(3, b"x\0"), attribute(1, b"jaco\0")].concat());
        let theirs = message(6, &attribute(1, b"filter\0"));
        let longer = message(6, &attribute(1, b"jaco_reference\0"));
        let generation = message(15, &attribute(1, &[0, 0, 0, 9]));
        assert!(concerns(&ours, "jaco"));
        assert!(!concerns(&theirs, "jaco"));
        assert!(!concerns(&longer, "jaco"));
        assert!(!concerns(&generation, "jaco"));
        assert!(concerns(&[theirs.clone(), generation, ours].concat(), "jaco"));
    }

    #[test]
    fn what_cannot_be_read_may_concern_us() {
        let theirs = message(6, &attribute(1, b"filter\0"));
        for end in 1..theirs.len() {
            assert!(concerns(&theirs[..end], "jaco"), "cut after {end} bytes");
        }
        assert!(concerns(&message(6, &[]), "jaco"), "without a name");
        assert!(concerns(&[0; 64], "jaco"), "of no length");
    }
}
