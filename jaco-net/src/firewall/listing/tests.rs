use super::*;
use crate::{Ruleset, firewall::render::TABLE};

/// What `nft -j` shows of a table with one rule, one address pool and one scope.
fn listing(table: &str, rule: &str, pools: &str, scoped: &str, extra: &str) -> Listing {
    let in_table = format!(r#""family": "inet", "table": "{table}""#);
    let json = format!(
        r#"{{"nftables": [
            {{"metainfo": {{"version": "1.0.6"}}}},
            {{"table": {{"family": "inet", "name": "{table}", "handle": 7}}}},
            {{"set": {{{in_table}, "name": "pools4", "type": "ipv4_addr", "handle": 1,
                "flags": ["interval"], "elem": [{pools}]}}}},
            {{"set": {{{in_table}, "name": "scoped4", "type": "ipv4_addr", "handle": 2,
                "flags": ["interval"], "elem": [{scoped}]}}}},
            {{"chain": {{{in_table}, "name": "forward", "handle": 3, "type": "filter",
                "hook": "forward", "prio": 0, "policy": "accept"}}}},
            {{"rule": {{{in_table}, "chain": "forward", "handle": 4, "comment": "why",
                "expr": [{{"counter": {{"packets": 3, "bytes": 180}}}}, {rule}]}}}}
            {extra}
        ]}}"#
    );
    Listing::parse(json.as_bytes(), table).unwrap()
}

const POOL: &str = r#"{"prefix": {"addr": "10.244.0.0", "len": 14}}"#;
const SCOPED: &str =
    r#"{"elem": {"val": {"prefix": {"addr": "10.244.1.0", "len": 24}}, "comment": "a/x"}}"#;
const DROP: &str = r#"{"drop": null}"#;

fn loaded(rule: &str, pools: &str, scoped: &str, extra: &str) -> Loaded {
    let reference = listing("jaco_reference", DROP, "", "", "");
    listing(TABLE, rule, pools, scoped, extra).against(&reference)
}

fn wanted() -> Ruleset {
    let prefixes = ["10.244.1.0/24".parse().unwrap()].into();
    Ruleset {
        pools: ["10.244.0.0/14".parse().unwrap()].into(),
        scopes: [("a/x".parse().unwrap(), prefixes)].into(),
        ..Ruleset::default()
    }
}

#[test]
fn handles_counts_and_the_name_of_the_table_are_no_difference() {
    assert_eq!(loaded(DROP, POOL, SCOPED, ""), Loaded::exactly(wanted()));
}

#[test]
fn another_verdict_is_told_as_what_is_missing_and_what_was_added() {
    let loaded = loaded(r#"{"accept": null}"#, POOL, SCOPED, "");
    let [missing, added] = loaded.differences.as_slice() else { panic!("{loaded:?}") };
    assert!(missing.contains("missing: (why)") && missing.contains("drop"), "{missing}");
    assert!(added.contains("added: (why)") && added.contains("accept"), "{added}");
}

#[test]
fn elements_that_are_none_of_ours_are_told() {
    for (scoped, word) in [
        (r#"{"range": ["10.244.1.0", "10.244.1.9"]}"#, "range"),
        (r#"{"elem": {"val": "10.244.1.1", "timeout": 9, "expires": 3}}"#, "timeout"),
        (r#""fd00::1""#, "fd00::1"),
        (r#"{"elem": {"val": "10.244.1.1", "comment": "no scope"}}"#, "10.244.1.1"),
    ] {
        let loaded = loaded(DROP, POOL, scoped, "");
        assert_eq!(loaded.differences.len(), 1, "{loaded:?}");
        assert!(loaded.differences[0].contains(word), "{loaded:?}");
        assert!(loaded.ruleset.scopes.is_empty(), "{loaded:?}");
    }
}

#[test]
fn whatever_else_is_in_the_table_is_told() {
    let map = r#", {"map": {"family": "inet", "table": "jaco", "name": "m", "type": "mark"}}"#;
    assert_eq!(loaded(DROP, POOL, SCOPED, map).differences, ["map m was added"]);
}

#[test]
fn what_is_no_listing_is_refused() {
    for text in ["", "{}", "[]", r#"{"nftables": [1]}"#, r#"{"nftables": {}}"#] {
        Listing::parse(text.as_bytes(), TABLE).unwrap_err();
        if text != r#"{"nftables": [1]}"# {
            Listing::tables(text.as_bytes()).unwrap_err();
        }
    }
}
