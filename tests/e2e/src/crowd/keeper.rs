//! A visitor with one connection, which is kept as long as the other side keeps it.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{Ground, Seen};

/// How long a visitor waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every other request has a body, and may thus not be sent twice by anybody.
pub(super) fn visit(ground: &Ground, node: SocketAddr, each: Duration) -> Seen {
    let (mut seen, mut connection) = (Seen::default(), None);
    for number in 0.. {
        ground.pace(number, each);
        if ground.is_over() {
            break;
        }
        let begun = Instant::now();
        let mut ask = || -> io::Result<String> {
            let stream = match connection.take() {
                Some(stream) => stream,
                None => {
                    seen.connections += 1;
                    open(node)?
                }
            };
            let (stream, kept, answer) = ask(stream, ground, number % 2 == 1)?;
            connection = Some(stream).filter(|_| kept);
            Ok(answer)
        };
        match ask() {
            Ok(answer) => {
                seen.answered += 1;
                let name = answer.split(' ').next().unwrap_or_default().to_owned();
                *seen.by.entry(name).or_default() += 1;
                seen.slowest = seen.slowest.max(begun.elapsed());
            }
            Err(error) => seen.failed.push(ground.noticed(begun, node, error)),
        }
    }
    seen
}

type Connection = BufReader<TcpStream>;

fn open(node: SocketAddr) -> io::Result<Connection> {
    let stream = TcpStream::connect_timeout(&node, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

/// One request and its answer, and whether the connection is kept after it.
fn ask(
    mut connection: Connection,
    ground: &Ground,
    with_body: bool,
) -> io::Result<(Connection, bool, String)> {
    let Ground { domain, path, .. } = ground;
    let request = if with_body {
        format!("POST {path} HTTP/1.1\r\nHost: {domain}\r\nContent-Length: 5\r\n\r\nhello")
    } else {
        format!("GET {path} HTTP/1.1\r\nHost: {domain}\r\n\r\n")
    };
    connection.get_mut().write_all(request.as_bytes())?;
    let (mut head, mut length, mut kept) = (String::new(), 0, true);
    loop {
        let start = head.len();
        if connection.read_line(&mut head)? == 0 {
            return Err(io::Error::other(format!("the connection was closed after {head:?}")));
        }
        let line = head[start..].trim_end().to_ascii_lowercase();
        match line.split_once(':').map(|(name, value)| (name, value.trim())) {
            Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
            Some(("connection", "close")) => kept = false,
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    if !head.starts_with("HTTP/1.1 200 ") {
        let status = head.lines().next().unwrap_or_default();
        return Err(io::Error::other(format!("{status}: {}", String::from_utf8_lossy(&body))));
    }
    Ok((connection, kept, String::from_utf8_lossy(&body).into_owned()))
}
