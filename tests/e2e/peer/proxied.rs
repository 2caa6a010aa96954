//! The header of the PROXY protocol, in both versions. Read on its own, not with the code under test.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads a header: whom it names, and its version. `from` when it names nobody.
pub(crate) async fn read(
    reader: &mut (impl AsyncBufRead + Unpin),
    from: SocketAddr,
) -> io::Result<(SocketAddr, &'static str)> {
    if reader.fill_buf().await?.first() == Some(&b'P') {
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        return Ok((first(&line, from)?, "v1"));
    }
    let mut head = [0; 16];
    reader.read_exact(&mut head).await?;
    let mut rest = vec![0; usize::from(u16::from_be_bytes([head[14], head[15]]))];
    reader.read_exact(&mut rest).await?;
    if !head.starts_with(SIGNATURE) {
        return Err(wrong(head));
    }
    Ok((second(head[12], head[13], &rest, from)?, "v2"))
}

fn first(line: &str, from: SocketAddr) -> io::Result<SocketAddr> {
    let wrong = || wrong(line);
    let words: Vec<&str> = line.strip_suffix("\r\n").ok_or_else(wrong)?.split(' ').collect();
    match *words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(from),
        ["PROXY", "TCP4" | "TCP6", source, _, port, _] => {
            let source = source.parse().map_err(|_| wrong())?;
            Ok(SocketAddr::new(source, port.parse().map_err(|_| wrong())?))
        }
        _ => Err(wrong()),
    }
}

fn second(command: u8, family: u8, rest: &[u8], from: SocketAddr) -> io::Result<SocketAddr> {
    let port = |at: usize| rest.get(at..at + 2).map(|p| u16::from_be_bytes([p[0], p[1]]));
    let named = match (command, family) {
        (0x20, _) => Some(from),
        (0x21, 0x11) => rest
            .first_chunk::<4>()
            .and_then(|ip| Some(SocketAddr::new(Ipv4Addr::from(*ip).into(), port(8)?))),
        (0x21, 0x21) => rest
            .first_chunk::<16>()
            .and_then(|ip| Some(SocketAddr::new(Ipv6Addr::from(*ip).into(), port(32)?))),
        _ => None,
    };
    named.ok_or_else(|| wrong(rest))
}

fn wrong(what: impl std::fmt::Debug) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no PROXY header: {what:?}"))
}
