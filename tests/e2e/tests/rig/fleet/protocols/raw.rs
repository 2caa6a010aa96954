//! `Expect: 100-continue`, byte for byte: a library would send the body without waiting.

use jaco_e2e::Outcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::{Visit, Wire};

/// Reads until the end of a head.
async fn head(stream: &mut Box<dyn Wire>) -> Outcome<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(read)?)
}

async fn asked(visit: &Visit, method: &str, path: &str) -> Outcome<(Box<dyn Wire>, String)> {
    let mut stream = visit.dial().await?;
    let ask = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\n\
         Expect: 100-continue\r\nConnection: close\r\n\r\n",
        visit.domain
    );
    stream.write_all(ask.as_bytes()).await?;
    stream.flush().await?;
    let said = head(&mut stream).await?;
    Ok((stream, said))
}

/// A peer that reads the body asks for it before it is sent.
pub(super) async fn continued(visit: &Visit) -> Outcome {
    let (mut stream, said) = asked(visit, "POST", "/").await?;
    assert!(said.starts_with("HTTP/1.1 100 "), "{visit}: {said}");
    stream.write_all(b"hello").await?;
    stream.flush().await?;
    let said = head(&mut stream).await?;
    assert!(said.starts_with("HTTP/1.1 200 "), "{visit}: {said}");
    let mut body = String::new();
    // A peer may close without TLS's own farewell.
    let _ = stream.read_to_string(&mut body).await;
    assert!(body.ends_with(" 5"), "{visit}: {body}");
    Ok(())
}

/// One that does not is heard though the body is never sent. The node asks for it all the same: it takes the
/// body to pass it on before it knows what the peer thinks of it.
pub(super) async fn refused(visit: &Visit) -> Outcome {
    let (mut stream, mut said) = asked(visit, "POST", "/refuse").await?;
    if said.starts_with("HTTP/1.1 100 ") {
        said = head(&mut stream).await?;
    }
    assert!(said.starts_with("HTTP/1.1 413 "), "{visit}: {said}");
    Ok(())
}
