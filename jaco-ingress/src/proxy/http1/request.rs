//! What is written of a request: pure.

use std::io::Write as _;

use bytes::{BufMut as _, BytesMut};
use http::{HeaderMap, HeaderName, Method, Uri, header, uri::PathAndQuery};
use http_body::Body as _;

use crate::proxy::{body::RequestBody, headers};

/// For a head of common length.
const HEAD: usize = 768;

/// How a replica is told where the body of a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Empty,
    /// So many bytes are still to come.
    Length(u64),
    Chunked,
}

impl Framing {
    pub(super) fn of(body: &RequestBody) -> Self {
        match body.size_hint().exact() {
            _ if body.is_empty() => Self::Empty,
            Some(length) => Self::Length(length),
            None => Self::Chunked,
        }
    }
}

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    /// Only path and query are sent.
    pub(crate) target: &'a Uri,
    pub(crate) headers: &'a mut HeaderMap,
    /// Lines that are sent too. If there are any, `Host` is one of them.
    pub(crate) told: &'a [u8],
}

impl Request<'_> {
    /// Its head. What frames its body is said here, whatever its headers say.
    pub(super) fn head(&self, framing: Framing) -> BytesMut {
        let mut out = BytesMut::with_capacity(HEAD);
        out.put_slice(self.method.as_str().as_bytes());
        out.put_u8(b' ');
        out.put_slice(self.target.path_and_query().map_or("/", PathAndQuery::as_str).as_bytes());
        out.put_slice(b" HTTP/1.1\r\n");
        out.put_slice(self.told);
        for (name, value) in &*self.headers {
            match *name {
                header::CONTENT_LENGTH | header::TRANSFER_ENCODING => {}
                header::HOST if !self.told.is_empty() => {}
                _ => line(&mut out, name, value.as_bytes()),
            }
        }
        match framing {
            Framing::Length(length) => number(&mut out, length),
            Framing::Chunked => line(&mut out, &header::TRANSFER_ENCODING, b"chunked"),
            // Who sends one of these without a body says so (RFC 9110, 8.6).
            Framing::Empty
                if matches!(*self.method, Method::POST | Method::PUT | Method::PATCH) =>
            {
                number(&mut out, 0);
            }
            Framing::Empty => {}
        }
        out.put_slice(b"\r\n");
        out
    }
}

fn number(out: &mut BytesMut, length: u64) {
    // Writing to memory cannot fail.
    let _ = write!(out.writer(), "content-length: {length}\r\n");
}

fn line(out: &mut BytesMut, name: &HeaderName, value: &[u8]) {
    out.put_slice(name.as_str().as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// What goes before a chunk of so many bytes.
pub(super) fn chunk(out: &mut BytesMut, length: usize) {
    let _ = write!(out.writer(), "{length:x}\r\n");
}

/// The last chunk, with those trailers that were announced.
pub(super) fn end(out: &mut BytesMut, announced: &[HeaderName], trailers: Option<&HeaderMap>) {
    out.put_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if announced.contains(name) {
            line(out, name, value.as_bytes());
        }
    }
    out.put_slice(b"\r\n");
}

/// The trailers that a request announces and that may be some.
pub(super) fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    if !headers.contains_key(header::TRAILER) {
        return Vec::new();
    }
    let names = headers::tokens(headers, &header::TRAILER).filter_map(|name| name.parse().ok());
    names.filter(headers::may_be_a_trailer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::headers::tests::map;

    fn head(method: &str, lines: &[(&str, &str)], told: &str, framing: Framing) -> String {
        let request = Request {
            method: &method.parse().expect("a method"),
            target: &Uri::from_static("http://other.test/x?y=1"),
            headers: &mut map(lines),
            told: told.as_bytes(),
        };
        String::from_utf8(request.head(framing).to_vec()).expect("text")
    }

    fn text(method: &str, lines: &[(&str, &str)], framing: Framing) -> String {
        head(method, lines, "host: a.test\r\n", framing)
    }

    #[test]
    fn the_body_is_framed_by_us_alone() {
        let lies = [
            ("host", "b.test"),
            ("content-length", "7"),
            ("transfer-encoding", "gzip"),
            ("x-a", "1"),
        ];
        assert_eq!(
            text("POST", &lies, Framing::Length(5)),
            "POST /x?y=1 HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\ncontent-length: 5\r\n\r\n"
        );
        assert_eq!(
            text("POST", &lies, Framing::Chunked),
            "POST /x?y=1 HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        assert_eq!(
            text("PUT", &lies, Framing::Empty),
            "PUT /x?y=1 HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\ncontent-length: 0\r\n\r\n"
        );
        assert_eq!(
            text("GET", &lies, Framing::Empty),
            "GET /x?y=1 HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\n\r\n"
        );
    }

    #[test]
    fn the_host_is_said_once() {
        let lines = [("host", "b.test"), ("x-a", "1")];
        let alone = head("GET", &lines, "", Framing::Empty);
        assert_eq!(alone, "GET /x?y=1 HTTP/1.1\r\nhost: b.test\r\nx-a: 1\r\n\r\n");
    }

    #[test]
    fn trailers_are_those_that_were_announced() {
        let announced = announced(&map(&[("trailer", "X-Sum, content-length, x-forwarded-for")]));
        assert_eq!(announced, ["x-sum"]);
        let mut out = BytesMut::new();
        chunk(&mut out, 255);
        let trailers = map(&[("x-sum", "42"), ("x-other", "1"), ("content-length", "9")]);
        end(&mut out, &announced, Some(&trailers));
        assert_eq!(&out[..], b"ff\r\n0\r\nx-sum: 42\r\n\r\n");
    }
}
