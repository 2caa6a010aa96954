//! As much HTTP/1.1 as the shop needs: one request per connection, bodies with a length.

use std::io;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::{Duration, timeout},
};

const LARGEST: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// A request, without its headers.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
}

/// An answer.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// Answers requests on `address` with `answer`, for ever.
pub(crate) async fn serve<H, F>(address: &str, answer: H) -> io::Result<()>
where
    H: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let listener = TcpListener::bind(address).await?;
    crate::say(format_args!("listening on {}", listener.local_addr()?));
    loop {
        let (stream, _) = listener.accept().await?;
        let answer = answer.clone();
        tokio::spawn(async move {
            // A client that goes away is its own business.
            let _ = timeout(PATIENCE, one(stream, answer)).await;
        });
    }
}

async fn one<H, F>(stream: TcpStream, answer: H) -> io::Result<()>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let mut stream = BufReader::new(stream);
    let response = match request(&mut stream).await? {
        Some(request) => answer(request).await,
        None => Response::text(400, "bad request\n"),
    };
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        response.status,
        if response.status < 400 { "OK" } else { "Error" },
        response.kind,
        response.body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(response.body.as_bytes()).await?;
    stream.shutdown().await
}

async fn request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut stream = stream.take(LARGEST as u64);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let (method, path) = (method.to_owned(), path.to_owned());
    let Some(length) = content_length(&mut stream).await? else { return Ok(None) };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(String::from_utf8(body).ok().map(|body| Request { method, path, body }))
}

async fn content_length(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<usize>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some(length).filter(|n| *n <= LARGEST));
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            let Ok(value) = value.trim().parse() else { return Ok(None) };
            length = value;
        }
    }
}

/// Sends a request to `http://host:port/path` and returns status and body.
pub(crate) async fn call(method: &str, url: &str, body: &str) -> io::Result<(u16, String)> {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, format!("not an http url: {url}"));
    let rest = url.strip_prefix("http://").ok_or_else(bad)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let exchange = async {
        let mut stream = TcpStream::connect(host).await?;
        let length = body.len();
        let request = format!(
            "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = answer.split_whitespace().nth(1).and_then(|s| s.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        status.zip(body).ok_or_else(|| io::Error::other("the answer is no HTTP"))
    };
    timeout(PATIENCE, exchange).await.map_err(io::Error::from)?
}
