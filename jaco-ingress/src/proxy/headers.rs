//! What becomes of headers on their way through: pure.

use std::net::IpAddr;

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What a proxy in front of us says about a visitor. Nobody else may say it.
fn is_claim(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "forwarded"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-prefix"
            | "x-forwarded-proto"
            | "x-forwarded-server"
            | "x-real-ip"
            | "x-request-id"
    )
}

/// What is between two neighbours and not for those behind them. `Trailer` is for all of them. What a visitor
/// `Expect`s is answered here as soon as the body is asked for.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Removes what is hop by hop, and what `Connection` names so. `TE: trailers` stays: it says that the visitor takes
/// trailers, and we hand them on. Whether it is there.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) -> bool {
    if !headers.keys().any(is_hop_by_hop) {
        return false;
    }
    let trailers = has_token(headers, &header::TE, "trailers");
    let usual =
        |name: &str| name.eq_ignore_ascii_case("keep-alive") || name.eq_ignore_ascii_case("close");
    let named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
        .filter(|name| !usual(name))
        .filter_map(|name| name.parse().ok())
        .collect();
    for name in named {
        // Whoever names these would take away what we have put there, or what frames the message.
        if !matches!(name, header::HOST | header::CONTENT_LENGTH) {
            headers.remove(name);
        }
    }
    remove_all(headers, is_hop_by_hop);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    trailers
}

/// Removes those that are there. Mostly few are, and a look at what there is costs less than asking for each.
fn remove_all(headers: &mut HeaderMap, is_one: fn(&HeaderName) -> bool) {
    while let Some(name) = headers.keys().find(|name| is_one(name)).cloned() {
        headers.remove(name);
    }
}

/// Whether a header may come behind a body: not if it frames the message, is between two neighbours, or is about who
/// asks (RFC 9110, 6.5.1).
pub(super) fn may_be_a_trailer(name: &HeaderName) -> bool {
    let about_the_message = matches!(
        *name,
        header::HOST
            | header::CONTENT_LENGTH
            | header::TRAILER
            | header::AUTHORIZATION
            | header::COOKIE
            | header::SET_COOKIE
    );
    !(about_the_message || is_hop_by_hop(name) || is_claim(name))
}

/// The members of a list, without `;` parameters, from every line of that name.
pub(super) fn tokens<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|member| {
        member.split_once(';').map_or(member, |(token, _)| token).trim_matches([' ', '\t'])
    })
}

/// Whether a list has the member.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|t| t.eq_ignore_ascii_case(token))
}

/// The protocol that a request asks to go on with, if it may: h2c would be a way around the routes.
pub(super) fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = headers.get(header::UPGRADE)?;
    let h2c = has_token(headers, &header::UPGRADE, "h2c");
    (has_token(headers, &header::CONNECTION, "upgrade") && !h2c).then(|| wanted.clone())
}

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

/// What goes into the forwarding headers of a request.
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

/// Says who asked for what, and removes what others claim about that.
pub(super) fn forwarded(headers: &mut HeaderMap, about: &Forwarding<'_>) {
    if !about.trusted {
        remove_all(headers, is_claim);
    }
    let is_claimed = |headers: &HeaderMap, name| about.trusted && headers.contains_key(name);
    let mut written = Written::default();
    let peer = about.peer.as_bytes();
    if is_claimed(headers, X_FORWARDED_FOR) {
        written.list(headers, &X_FORWARDED_FOR);
        written.put(peer);
        written.insert(headers, X_FORWARDED_FOR);
    } else {
        headers.insert(X_FORWARDED_FOR, about.peer.clone());
    }
    let proto = if about.visitor.secure { "https" } else { "http" };
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    if !is_claimed(headers, X_FORWARDED_HOST) {
        headers.insert(X_FORWARDED_HOST, about.authority.clone());
    }
    if let Some(prefix) = about.prefix {
        written.put(prefix);
        written.insert(headers, X_FORWARDED_PREFIX);
    }
    if about.trusted {
        written.list(headers, &header::FORWARDED);
    }
    let (open, close) = if peer.contains(&b':') { ("\"[", "]\"") } else { ("", "") };
    let authority = about.authority.as_bytes();
    for part in [b"for=", open.as_bytes(), peer, close.as_bytes(), b";host=\"", authority] {
        written.put(part);
    }
    for part in ["\";proto=", proto] {
        written.put(part);
    }
    written.insert(headers, header::FORWARDED);
    let (trace, span) = about.dice;
    if !(about.trusted && headers.get(X_REQUEST_ID).is_some_and(is_id)) {
        written.hex(&trace.to_be_bytes());
        written.insert(headers, X_REQUEST_ID);
    }
    if !headers.get(TRACEPARENT).is_some_and(is_traceparent) {
        written.put("00-");
        written.hex(&(trace | 1).to_be_bytes());
        written.put("-");
        written.hex(&(span | 1).to_be_bytes());
        written.put("-00");
        written.insert(headers, TRACEPARENT);
        headers.remove(TRACESTATE);
    }
}

/// The id that a request has after [`forwarded`].
pub(super) fn request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(X_REQUEST_ID)
}

/// Values that are written into one piece of memory, which they then share.
struct Written(BytesMut);

impl Default for Written {
    fn default() -> Self {
        // For all that is said of a request with a host of common length.
        Self(BytesMut::with_capacity(320))
    }
}

impl Written {
    fn put(&mut self, text: impl AsRef<[u8]>) {
        self.0.extend_from_slice(text.as_ref());
    }

    /// Two digits for each byte.
    fn hex(&mut self, bytes: &[u8]) {
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        for byte in bytes {
            self.put([digit(byte >> 4), digit(byte & 15)]);
        }
    }

    /// Begins with the list that is there, for another member.
    fn list(&mut self, headers: &HeaderMap, name: &HeaderName) {
        for before in headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok()) {
            self.put(before);
            self.put(", ");
        }
    }

    /// Makes what was put a header, in one line.
    fn insert(&mut self, headers: &mut HeaderMap, name: HeaderName) {
        // What is no header value was no authority, path or address either, and none such comes here.
        if let Ok(value) = HeaderValue::from_maybe_shared(self.0.split().freeze()) {
            headers.insert(name, value);
        }
    }
}

fn is_id(value: &HeaderValue) -> bool {
    (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// `version-trace-span-flags` of W3C Trace Context.
fn is_traceparent(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let hex = |range: std::ops::Range<usize>| {
        let part = &bytes[range];
        part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |range: std::ops::Range<usize>| bytes[range].iter().all(|b| *b == b'0');
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

/// HTTP/2 may send cookies in several lines; HTTP/1.1 has one.
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> =
        headers.get_all(header::COOKIE).into_iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                value.parse().expect("a value"),
            );
        }
        headers
    }

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
        forwarded(headers, &about);
    }

    #[test]
    fn hop_by_hop_headers_end_here() {
        let mut headers = map(&[
            ("connection", "close, X-Secret"),
            ("connection", "host"),
            ("x-secret", "1"),
            ("te", "gzip, trailers;q=1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("proxy-connection", "keep-alive"),
            ("host", "a.test"),
            ("trailer", "grpc-status"),
            ("x-kept", "1"),
        ]);
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["host", "te", "trailer", "x-kept"]);
        assert_eq!(headers["te"], "trailers");
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
        forwarded(&mut headers, &about);
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
    fn an_upgrade_to_h2c_is_not_handed_on() {
        let of = |connection, upgrade| {
            upgrade_of(&map(&[("connection", connection), ("upgrade", upgrade)])).is_some()
        };
        assert!(of("keep-alive, Upgrade", "websocket"));
        assert!(!of("keep-alive", "websocket"));
        assert!(!of("upgrade, http2-settings", "h2c"));
        assert!(!of("upgrade", "websocket, H2C"));
    }
}
