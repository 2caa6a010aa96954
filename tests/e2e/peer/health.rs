//! The health of the peer beside it: asked for by the container's check, changed by scenarios.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// Succeeds when the peer answers 200.
pub(crate) fn ask(method: &str, path: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect("127.0.0.1:8080")?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let ask = format!("{method} {path} HTTP/1.1\r\nHost: peer\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(io::Error::other(answer)) }
}
