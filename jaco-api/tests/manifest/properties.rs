//! Whatever the bytes, an answer comes; whatever is sent, the daemon reads the same from it.

use std::time::Instant;

use jaco_api::manifest::{Severity, check, render, resolve};
use proptest::{collection::vec, prelude::*};

use crate::support::{Memory, NAME, compose, jaco, same_when_checked};

const RICH: &str = include_str!("rich.yml");
const RICH_JACO: &str = include_str!("rich.jaco.yml");

fn files() -> Memory {
    Memory::with(&[
        (".env", "TAG=1\nX=\"a b\"\n"),
        ("a.env", "A=1\nB='$X'\n"),
        ("rich.yml", RICH),
        ("rest.yml", "services: {rest: {image: r, labels: {a: b}, ports: ['1:1']}}\n"),
    ])
}

/// Runs everything on two texts: nothing panics, places are sane, what is sent reads the same.
fn exercise(jaco_text: &str, compose_text: &str) {
    let (j, c) = (jaco(jaco_text), compose(compose_text));
    let _ = check(&j, &c).map_err(|p| render(&p, true));
    match resolve(&j, &c, &files()) {
        Ok(resolved) => same_when_checked(&resolved),
        Err(problems) => {
            assert!(problems.iter().any(|d| d.severity == Severity::Error));
            for d in &problems {
                assert!(d.line >= 1 && d.column >= 1 && d.length >= 1);
                assert!(!d.message.is_empty() && d.message.len() < 4096);
                assert!(d.source.len() <= 240);
            }
            assert!(problems.len() <= 404);
            let _ = render(&problems, false);
        }
    }
}

#[test]
fn the_rich_example_is_valid() {
    let resolved = resolve(&jaco(RICH_JACO), &compose(RICH), &files())
        .unwrap_or_else(|p| panic!("{}", render(&p, false)));
    assert_eq!(resolved.warnings, []);
    same_when_checked(&resolved);
}

/// A short piece of what manifests are made of.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("${".to_owned()),
        Just("}".to_owned()),
        Just("$$".to_owned()),
        Just(": ".to_owned()),
        Just("\n".to_owned()),
        Just("\n  ".to_owned()),
        Just("- ".to_owned()),
        Just("*a".to_owned()),
        Just("&a ".to_owned()),
        Just("<<: ".to_owned()),
        Just("!!str ".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("[".to_owned()),
        Just("{".to_owned()),
        Just("|\n".to_owned()),
        Just("---\n".to_owned()),
        Just("null".to_owned()),
        Just("-1".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("\t".to_owned()),
        Just("\u{0}".to_owned()),
        Just("\u{85}\u{2028}\u{feff}".to_owned()),
        "\\PC{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400), other in vec(any::<u8>(), 0..200)) {
        exercise(&String::from_utf8_lossy(&other), &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_yaml_never_panics(parts in vec(fragment(), 0..40)) {
        let text = parts.concat();
        exercise(NAME, &text);
        exercise(&text, "services: {web: {image: a}}");
        exercise(NAME, &format!("services:\n  web:\n    image: a\n    {text}"));
        let over = format!("include: [rest.yml]\nservices:\n  web:\n    extends: {{file: rich.yml, service: web}}\n    {text}");
        exercise(NAME, &over);
    }

    #[test]
    fn mutated_manifests_never_panic(
        edits in vec((any::<prop::sample::Index>(), 0..12_usize, fragment()), 1..6),
        in_jaco in any::<bool>(),
    ) {
        let mut text = if in_jaco { RICH_JACO } else { RICH }.to_owned();
        for (at, remove, insert) in edits {
            let at = at.index(text.len() + 1);
            let at = (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
            let end = (at + remove).min(text.len());
            let end = (end..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len());
            text.replace_range(at..end, &insert);
        }
        if in_jaco { exercise(&text, RICH) } else { exercise(RICH_JACO, &text) }
    }

    #[test]
    fn every_value_survives_the_way_to_the_daemon(value in any::<String>(), name in "[A-Z]{1,8}") {
        // A value with any characters comes from an env file, so that YAML's own limits do not count.
        // There a backslash before the closing quote would take its meaning away.
        let escaped: String = value.chars().filter(|c| *c != '\0' && *c != '\'').collect();
        let escaped = escaped.trim_end_matches('\\');
        let files = Memory::with(&[(".env", &format!("{name}='{escaped}'"))]);
        let manifest = format!(
            "services:\n  web:\n    image: a\n    environment:\n      K: \"${{{name}}}\"\n    command: [\"x${name}\", \"$${name}\"]\n"
        );
        let resolved = resolve(&jaco("deployment: shop\nenvironment: .env\n"), &compose(&manifest), &files);
        let resolved = resolved.map_err(|p| TestCaseError::fail(render(&p, false)))?;
        let spec = &resolved.document.services["web"].1;
        prop_assert_eq!(spec.environment["K"].as_deref(), Some(escaped));
        let words = [format!("x{escaped}"), format!("${name}")];
        prop_assert_eq!(spec.command.as_deref(), Some(&words[..]));
        same_when_checked(&resolved);
    }
}

#[test]
fn hostile_manifests_are_refused_in_bounded_time() {
    let most = 512 << 10;
    let repeat = |head: &str, mut item: Box<dyn FnMut(usize) -> String>, tail: &str| {
        let mut out = head.to_owned();
        for i in 0.. {
            let next = item(i);
            if out.len() + next.len() + tail.len() >= most {
                break;
            }
            out.push_str(&next);
        }
        out + tail
    };
    let web = "services:\n  web: {image: a, ";
    let cases = [
        ("unknown keys", repeat("services:\n  web:\n", Box::new(|i| format!("    k{i}:\n")), "")),
        ("services", repeat("services:\n", Box::new(|i| format!("  s{i}: {{image: a}}\n")), "")),
        (
            "dependencies",
            repeat(
                web,
                Box::new(|i| if i == 0 { "depends_on: [x".into() } else { format!(",d{i}") }),
                "]}\n",
            ),
        ),
        (
            "networks",
            repeat(
                web,
                Box::new(|i| if i == 0 { "networks: [x".into() } else { format!(",n{i}") }),
                "]}\n",
            ),
        ),
        (
            "mounts",
            repeat(
                web,
                Box::new(|i| if i == 0 { "volumes: ['d:/x'".into() } else { format!(",'d:/{i}'") }),
                "]}\nvolumes: {d: }\n",
            ),
        ),
        (
            "links",
            repeat(
                web,
                Box::new(|i| if i == 0 { "links: ['w:x'".into() } else { format!(",'w:{i}'") }),
                "]}\n  w: {image: w}\n",
            ),
        ),
        (
            "ports",
            repeat(
                web,
                Box::new(|i| if i == 0 { "ports: ['1-9'".into() } else { ",1-9".into() }),
                "]}\n",
            ),
        ),
        (
            "exposed",
            repeat(
                "services:\n",
                Box::new(|i| format!("  s{i}: {{image: a, expose: [1-999]}}\n")),
                "",
            ),
        ),
        ("braces", "{".repeat(most)),
        ("dashes", "- ".repeat(most / 2)),
        ("quotes", "\"\\n".repeat(most / 3)),
        ("anchors", repeat("", Box::new(|i| format!("&a{i} x: *a{i}\n")), "")),
    ];
    for (what, text) in cases {
        assert!(text.len() <= most + 1);
        let began = Instant::now();
        let problems = check(&jaco(NAME), &compose(&text)).map(|_| ()).unwrap_err();
        let took = began.elapsed();
        assert!(problems.len() <= 202, "{what}");
        assert!(took.as_secs() < 20, "{what}: {took:?}");
    }
}
