//! What must hold of the readers of the ingress, whatever the bytes. For the fuzz targets of the workspace.

use std::net::SocketAddr;

use bytes::BytesMut;
use http::{HeaderMap, Method, StatusCode, header};

use crate::{
    proxy::{Decoded, Fault, Memory, ProxyHeader, Start, read_answer, read_proxy_header as read},
    route::{Table, host_of, normal, without_prefix},
};

/// More is never waited for.
const LONGEST: usize = 4096;
/// The signatures, which nobody can guess.
const V1: &[u8] = b"PROXY ";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The start of a connection. The first byte says which signature is put before the others.
///
/// # Panics
/// A rule is broken.
pub fn proxy_header(data: &[u8]) {
    let bytes = match data.split_first() {
        Some((0, rest)) => rest.to_vec(),
        Some((1, rest)) => [V1, rest].concat(),
        Some((2, rest)) => [V2, rest].concat(),
        _ => return,
    };
    let whole = read(&bytes);
    let told = (0..=bytes.len()).find(|cut| read(&bytes[..*cut]) != Start::More);
    match told {
        None => assert!(bytes.len() < LONGEST, "{} bytes are waited for", bytes.len()),
        // However the bytes come, the same is read, and no byte is waited for in vain.
        Some(first) => {
            let early = read(&bytes[..first]);
            assert_eq!(early, whole, "after {first} bytes");
            if let Start::Header(length, _) = early {
                assert_eq!(length, first, "nothing behind the header is taken");
            }
        }
    }
    if let Start::Header(_, Some(source)) = whole {
        for version in [ProxyHeader::V1, ProxyHeader::V2] {
            survives(version, source);
        }
    }
    if whole == Start::Other {
        assert!(!bytes.starts_with(V1) && !bytes.starts_with(V2));
    }
}

fn survives(version: ProxyHeader, source: SocketAddr) {
    let written = version.of(source, SocketAddr::from(([127, 0, 0, 1], 80)));
    let Start::Header(length, Some(again)) = read(&written) else { panic!("{written:?}") };
    assert_eq!(length, written.len());
    let told = |address: SocketAddr| (address.ip().to_canonical(), address.port());
    assert_eq!(told(again), told(source), "{version:?}");
}

/// What a replica answers: however its bytes come, and whatever it said before, the same is read. The first byte says to
/// what method, the second in pieces of what size. What was said before is in front of the first zero.
///
/// # Panics
/// A rule is broken.
pub fn answer(data: &[u8]) {
    let [method, size, bytes @ ..] = data else { return };
    let method = if *method == 0 { Method::HEAD } else { Method::GET };
    let mut memory = Memory::default();
    let bytes = match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => {
            // Whether it is an answer says nothing of the next one.
            let _ = Answered::of(&bytes[..end], end.max(1), &method, &mut memory);
            &bytes[end + 1..]
        }
        None => bytes,
    };
    let whole = Answered::of(bytes, bytes.len().max(1), &method, &mut Memory::default());
    let pieces = Answered::of(bytes, usize::from(*size).max(1), &method, &mut memory);
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (Err(_), Err(_)) => {}
        (whole, pieces) => panic!("{whole:?}, but {pieces:?} in pieces of {size}"),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
    behind: Vec<u8>,
}

impl Answered {
    fn of(bytes: &[u8], size: usize, method: &Method, memory: &mut Memory) -> Result<Self, Fault> {
        let (mut pieces, mut input) = (bytes.chunks(size), BytesMut::new());
        let mut head = loop {
            match read_answer(&mut input, method, memory)? {
                Some(head) => break head,
                None => input.extend_from_slice(pieces.next().ok_or(Fault::Closed)?),
            }
        };
        let lengths = head.headers.get_all(header::CONTENT_LENGTH).iter().count();
        let coded = head.headers.contains_key(header::TRANSFER_ENCODING);
        let bodiless = head.body.has_ended();
        assert!(lengths <= 1 && (bodiless || !coded || lengths == 0), "{head:?}");
        assert!(!(head.keep && head.body.ends_by_closing()), "{head:?}");
        let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
        loop {
            match head.body.decode(&mut input)? {
                Decoded::Data(data) => {
                    assert!(!data.is_empty() && !bodiless);
                    body.extend_from_slice(&data);
                }
                Decoded::Trailers(told) => trailers = told,
                Decoded::Ended => break,
                Decoded::More => match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None if head.body.ends_by_closing() => break,
                    None => return Err(Fault::Closed),
                },
            }
        }
        for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
            assert!(!trailers.contains_key(&name), "{trailers:?}");
        }
        input.extend(pieces.flatten());
        let (status, headers) = (head.status, head.headers);
        Ok(Self { status, headers, body, trailers, behind: input.to_vec() })
    }
}

/// An authority, a path and the path of a route, each in a line.
///
/// # Panics
/// A rule is broken.
pub fn route(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (authority, path, prefix) = (next(), next(), next());
    host(authority);
    if path.starts_with('/') {
        normal_form(path);
        if prefix.starts_with('/') {
            rule(path, prefix);
        }
    }
}

/// A name has one spelling, and is none that a table could take for another.
fn host(authority: &str) {
    let Some(host) = host_of(authority) else { return };
    assert!(!host.is_empty() && host.len() <= 253);
    assert!(!host.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii_graphic()), "{host}");
    assert!(!host.contains(['/', '@', '%', '[', ']', '*']), "{host}");
    assert!(host.split('.').all(|label| !label.is_empty()), "{host}");
    let again = if host.contains(':') { format!("[{host}]") } else { host.clone().into_owned() };
    for spelled in [format!("{again}:443"), again.to_ascii_uppercase(), again] {
        assert_eq!(host_of(&spelled).as_deref(), Some(&*host), "{spelled}");
    }
}

/// The normal form means the same, has no other normal form, and stays below the root.
fn normal_form(path: &str) {
    let plain = normal(path);
    assert_eq!(normal(&plain), plain, "{path}");
    assert!(plain.starts_with('/') && plain.is_ascii(), "{plain}");
    assert_eq!(reading(&plain), reading(path), "{path} became {plain}");
    let mut names = plain.split('/').skip(1).peekable();
    while let Some(name) = names.next() {
        assert!(!matches!(name, "." | ".."), "{path} became {plain}");
        assert!(!name.is_empty() || names.peek().is_none(), "{path} became {plain}");
    }
}

/// A rule for a prefix holds for whatever a service reads as a path below it, and for nothing else.
fn rule(path: &str, prefix: &str) {
    let (table, left_out) = Table::compile([("", prefix, ())]);
    if !left_out.is_empty() {
        return;
    }
    let (plain, own) = (normal(path), normal(prefix));
    let own = own.trim_end_matches('/');
    let below = reading(path).starts_with(&reading(prefix));
    assert_eq!(table.find("a.test", &plain).is_some(), below, "{path} under {prefix}");
    let left = without_prefix(&plain, own);
    assert!(left.starts_with('/'), "{left}");
    if below {
        assert_eq!(normal(left), left, "{path} without {prefix}");
        assert_eq!([reading(prefix), reading(left)].concat(), reading(path), "{path}, {prefix}");
    } else {
        assert_eq!(left, plain);
    }
}

/// One character of a path as a service reads it. What is reserved means something else when it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Plain(u8),
    Escaped(u8),
}

/// The names on the way, as a service reads them: each escape once, `.` and `..` followed.
fn reading(path: &str) -> Vec<Vec<Read>> {
    let mut names = Vec::new();
    for segment in path.split('/') {
        let name = name(segment.as_bytes());
        match name.as_slice() {
            [] | [Read::Plain(b'.')] => {}
            [Read::Plain(b'.'), Read::Plain(b'.')] => drop(names.pop()),
            _ => names.push(name),
        }
    }
    names
}

fn name(mut bytes: &[u8]) -> Vec<Read> {
    let mut out = Vec::new();
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
        let escaped = (*first == b'%').then(|| digit(0).zip(digit(1))).flatten();
        let byte = match escaped {
            Some((high, low)) => {
                bytes = &rest[2..];
                u8::try_from(high * 16 + low).unwrap_or_default()
            }
            None => *first,
        };
        let reserved = b"!$&'()*+,;=:@/".contains(&byte);
        out.push(if reserved && escaped.is_some() {
            Read::Escaped(byte)
        } else {
            Read::Plain(byte)
        });
    }
    out
}
