//! Lines over TCP, as Redis has them.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{proxied, say, state::Peer};

/// What comes before the first line.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Header {
    /// Nothing.
    None,
    /// A header of the PROXY protocol.
    Proxy,
}

/// Serves connections until the peer stops.
pub(crate) async fn serve(listener: TcpListener, peer: Arc<Peer>, header: Header) {
    while let Some(accepted) = peer.stopping.run_until_cancelled(listener.accept()).await {
        let Ok((stream, from)) = accepted else { continue };
        let peer = peer.clone();
        tokio::spawn(async move {
            if let Err(error) = converse(stream, from, header, &peer.host).await {
                say(format_args!("a connection from {from}: {error}"));
            }
        });
    }
}

async fn converse(
    stream: TcpStream,
    from: SocketAddr,
    header: Header,
    host: &str,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let (from, version) = match header {
        Header::None => (from, "none"),
        Header::Proxy => proxied::read(&mut reader, from).await?,
    };
    let (mut line, mut read) = (Vec::new(), 0);
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).await?;
        read += length;
        let answer = match line.trim_ascii_end() {
            _ if length == 0 => {
                writer.write_all(format!("+BYE {read}\r\n").as_bytes()).await?;
                return writer.shutdown().await;
            }
            b"PING" => "+PONG\r\n".to_owned(),
            b"WHO" => format!("+{host}\r\n"),
            b"FROM" => format!("+{from}\r\n"),
            b"HEADER" => format!("+{version}\r\n"),
            _ => "-ERR unknown command\r\n".to_owned(),
        };
        writer.write_all(answer.as_bytes()).await?;
    }
}
