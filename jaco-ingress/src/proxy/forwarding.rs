//! What a replica is told of who asks for what: pure.

use std::{net::IpAddr, ops::Range};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::headers::{is_claim, remove_all, tokens};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Who sent a request, as far as its connection and trusted proxies tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visitor {
    /// The visitor, or the nearest proxy that is not trusted.
    pub(super) address: IpAddr,
    /// Whether the visitor came over TLS, to us or to a trusted proxy.
    pub(super) secure: bool,
}

/// Finds the visitor. `peer` is who is connected; only if it is `trusted` are headers asked, and of the addresses
/// they tell the last one that is not trusted itself.
pub(super) fn visitor(
    headers: &HeaderMap,
    peer: IpAddr,
    secure: bool,
    trusted: impl Fn(IpAddr) -> bool,
) -> Visitor {
    let mut visitor = Visitor { address: peer.to_canonical(), secure };
    if !trusted(visitor.address) {
        return visitor;
    }
    let told: Vec<&str> = tokens(headers, &X_FORWARDED_FOR).collect();
    for one in told.iter().rev() {
        let Ok(address) = one.parse::<IpAddr>() else { break };
        visitor.address = address.to_canonical();
        if !trusted(visitor.address) {
            break;
        }
    }
    if let Some(proto) = tokens(headers, &X_FORWARDED_PROTO).last() {
        visitor.secure = proto.eq_ignore_ascii_case("https");
    }
    visitor
}

/// What is to be told of a request.
#[derive(Debug)]
pub(super) struct Forwarding<'a> {
    /// Who is connected, as a header tells it.
    pub(super) peer: &'a HeaderValue,
    /// Whether what it says of others is believed.
    pub(super) trusted: bool,
    pub(super) visitor: Visitor,
    /// The authority that was asked for, as it was written.
    pub(super) authority: &'a HeaderValue,
    /// The prefix that was taken away.
    pub(super) prefix: Option<&'a str>,
    /// For an id of the request and of its trace.
    pub(super) dice: (u128, u64),
}

/// An address as a header tells it.
pub(super) fn address(address: IpAddr) -> HeaderValue {
    let text = address.to_canonical().to_string();
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// What is told of a request, its host first: lines as HTTP/1.1 has them, which cost less than entries of a map that is
/// written into such lines again.
#[derive(Debug, Default)]
pub(super) struct Told {
    text: Vec<u8>,
    /// Nothing of it is among the other headers.
    apart: bool,
    /// Where the id of the request is.
    id: Range<usize>,
}

impl Told {
    /// Whole lines.
    pub(super) fn lines(&self) -> &[u8] {
        if self.apart { &self.text } else { &[] }
    }

    /// The id of the request. Empty: nothing is told.
    pub(super) fn id(&self) -> &[u8] {
        &self.text[self.id.clone()]
    }

    /// Puts what is told among the other headers instead.
    pub(super) fn move_into(&mut self, headers: &mut HeaderMap) {
        self.apart = false;
        for line in self.text.split(|byte| *byte == b'\n') {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let name = HeaderName::from_bytes(&line[..colon]);
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
    }
}

/// Says who asked for what, and removes from `headers` what is said so, but for the host, and what others claim about it.
pub(super) fn forwarded(headers: &mut HeaderMap, about: &Forwarding<'_>) -> Told {
    let trusted = about.trusted;
    if !trusted {
        remove_all(headers, is_claim);
    }
    let mut lines = Lines::default();
    lines.begin(&header::HOST).put(about.authority);
    let peer = about.peer.as_bytes();
    lines.begin(&X_FORWARDED_FOR);
    if trusted {
        lines.take_list(headers, &X_FORWARDED_FOR);
    }
    lines.put(peer);
    let proto = if about.visitor.secure { "https" } else { "http" };
    if trusted {
        headers.remove(X_FORWARDED_PROTO);
    }
    lines.begin(&X_FORWARDED_PROTO).put(proto);
    if !(trusted && headers.contains_key(X_FORWARDED_HOST)) {
        lines.begin(&X_FORWARDED_HOST).put(about.authority);
    }
    // A path that is no header value was no path of a route either.
    if let Some(prefix) = about.prefix.and_then(|prefix| HeaderValue::from_str(prefix).ok()) {
        headers.remove(X_FORWARDED_PREFIX);
        lines.begin(&X_FORWARDED_PREFIX).put(prefix);
    }
    lines.begin(&header::FORWARDED);
    if trusted {
        lines.take_list(headers, &header::FORWARDED);
    }
    let (open, close) = if peer.contains(&b':') { ("\"[", "]\"") } else { ("", "") };
    lines.put("for=").put(open).put(peer).put(close);
    lines.put(";host=\"").put(about.authority).put("\";proto=").put(proto);
    let (trace, span) = about.dice;
    if !headers.get(TRACEPARENT).is_some_and(is_traceparent) {
        remove_all(headers, |name| *name == TRACEPARENT || *name == TRACESTATE);
        lines.begin(&TRACEPARENT).put("00-").hex(&(trace | 1).to_be_bytes());
        lines.put("-").hex(&(span | 1).to_be_bytes()).put("-00");
    }
    let id = if trusted { headers.remove(X_REQUEST_ID).filter(is_id) } else { None };
    lines.begin(&X_REQUEST_ID);
    let from = lines.0.len();
    match id {
        Some(id) => lines.put(id),
        None => lines.hex(&trace.to_be_bytes()),
    };
    let id = from..lines.0.len();
    lines.end();
    Told { text: lines.0, apart: true, id }
}

/// The two digits of each byte.
const DIGITS: [[u8; 2]; 256] = {
    let (mut digits, mut byte) = ([[0; 2]; 256], 0);
    while byte < digits.len() {
        digits[byte] = [b"0123456789abcdef"[byte >> 4], b"0123456789abcdef"[byte & 15]];
        byte += 1;
    }
    digits
};

/// Lines that are being written.
struct Lines(Vec<u8>);

impl Default for Lines {
    fn default() -> Self {
        // For all that is said of a request with a host of common length.
        Self(Vec::with_capacity(448))
    }
}

impl Lines {
    /// Begins a line, behind the end of the one before.
    fn begin(&mut self, name: &HeaderName) -> &mut Self {
        self.end();
        self.put(name).put(": ")
    }

    fn end(&mut self) {
        if !self.0.is_empty() {
            self.put("\r\n");
        }
    }

    /// `text` is, or is of, the name or the value of a header.
    fn put(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.0.extend_from_slice(text.as_ref());
        self
    }

    /// Two digits for each byte.
    fn hex<const N: usize>(&mut self, bytes: &[u8; N]) -> &mut Self {
        self.put(bytes.map(|byte| DIGITS[usize::from(byte)]).as_flattened())
    }

    /// Takes the list that is there, for another member.
    fn take_list(&mut self, headers: &mut HeaderMap, name: &HeaderName) {
        for before in headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok()) {
            self.put(before).put(", ");
        }
        headers.remove(name);
    }
}

fn is_id(value: &HeaderValue) -> bool {
    (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// `version-trace-span-flags` of W3C Trace Context.
fn is_traceparent(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let hex = |range: Range<usize>| {
        let part = &bytes[range];
        part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |range: Range<usize>| bytes[range].iter().all(|b| *b == b'0');
    let long = bytes.len() == 55 || (bytes.len() > 55 && bytes[55] == b'-' && &bytes[..2] != b"00");
    long && bytes[2] == b'-'
        && bytes[35] == b'-'
        && bytes[52] == b'-'
        && hex(0..2)
        && hex(3..35)
        && hex(36..52)
        && hex(53..55)
        && &bytes[..2] != b"ff"
        && !zero(3..35)
        && !zero(36..52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::headers::tests::map;

    fn told(headers: &HeaderMap, name: &str) -> Vec<String> {
        headers.get_all(name).into_iter().map(|v| v.to_str().expect("text").to_owned()).collect()
    }

    fn forward(headers: &mut HeaderMap, trusted: bool) {
        let peer = IpAddr::from([10, 0, 0, 9]);
        let about = Forwarding {
            peer: &address(peer),
            trusted,
            visitor: Visitor { address: peer, secure: true },
            authority: &HeaderValue::from_static("shop.test:8443"),
            prefix: None,
            dice: (7, 0),
        };
        forwarded(headers, &about).move_into(headers);
    }

    #[test]
    fn what_a_stranger_claims_is_removed() {
        let claims = [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-forwarded-prefix",
            "x-forwarded-proto",
            "x-forwarded-server",
            "x-real-ip",
            "x-request-id",
        ];
        let mut headers = map(&claims.map(|name| (name, "6.6.6.6")));
        forward(&mut headers, false);
        for values in headers.values() {
            assert!(!values.to_str().expect("text").contains("6.6.6.6"), "{headers:?}");
        }
        assert_eq!(told(&headers, "x-forwarded-for"), ["10.0.0.9"]);
        assert_eq!(told(&headers, "x-forwarded-proto"), ["https"]);
        assert_eq!(told(&headers, "x-forwarded-host"), ["shop.test:8443"]);
        assert_eq!(
            told(&headers, "forwarded"),
            ["for=10.0.0.9;host=\"shop.test:8443\";proto=https"]
        );
        assert_eq!(told(&headers, "x-request-id"), ["00000000000000000000000000000007"]);
        assert_eq!(
            told(&headers, "traceparent"),
            ["00-00000000000000000000000000000007-0000000000000001-00"]
        );
    }

    #[test]
    fn what_a_trusted_proxy_says_is_continued() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = map(&[
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-for", "5.6.7.8"),
            ("x-forwarded-host", "public.test"),
            ("x-request-id", "abc"),
            ("forwarded", "for=1.2.3.4"),
            ("traceparent", trace),
        ]);
        forward(&mut headers, true);
        assert_eq!(told(&headers, "x-forwarded-for"), ["1.2.3.4, 5.6.7.8, 10.0.0.9"]);
        assert_eq!(told(&headers, "x-forwarded-host"), ["public.test"]);
        assert_eq!(told(&headers, "x-request-id"), ["abc"]);
        assert!(told(&headers, "forwarded")[0].starts_with("for=1.2.3.4, for=10.0.0.9;"));
        assert_eq!(told(&headers, "traceparent"), [trace]);
    }

    #[test]
    fn an_ipv6_address_is_quoted() {
        let mut headers = HeaderMap::new();
        let peer = address("2001:db8::1".parse().expect("an address"));
        let about = Forwarding {
            peer: &peer,
            trusted: false,
            visitor: Visitor { address: IpAddr::from([10, 0, 0, 9]), secure: false },
            authority: &HeaderValue::from_static("shop.test"),
            prefix: Some("/api"),
            dice: (7, 0),
        };
        forwarded(&mut headers, &about).move_into(&mut headers);
        assert_eq!(told(&headers, "x-forwarded-for"), ["2001:db8::1"]);
        assert_eq!(told(&headers, "x-forwarded-prefix"), ["/api"]);
        let element = "for=\"[2001:db8::1]\";host=\"shop.test\";proto=http";
        assert_eq!(told(&headers, "forwarded"), [element]);
    }

    #[test]
    fn a_broken_traceparent_is_made_anew() {
        for broken in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            let mut headers = map(&[("traceparent", broken), ("tracestate", "a=b")]);
            forward(&mut headers, false);
            assert_ne!(told(&headers, "traceparent"), [broken]);
            assert!(!headers.contains_key("tracestate"));
        }
    }

    #[test]
    fn the_visitor_is_the_last_address_that_is_not_trusted() {
        let trusted = |ip: IpAddr| matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 10);
        let peer = IpAddr::from([10, 0, 0, 1]);
        let of = |xff: &str, peer| {
            let headers = map(&[("x-forwarded-for", xff), ("x-forwarded-proto", "https")]);
            visitor(&headers, peer, false, trusted)
        };
        let at = |v: &str, secure| Visitor { address: v.parse().expect("an address"), secure };
        assert_eq!(of("6.6.6.6, 1.2.3.4, 10.0.0.2", peer), at("1.2.3.4", true));
        assert_eq!(of("1.2.3.4, nonsense", peer), at("10.0.0.1", true));
        assert_eq!(of("6.6.6.6", IpAddr::from([9, 9, 9, 9])), at("9.9.9.9", false));
    }

    #[test]
    fn nothing_is_told_twice() {
        let names = [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-prefix",
            "x-forwarded-proto",
            "x-request-id",
            "traceparent",
            "tracestate",
            "x-kept",
        ];
        let peer = address(IpAddr::from([10, 0, 0, 9]));
        for (trusted, prefix) in
            [(false, None), (true, None), (false, Some("/a")), (true, Some("/a"))]
        {
            let mut headers = map(&names.map(|name| (name, "said")));
            let told = forwarded(
                &mut headers,
                &Forwarding {
                    peer: &peer,
                    trusted,
                    visitor: Visitor { address: IpAddr::from([10, 0, 0, 9]), secure: false },
                    authority: &HeaderValue::from_static("shop.test"),
                    prefix,
                    dice: (7, 7),
                },
            );
            let text = std::str::from_utf8(told.lines()).expect("text");
            assert!(text.ends_with("\r\n"));
            let mut seen: Vec<&str> =
                text.lines().map(|line| line.split_once(": ").expect("a header").0).collect();
            seen.extend(headers.keys().map(HeaderName::as_str));
            seen.sort_unstable();
            let mut once = seen.clone();
            once.dedup();
            assert_eq!(seen, once, "{headers:?}");
        }
    }
}
