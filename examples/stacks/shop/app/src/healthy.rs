//! `healthy`: the health check of every service of the stack.

use std::io;

use tokio::{
    net::TcpStream,
    time::{Duration, timeout},
};

use crate::http;

/// Succeeds when the page answers below 400, or when the address takes connections.
pub(crate) async fn check(target: &str) -> io::Result<()> {
    if target.starts_with("http://") {
        return match http::call("GET", target, "").await? {
            (status, _) if status < 400 => Ok(()),
            (status, body) => Err(io::Error::other(format!("{status}: {}", body.trim()))),
        };
    }
    let connected = timeout(Duration::from_secs(2), TcpStream::connect(target)).await;
    connected.map_err(io::Error::from)?.map(drop)
}
