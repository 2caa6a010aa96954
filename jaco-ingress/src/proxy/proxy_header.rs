//! The PROXY protocol, versions 1 and 2: pure.

use std::net::{IpAddr, SocketAddr};

const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V1: &[u8; 6] = b"PROXY ";
/// A line of version 1 has at most so many bytes with its end.
const V1_MOST: usize = 107;
/// More than the addresses and a few extensions is not taken.
const V2_MOST: usize = 4096;

/// Which version is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyHeader {
    /// The header that tells who is connected, and to what.
    #[must_use]
    pub fn of(self, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        // One header has one family: with two, the IPv4 address is written as IPv6.
        let (from, to) = match (source.ip().to_canonical(), destination.ip().to_canonical()) {
            (IpAddr::V4(from), IpAddr::V6(to)) => (from.to_ipv6_mapped().into(), IpAddr::V6(to)),
            (IpAddr::V6(from), IpAddr::V4(to)) => (IpAddr::V6(from), to.to_ipv6_mapped().into()),
            same => same,
        };
        let ports = [source.port(), destination.port()];
        match self {
            Self::V1 => {
                let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
                format!("PROXY {family} {from} {to} {} {}\r\n", ports[0], ports[1]).into_bytes()
            }
            Self::V2 => {
                let mut out = V2.to_vec();
                out.push(0x21);
                out.extend_from_slice(if from.is_ipv4() { &[0x11, 0, 12] } else { &[0x21, 0, 36] });
                for address in [from, to] {
                    match address {
                        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
                        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
                    }
                }
                ports.iter().for_each(|port| out.extend_from_slice(&port.to_be_bytes()));
                out
            }
        }
    }
}

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It cannot be told yet.
    More,
    /// No PROXY header.
    Other,
    /// One of this length. `None`: the proxy itself is connected.
    Header(usize, Option<SocketAddr>),
    /// One that is broken.
    Broken,
}

/// Looks for a header at the start of `bytes`.
pub(crate) fn read(bytes: &[u8]) -> Start {
    let begins = |whole: &[u8]| {
        let common = bytes.len().min(whole.len());
        bytes[..common] == whole[..common]
    };
    if begins(V2) {
        return if bytes.len() < 16 { Start::More } else { read_v2(bytes) };
    }
    if begins(V1) {
        let most = &bytes[..bytes.len().min(V1_MOST)];
        let Some(end) = most.windows(2).position(|w| w == b"\r\n") else {
            return if most.len() == V1_MOST { Start::Broken } else { Start::More };
        };
        let line = bytes.get(V1.len()..end).and_then(|line| std::str::from_utf8(line).ok());
        return line.and_then(read_v1).map_or(Start::Broken, |from| Start::Header(end + 2, from));
    }
    Start::Other
}

fn read_v1(line: &str) -> Option<Option<SocketAddr>> {
    let fields: Vec<&str> = line.split(' ').collect();
    match *fields.as_slice() {
        ["UNKNOWN", ..] => Some(None),
        [family @ ("TCP4" | "TCP6"), source, destination, from, to] => {
            let source: IpAddr = source.parse().ok()?;
            let destination: IpAddr = destination.parse().ok()?;
            let (from, _): (u16, u16) = (from.parse().ok()?, to.parse().ok()?);
            let v4 = family == "TCP4";
            (source.is_ipv4() == v4 && destination.is_ipv4() == v4)
                .then_some(Some(SocketAddr::new(source, from)))
        }
        _ => None,
    }
}

fn read_v2(bytes: &[u8]) -> Start {
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let whole = 16 + length;
    if bytes[12] >> 4 != 2 || whole > V2_MOST {
        return Start::Broken;
    }
    if bytes.len() < whole {
        return Start::More;
    }
    let body = &bytes[16..whole];
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let source = match (bytes[12] & 0xf, bytes[13]) {
        (0, _) => None,
        (1, 0x11) if length >= 12 => {
            let octets: [u8; 4] = std::array::from_fn(|i| body[i]);
            Some(SocketAddr::new(octets.into(), port(8)))
        }
        (1, 0x21) if length >= 36 => {
            let octets: [u8; 16] = std::array::from_fn(|i| body[i]);
            Some(SocketAddr::new(octets.into(), port(32)))
        }
        (1, 0x00) => None,
        _ => return Start::Broken,
    };
    Start::Header(whole, source)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            source in any::<SocketAddr>(),
            destination in any::<SocketAddr>(),
            version in prop_oneof![Just(ProxyHeader::V1), Just(ProxyHeader::V2)],
        ) {
            let header = version.of(source, destination);
            for cut in 0..header.len() {
                prop_assert_eq!(read(&header[..cut]), Start::More);
            }
            let Start::Header(length, Some(read)) = read(&[&header[..], b"GET /"].concat()) else {
                panic!("no header in {header:?}");
            };
            prop_assert_eq!(length, header.len());
            prop_assert_eq!(read.ip().to_canonical(), source.ip().to_canonical());
            prop_assert_eq!(read.port(), source.port());
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&[&V2[..], &bytes].concat());
            let _ = read(&[&V1[..], &bytes].concat());
        }
    }

    #[test]
    fn others_are_told_apart_at_once() {
        for other in [&b"GET / HTTP/1.1"[..], b"PRI * HTTP/2.0", b"\x16\x03\x01", b"\r\nGET", b"PO"]
        {
            assert_eq!(read(other), Start::Other);
        }
        for open in [&b""[..], b"P", b"PROXY", b"\r\n\r\n"] {
            assert_eq!(read(open), Start::More);
        }
        for broken in [
            &b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"[..],
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n",
            &[b'P', b'R', b'O', b'X', b'Y', b' ', b'x'].repeat(40),
        ] {
            assert_eq!(read(broken), Start::Broken, "{broken:?}");
        }
        assert_eq!(read(b"PROXY UNKNOWN\r\n"), Start::Header(15, None));
    }
}
