//! The header that a published port announces visitors with.

use jaco_api::{
    manifest::diff,
    model::{Protocol, ProxyProtocol, PublishedPort},
};

use crate::support::{Memory, NAME, problems, resolved, service};

fn published(port: &str) -> String {
    format!("services: {{web: {{image: w, ports: [{{target: 80, published: 8080, {port}}}]}}}}\n")
}

#[test]
fn a_port_asks_for_a_header() {
    for (text, version) in [
        ("x-jaco-proxy-protocol: v1", Some(ProxyProtocol::V1)),
        ("protocol: tcp, x-jaco-proxy-protocol: v2", Some(ProxyProtocol::V2)),
        ("x-jaco-proxy-protocol: ", None),
        ("x-other: v2, x-jacob: v2", None),
    ] {
        let (schedule, _) = service(&published(text), "web");
        assert_eq!(schedule.ports[0].proxy_protocol, version, "{text}");
    }
}

#[test]
fn headers_that_cannot_be_are_refused_where_they_stand() {
    for (text, words) in [
        ("x-jaco-proxy-protocol: v3", "must be one of v1, v2, not `v3`"),
        ("x-jaco-proxy-protocol: [v1]", "x-jaco-proxy-protocol"),
        ("protocol: udp, x-jaco-proxy-protocol: v2", "datagrams have no beginning"),
        // Ours, so that one that is misspelt is no extension of somebody else.
        ("x-jaco-proxy-protcol: v2", "unknown key `x-jaco-proxy-protcol`"),
    ] {
        let found = problems(NAME, &published(text));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].message.contains(words), "{text}: {}", found[0].message);
        assert_eq!((found[0].file.as_str(), found[0].line), ("compose.yml", 1), "{text}");
    }
}

#[test]
fn a_port_that_was_stored_without_it_asks_for_none() {
    let old = r#"{"published":8080,"target":80,"protocol":"tcp"}"#;
    let port: PublishedPort = serde_json::from_str(old).unwrap();
    let expected = PublishedPort {
        published: Some(8080),
        target: 80,
        protocol: Protocol::Tcp,
        proxy_protocol: None,
    };
    assert_eq!(port, expected);
    assert_eq!(serde_json::to_string(&port).unwrap(), old);
    let asking = PublishedPort { proxy_protocol: Some(ProxyProtocol::V2), ..port };
    let text = serde_json::to_string(&asking).unwrap();
    assert!(text.ends_with(r#""proxy_protocol":"v2"}"#), "{text}");
    assert_eq!(serde_json::from_str::<PublishedPort>(&text).unwrap(), asking);
}

#[test]
fn a_change_of_it_is_shown() {
    let manifest = |port| resolved(NAME, &published(port), &Memory::default()).document;
    let (old, new) = (manifest("protocol: tcp"), manifest("x-jaco-proxy-protocol: v2"));
    let shown = format!("{:?}", diff(Some(&old), &new, false));
    assert!(shown.contains("8080:80/tcp (PROXY v2)"), "{shown}");
}
