//! What a manifest costs grows with its size and no faster: measured against the parser that has to look
//! at every character anyway, in the same run, so that neither the machine nor the build matters.

use std::time::Duration;

use granit_parser::Parser;
use jaco_api::manifest::{render, resolve};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    large,
    support::{Memory, NAME, compose, jaco},
};

/// What this thread has used of the processor: what else runs on the machine hardly counts.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.try_into().unwrap()
}

/// The least that a run of some takes: what disturbs a run only makes it dearer.
fn least(runs: usize, mut work: impl FnMut()) -> Duration {
    let one = |_| {
        let began = used();
        work();
        used().saturating_sub(began)
    };
    (0..runs).map(one).min().unwrap_or_default()
}

/// How many times as long as the events of the parser the whole answer takes, problems included.
fn cost(text: &str) -> f64 {
    let (jaco, compose, files) = (jaco(NAME), compose(text), Memory::default());
    let whole = least(5, || drop(resolve(&jaco, &compose, &files)));
    let events = least(5, || assert!(Parser::new_from_str(text).all(|event| event.is_ok())));
    whole.as_secs_f64() / events.as_secs_f64()
}

#[test]
fn a_manifest_of_one_mebibyte_costs_a_few_times_what_its_parser_does() {
    let text = large::compose(500);
    assert!((900_000..1_200_000).contains(&text.len()), "{}", text.len());
    let resolved = resolve(&jaco(NAME), &compose(&text), &Memory::default())
        .unwrap_or_else(|p| panic!("{}", render(&p, false)));
    assert_eq!(resolved.document.services.len(), 500);
    let cost = cost(&text);
    assert!(cost < 12.0, "{cost:.1} times the parser");
}

/// `head`, so many items, `tail`.
fn repeated(head: &str, count: usize, item: fn(usize) -> String, tail: &str) -> String {
    let items: String = (0..count).map(item).collect();
    format!("{head}{items}{tail}")
}

/// A kind of file by its number of parts.
type Shape = (&'static str, fn(usize) -> String);

const SHAPES: [Shape; 8] = [
    ("services", |n| large::compose(n / 8)),
    ("variables of one service", |n| {
        let item = |i| format!("      KEY_{i}: \"${{A:-value}} {i}\"\n");
        repeated("services:\n  web:\n    image: a\n    environment:\n", n, item, "")
    }),
    ("one list", |n| {
        let item = |i| format!("      - \"KEY_{i}=value {i}\"\n");
        repeated("services:\n  web:\n    image: a\n    environment:\n", n, item, "")
    }),
    ("one long text", |n| {
        let item = |i| format!("      echo ${{A:-{i}}} $$x\n");
        repeated("services:\n  web:\n    image: a\n    command:\n    - |\n", n, item, "")
    }),
    ("one long line", |n| {
        let item = |i| format!("KEY_{i}: 'v', ");
        repeated("services: {web: {image: a, environment: {", n, item, "}}}\n")
    }),
    ("aliases", |n| {
        let item = |i| format!("  x{i}: *c\n");
        repeated("services: {web: {image: a}}\nx-c: &c {a: b, c: d}\nx-all:\n", n, item, "")
    }),
    ("notices", |n| {
        let item = |i| format!("  s{i}:\n    image: a\n    restart: always\n    links: [s0]\n");
        repeated("services:\n", n / 8, item, "")
    }),
    ("problems", |n| {
        let item =
            |i| format!("  s{i}:\n    imagee: a\n    networks: [no{i}]\n    depends_on: [no]\n");
        repeated("services:\n", n / 8, item, "")
    }),
];

#[test]
fn sixteen_times_the_file_costs_sixteen_times_as_much() {
    for (what, shape) in SHAPES {
        let (small, large) = (cost(&shape(400)), cost(&shape(6_400)));
        // What grows with the square would be sixteen times as much in relation to the parser.
        assert!(large < 4.0 * small.max(1.0), "{what}: {small:.1}, then {large:.1}");
    }
}
