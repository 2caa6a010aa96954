//! What a route may ask for, and the words that wrong wishes are refused with.

use std::{collections::BTreeMap, fmt::Write as _};

use jaco_api::{
    manifest::{check, diff, mask, mask_passwords, render},
    model::{
        HeaderChanges, HeaderRules, Password, RedirectSpec, RequestRate, RouteOptions,
        RouteProtocol, Span, Stickiness,
    },
};

use crate::support::{Memory, compose, jaco, problems, resolved};

const WEB: &str = "services:\n  web:\n    image: nginx\n";

fn manifest(options: &str) -> String {
    format!(
        "deployment: shop\nroutes:\n  - domain: shop.example\n    path: /api\n    service: web\n    port: 80\n    {options}\n"
    )
}

fn options(options: &str) -> RouteOptions<Password> {
    let document = resolved(&manifest(options), WEB, &Memory::default()).document;
    document.routes[0].options.clone()
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn every_option_has_its_forms() {
    let expected = RouteOptions {
        strip_path: true,
        redirect_to: None,
        headers: HeaderRules {
            request: HeaderChanges {
                set: texts(&[("x-tenant", "shop")]),
                remove: vec!["x-debug".to_owned()],
            },
            response: HeaderChanges {
                set: texts(&[("cache-control", "max-age=60, public")]),
                remove: vec!["server".to_owned(), "x-powered-by".to_owned()],
            },
        },
        timeout: Some(Span::secs(90)),
        max_body: Some(10 << 20),
        sticky: Some(Stickiness::Cookie),
        basic_auth: [("ann".to_owned(), Password("s3:cret".to_owned()))].into(),
        rate_limit: Some(RequestRate { requests: 10, per: Span::secs(1), burst: 20 }),
        allow: vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.7/32".parse().unwrap()],
        deny: vec!["2001:db8::/32".parse().unwrap()],
        compress: true,
        protocol: RouteProtocol::H2c,
    };
    let given = options(
        "strip_path: yes
    headers:
      request: {set: {X-Tenant: shop}, remove: X-Debug}
      response: {set: {Cache-Control: 'max-age=60, public'}, remove: [X-Powered-By, Server]}
    timeout: 1m30s
    max_body: 10m
    sticky: cookie
    basic_auth: {ann: 's3:cret'}
    rate_limit: {requests: 10, burst: 20}
    allow: [10.0.0.0/8, 192.0.2.7]
    deny: 2001:db8::/32
    compress: true
    protocol: grpc",
    );
    assert_eq!(given, expected);
    let headers = options("headers: {X-Frame-Options: DENY, X-Number: 1.10}").headers;
    assert_eq!(headers.request, HeaderChanges::default());
    assert_eq!(headers.response.set, texts(&[("x-frame-options", "DENY"), ("x-number", "1.10")]));
    let mapped = options("allow: ['::ffff:10.0.0.0/104', '::ffff:192.0.2.7']").allow;
    assert_eq!(
        mapped.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.0.0.0/8", "192.0.2.7/32"]
    );
    let nothing = "strip_path: no\n    headers: \n    allow: \n    basic_auth: \n    timeout: ";
    assert_eq!(options(nothing), RouteOptions::default());
}

#[test]
fn rates_and_redirects_have_short_forms() {
    let rate = |text: &str| options(&format!("rate_limit: {text}")).rate_limit.unwrap();
    for (text, requests, per) in [
        ("10/s", 10, Span::secs(1)),
        ("600/m", 600, Span::secs(60)),
        ("100r/min", 100, Span::secs(60)),
        ("5 / 10s", 5, Span::secs(10)),
        ("1/h", 1, Span::secs(3600)),
    ] {
        assert_eq!(rate(text), RequestRate { requests, per, burst: requests }, "{text}");
    }
    let to = |text: &str| options(&format!("redirect_to: {text}")).redirect_to.unwrap();
    for (text, url, permanent, keep_path) in [
        ("https://b.example", "https://b.example", false, true),
        ("https://b.example/", "https://b.example", false, true),
        ("https://b.example/new?x=1#y", "https://b.example/new?x=1#y", false, false),
        ("{url: 'https://b.example/v2', keep_path: true}", "https://b.example/v2", false, true),
        (
            "{url: 'http://b.example', permanent: true, keep_path: no}",
            "http://b.example",
            true,
            false,
        ),
    ] {
        let url = url.to_owned();
        assert_eq!(to(text), RedirectSpec { url, permanent, keep_path }, "{text}");
    }
}

#[test]
fn wrong_options() {
    let long = "a".repeat(20_000);
    let plain = [
        (
            "wrong types",
            "strip_path: maybe\n    compress: {}\n    sticky: sometimes\n    protocol: https\n    headers: text\n    basic_auth: [ann]\n    allow: {}\n    timeout: [1s]\n    max_body: []",
        ),
        ("times", "timeout: -1s"),
        ("no time", "timeout: 0s"),
        ("a time without a unit", "timeout: 30"),
        ("too long a time", "timeout: 2d"),
        ("sizes", "max_body: -10m"),
        ("no size", "max_body: 0"),
        ("a size that is none", "max_body: ten"),
        ("rates", "rate_limit: 0/s"),
        ("a rate of nothing", "rate_limit: 0"),
        ("a rate without a time", "rate_limit: 10"),
        ("a rate in no time", "rate_limit: 10/0s"),
        ("a rate in a time that is none", "rate_limit: 10/fortnight"),
        ("a negative rate", "rate_limit: -1/s"),
        ("a rate beyond all", "rate_limit: 99999999999/s"),
        ("a mapping of a rate", "rate_limit: {requests: 0, per: 0s, burst: -1, brust: 2}"),
        ("a mapping without a rate", "rate_limit: {per: 1m}"),
        (
            "blocks",
            "allow: [10.0.0.0/33, 10.0.0.5/8, shop.example, '*', 10.0.0, 10.0.0.1, 10.0.0.1/32, '::1/129']",
        ),
        ("empty lists", "allow: []\n    deny: []\n    basic_auth: {}"),
        (
            "users",
            "basic_auth:\n      'a:b': hunter2\n      '': hunter2\n      nothing:\n      empty: ''\n      list: [hunter2]\n      hashed: $2y$05$hunter2\n      broken: \"hunter2\\nx\"",
        ),
        (
            "names of headers",
            "headers: {'X Y': a, '': b, Host: c, Content-Length: '5', transfer-encoding: chunked, Connection: close, 'X:Y': d}",
        ),
        (
            "values of headers",
            "headers:\n      X-Line: \"a\\r\\nSet-Cookie: b=c\"\n      X-Nothing:\n      X-Umlaut: ä\n      X-List: [a]",
        ),
        ("headers twice", "headers: {response: {set: {X-A: a, x-a: b}, remove: [X-B, x-b]}}"),
        (
            "secrets in headers",
            "headers: {request: {set: {Authorization: Bearer hunter2, Cookie: a=b}, remove: [Authorization]}}",
        ),
        ("keys of headers", "headers: {request: {sett: {X-A: a}}, X-B: b}"),
        ("removed headers", "headers: {request: {remove: [Host, 'X Y', Upgrade]}}"),
        ("redirects", "redirect_to: b.example"),
        ("a redirect within", "redirect_to: /new"),
        ("a redirect to a program", "redirect_to: 'javascript:alert(1)'"),
        ("a redirect to files", "redirect_to: ftp://b.example"),
        ("a redirect with a password", "redirect_to: https://ann:hunter@b.example"),
        ("a redirect to no host", "redirect_to: https://"),
        ("a redirect with a pattern", "redirect_to: 'https://b.example{uri}'"),
        ("a redirect with a line", "redirect_to: \"https://b.example/\\r\\nX: y\""),
        ("a path behind a query", "redirect_to: {url: 'https://b.example/?x', keep_path: true}"),
        ("a mapping without a url", "redirect_to: {permanent: true}"),
        (
            "without effect",
            "redirect_to: https://b.example\n    strip_path: true\n    timeout: 1s\n    sticky: ip\n    compress: true\n    max_body: 1m\n    protocol: h2c",
        ),
    ];
    let mut cases: Vec<(String, String)> =
        plain.map(|(title, text)| (title.to_owned(), manifest(text))).into();
    let head = "deployment: shop\nroutes:\n  - ";
    for path in ["^/api/.*", "/a/*", "'*'", "/users/{id}", "'~ ^/x$'", "/x/(.*)"] {
        let text =
            format!("{head}{{domain: a.example, service: web, port: 80, path: \"{path}\"}}\n")
                .replace("\"'", "'")
                .replace("'\"", "'");
        cases.push((format!("a pattern for a path: {path}"), text));
    }
    let text = format!("{head}{{domain: {long}.example, service: web, port: 80}}\n");
    cases.push(("a domain of 20,000 characters".to_owned(), text));
    let text = format!("{head}{{domain: a.example, service: web, port: 80, strip_path: true}}\n");
    cases.push(("nothing to strip".to_owned(), text));
    for email in ["ops", "a@b@c.d", "mailto:ops@shop.example", "ops@localhost", "'a b@c.d'", "[]"] {
        let text = format!("deployment: shop\nacme_email: {email}\n");
        cases.push((format!("an address of mail: {email}"), text));
    }
    let mut out = String::new();
    for (title, text) in &cases {
        let found = problems(text, WEB);
        assert!(!found.is_empty(), "nothing is said about: {title}");
        let _ = writeln!(out, "=== {title} ===\n{}", render(&found, false));
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(out) });
}

#[test]
fn no_password_is_in_what_the_daemon_answers() {
    let users = "basic_auth: {ann: hunter2, 'b:c': hunter3, cy: $2y$hunter4, dee: [hunter5]}\n    tls: 'a b'";
    let problems = check(&jaco(&manifest(users)), &compose(WEB)).unwrap_err();
    assert!(problems.len() >= 4, "{problems:?}");
    let text = format!("{problems:?}{}", render(&problems, false));
    assert!(!text.contains("hunter"), "{text}");
    // A line that holds none is shown.
    assert!(text.contains("tls: 'a b'"), "{text}");
}

#[test]
fn passwords_are_never_shown_as_a_difference() {
    let document = |text: &str| resolved(&manifest(text), WEB, &Memory::default()).document;
    let old = document("basic_auth: {ann: hunter2}");
    let new = document("basic_auth: {ann: hunter3, bob: hunter4}");
    for show_secrets in [false, true] {
        let found = diff(Some(&old), &new, show_secrets);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].subject, "route shop.example/api");
        let masked = || Some("•••".to_owned());
        assert_eq!(found[0].fields["basic_auth.ann"], (masked(), masked()));
        assert_eq!(found[0].fields["basic_auth.bob"], (None, masked()));
        assert!(!format!("{found:?}").contains("hunter"));
    }
    assert_eq!(diff(Some(&old), &old, true), []);
    for shown in [mask(&new), mask_passwords(&new)] {
        let text = serde_json::to_string(&shown).unwrap();
        assert!(!text.contains("hunter") && text.contains(r#""ann":"•••""#), "{text}");
    }
    let other = document("strip_path: true\n    allow: [10.0.0.0/8]\nacme_email: ops@shop.example");
    let found = diff(Some(&document("compress: true")), &other, false);
    let fields: Vec<_> = found.iter().flat_map(|d| d.fields.iter()).collect();
    let some = |text: &str| Some(text.to_owned());
    let expected = [
        ("allow", (None, some("[10.0.0.0/8]"))),
        ("compress", (some("true"), None)),
        ("strip_path", (None, some("true"))),
        ("acme_email", (None, some("ops@shop.example"))),
    ];
    let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    assert_eq!(
        fields.into_iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(found[1].subject, "certificates");
}
