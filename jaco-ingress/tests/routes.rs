//! The route table against a naive model, and what it costs.

use std::{hint::black_box, time::Instant};

use jaco_ingress::route::{Reason, Table, host_of, normal};
use proptest::prelude::*;

/// What the table must find: looked for the slow way.
fn naive<'a>(
    routes: &'a [(String, String)],
    host: &str,
    path: &str,
) -> Option<&'a (String, String)> {
    let wildcard = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let levels = [Some(host.to_owned()), wildcard, Some(String::new())];
    let domain = levels.into_iter().flatten().find(|d| routes.iter().any(|r| r.0 == *d))?;
    let matches = |prefix: &str| {
        let prefix = prefix.trim_end_matches('/');
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let fitting = routes.iter().filter(|r| r.0 == domain && matches(&r.1));
    fitting.max_by_key(|r| r.1.trim_end_matches('/').len())
}

fn domain() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[ab]\\.(x|y)\\.test",
        "\\*\\.(x|y)\\.test",
        "(x|y)\\.test",
        "\\*\\.test",
    ]
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof!["(/[ab]{1,2}){0,4}/?"].prop_map(|p| if p.is_empty() { "/".into() } else { p })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn the_table_finds_what_a_naive_search_finds(
        routes in prop::collection::vec((domain(), path()), 0..12),
        host in prop_oneof!["[abc]\\.(x|y|z)\\.test", "(x|y)\\.test", "[0-9]\\.[0-9]"],
        asked in path(),
    ) {
        let written = routes.iter().map(|(d, p)| (&**d, &**p, (d.clone(), p.clone())));
        let (table, left_out) = Table::compile(written);
        prop_assert_eq!(table.len() + left_out.len(), routes.len());
        prop_assert!(left_out.iter().all(|l| l.reason == Reason::Taken));
        // Of equal ones the first serves.
        let mut kept: Vec<(String, String)> = Vec::new();
        for (d, p) in &routes {
            let same = |k: &&(String, String)| {
                k.0 == *d && k.1.trim_end_matches('/') == p.trim_end_matches('/')
            };
            if !kept.iter().any(|k| same(&k)) {
                kept.push((d.clone(), p.clone()));
            }
        }
        prop_assert_eq!(table.find(&host, &asked), naive(&kept, &host, &asked));
    }

    #[test]
    fn no_host_or_path_is_too_strange(host in ".{0,40}", path in "/.{0,60}") {
        let table = Table::compile([("*.test", "/a", 1), ("", "/", 2)]).0;
        let _ = host_of(&host);
        let plain = normal(&path);
        prop_assert_eq!(normal(&plain), plain.as_ref());
        let _ = table.find(&host, &path);
    }
}

#[test]
fn a_prefix_ends_on_a_border() {
    let table = Table::compile([("a.test", "/api", "api"), ("a.test", "/api/v2/", "v2")]).0;
    for (path, found) in [
        ("/api", Some("api")),
        ("/api/", Some("api")),
        ("/api/x", Some("api")),
        ("/apix", None),
        ("/", None),
        ("/api/v2", Some("v2")),
        ("/api/v2/x", Some("v2")),
        ("/api/v20", Some("api")),
    ] {
        assert_eq!(table.find("a.test", path).copied(), found, "{path}");
    }
}

#[test]
fn who_has_a_host_has_all_its_paths() {
    let table = Table::compile([("a.test", "/api", "exact"), ("*.test", "/", "wildcard")]).0;
    assert_eq!(table.find("a.test", "/other"), None);
    assert_eq!(table.find("b.test", "/other"), Some(&"wildcard"));
    assert_eq!(table.find("x.b.test", "/other"), None);
}

#[test]
fn a_route_that_is_none_is_told_and_the_others_serve() {
    let (table, left_out) = Table::compile([
        ("a..test", "/", 1),
        ("a.test", "x", 2),
        ("a.test", "/?", 3),
        ("", "/", 4),
    ]);
    assert_eq!(left_out.len(), 3);
    assert!(matches!(left_out[0].reason, Reason::Domain(_)));
    assert_eq!(left_out[1].reason, Reason::Path);
    assert_eq!(table.find("a.test", "/"), Some(&4));
}

/// Time of one look-up with so many routes, in nanoseconds: the best of many rounds, each short enough to run without
/// being interrupted.
fn cost(routes: usize) -> f64 {
    const ROUND: u32 = 1000;
    let written: Vec<(String, String)> = (0..routes)
        .map(|n| (format!("host-{}.example.com", n / 4), format!("/path-{}", n % 4)))
        .collect();
    let table = Table::compile(written.iter().map(|(d, p)| (&**d, &**p, ()))).0;
    let asked: Vec<(String, String)> =
        written.iter().map(|(d, p)| (d.clone(), format!("{p}/a/b/c"))).collect();
    let mut asking = asked.iter().cycle().step_by(7);
    let mut round = || {
        let began = Instant::now();
        for (host, path) in asking.by_ref().take(ROUND as usize) {
            black_box(table.find(black_box(host), black_box(path)).expect("found"));
        }
        began.elapsed().as_nanos() as f64 / f64::from(ROUND)
    };
    (0..100).map(|_| round()).fold(f64::INFINITY, f64::min)
}

#[test]
fn ten_thousand_routes_cost_about_as_much_as_ten() {
    let (few, many) = (cost(10), cost(10_000));
    println!("10 routes: {few:.0} ns, 10,000 routes: {many:.0} ns, {:.1} times", many / few);
    // Twice is usual. A search through all of them would be a thousand times.
    assert!(many < few * 50.0, "{few:.0} ns with 10 routes, {many:.0} ns with 10,000");
}
