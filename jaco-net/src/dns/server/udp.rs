//! Datagrams.

use std::{io, sync::Arc};

use tokio::{net::UdpSocket, task::JoinSet};

use super::Post;
use crate::dns::{
    query::{QUERY_MOST, Transport},
    resolver::Step,
};

/// Answers datagrams until the socket breaks.
pub(super) async fn serve(socket: UdpSocket, post: Post) -> io::Error {
    let socket = Arc::new(socket);
    let mut packet = vec![0; QUERY_MOST];
    let mut reply = Vec::with_capacity(QUERY_MOST);
    let mut under_way = JoinSet::new();
    loop {
        let (length, from) = match socket.recv_from(&mut packet).await {
            Ok(received) => received,
            // What became of an answer we sent, not of the socket.
            Err(error) if about_a_peer(&error) => continue,
            Err(error) => return error,
        };
        let addresses = (post.at, from);
        let packet = &packet[..length];
        match post.resolver.step(packet, addresses, Transport::Udp, rand::random(), &mut reply) {
            Step::Ignore => continue,
            Step::Reply => {}
            Step::Ask(pending) => match Arc::clone(&post.room).try_acquire_owned() {
                Err(_) => post.resolver.put_off(&pending, &mut reply),
                Ok(permit) => {
                    let (socket, post) = (Arc::clone(&socket), post.clone());
                    under_way.spawn(async move {
                        let mut reply = Vec::new();
                        post.resolver.ask(*pending, &mut reply).await;
                        let _lost = socket.send_to(&reply, from).await;
                        drop(permit);
                    });
                    while under_way.try_join_next().is_some() {}
                    continue;
                }
            },
        }
        // A reply that cannot be sent is a reply that was lost: the client asks again.
        let _lost = socket.send_to(&reply, from).await;
    }
}

fn about_a_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | Interrupted | WouldBlock)
}
