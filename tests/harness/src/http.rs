//! Pages fetched from inside a host's network: one request, one connection, a few seconds.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use crate::{HarnessError, Result, vantage::enter};

const PATIENCE: Duration = Duration::from_secs(5);

/// Fetches a page from inside the machine's own network.
///
/// # Errors
/// Nobody answers, or with an error.
pub fn http_get(url: &str) -> Result<String> {
    fetch(Path::new("/proc/self/ns/net"), ("GET", None), url, "")
}

/// Sends a request to `http://address:port/path` from inside a network namespace and returns the body
/// of a successful answer. The host that is asked for is the address unless another name is given.
pub(crate) fn fetch(
    namespace: &Path,
    (method, host): (&str, Option<&str>),
    url: &str,
    body: &str,
) -> Result<String> {
    let failed = |output: String| HarnessError::Command {
        line: format!("{method} {url}"),
        status: "no page".to_owned(),
        output,
    };
    let (address, path) = split(url).ok_or_else(|| failed("not an http url".to_owned()))?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        host.map_or_else(|| address.to_string(), str::to_owned),
        body.len()
    );
    let exchange = enter(namespace, move || {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    });
    let answer = exchange.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        failed(cause.unwrap_or_else(|| error.to_string()))
    })?;
    let status: u16 = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    match answer.split_once("\r\n\r\n") {
        Some((_, body)) if (200..400).contains(&status) => Ok(body.to_owned()),
        _ => Err(failed(answer)),
    }
}

fn split(url: &str) -> Option<(SocketAddr, String)> {
    let rest = url.strip_prefix("http://")?;
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    Some((address.parse().ok()?, format!("/{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_into_address_and_path() {
        let address: SocketAddr = "10.0.0.2:8080".parse().unwrap();
        assert_eq!(split("http://10.0.0.2:8080"), Some((address, "/".to_owned())));
        assert_eq!(split("http://10.0.0.2:8080/a/b?c"), Some((address, "/a/b?c".to_owned())));
        assert_eq!(split("http://web:8080/"), None);
    }
}
