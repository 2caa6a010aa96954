//! Streams: several questions on each, answered as answers come.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
    task::{Id, JoinSet},
    time::timeout,
};

use super::Post;
use crate::dns::{
    query::{QUERY_MOST, Transport},
    resolver::Step,
};

/// How long a client may be silent, or take for one question, or for reading one answer (RFC 7766).
const IDLE: Duration = Duration::from_secs(10);
/// How many streams one bridge may have open, and one client.
const STREAMS: usize = 64;
const STREAMS_OF_ONE: usize = 16;
/// How many questions of one stream may be on their way to others; no more are read meanwhile.
const UNDER_WAY: usize = 16;
/// How long until streams are accepted again when they cannot be: then the process has no room.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers streams. What accepting reports is about a peer or about the process, so the socket stays.
pub(super) async fn serve(listener: TcpListener, post: Post) -> io::Error {
    let mut streams = JoinSet::new();
    let mut clients: HashMap<Id, IpAddr> = HashMap::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let client = from.ip();
                    let of_one = clients.values().filter(|other| **other == client).count();
                    let room = streams.len() < STREAMS && of_one < STREAMS_OF_ONE;
                    if room && post.resolver.serves(post.at, client) {
                        let post = post.clone();
                        let conversation = async move { converse(stream, from, &post).await };
                        clients.insert(streams.spawn(conversation).id(), client);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return error,
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(ended) = streams.join_next_with_id() => {
                clients.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
        }
    }
}

/// Answers the questions of one stream until the client has no more, or is too slow.
async fn converse(stream: TcpStream, from: SocketAddr, post: &Post) {
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(Mutex::new(writer));
    let mut under_way = JoinSet::new();
    let mut packet = vec![0; QUERY_MOST];
    let mut reply = Vec::new();
    while let Ok(Ok(length)) = timeout(IDLE, read(&mut reader, &mut packet)).await {
        let (packet, addresses) = (&packet[..length], (post.at, from));
        match post.resolver.step(packet, addresses, Transport::Tcp, rand::random(), &mut reply) {
            Step::Ignore => break,
            Step::Reply => {}
            Step::Ask(pending) => match Arc::clone(&post.room).try_acquire_owned() {
                Err(_) => post.resolver.put_off(&pending, &mut reply),
                Ok(permit) => {
                    if under_way.len() >= UNDER_WAY {
                        under_way.join_next().await;
                    }
                    while under_way.try_join_next().is_some() {}
                    let (writer, post) = (Arc::clone(&writer), post.clone());
                    under_way.spawn(async move {
                        let mut reply = Vec::new();
                        post.resolver.ask(*pending, &mut reply).await;
                        let _closed = write(&writer, &reply).await;
                        drop(permit);
                    });
                    continue;
                }
            },
        }
        if write(&writer, &reply).await.is_err() {
            break;
        }
    }
    // What was asked is answered, also when the client has said that it asks no more.
    while under_way.join_next().await.is_some() {}
}

/// Reads one question; longer ones than there can be are an error.
async fn read(reader: &mut OwnedReadHalf, packet: &mut [u8]) -> io::Result<usize> {
    let length = usize::from(reader.read_u16().await?);
    let packet = packet.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
    reader.read_exact(packet).await
}

async fn write(writer: &Mutex<OwnedWriteHalf>, reply: &[u8]) -> io::Result<()> {
    let length = u16::try_from(reply.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let framed = [&length.to_be_bytes()[..], reply].concat();
    let write = async { writer.lock().await.write_all(&framed).await };
    timeout(IDLE, write).await.map_err(|_| io::ErrorKind::TimedOut)?
}
