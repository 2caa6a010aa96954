//! What becomes of headers on their way through: pure.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What a proxy in front of us says about a visitor. Nobody else may say it.
pub(super) fn is_claim(name: &HeaderName) -> bool {
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
pub(super) fn remove_all(headers: &mut HeaderMap, is_one: fn(&HeaderName) -> bool) {
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
    headers.get_all(name).into_iter().flat_map(members)
}

/// The members in one line of a list.
pub(super) fn members(line: &HeaderValue) -> impl Iterator<Item = &str> {
    line.to_str().into_iter().flat_map(|line| line.split(',')).map(|member| {
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
pub(super) mod tests {
    use super::*;

    pub(in crate::proxy) fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                value.parse().expect("a value"),
            );
        }
        headers
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
