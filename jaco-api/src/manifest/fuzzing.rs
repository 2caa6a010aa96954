//! Names for the readers that have none outside, so that the fuzzer reaches each by itself.

use std::{collections::BTreeMap, ops::Range};

use super::{
    Diagnostic, compose, dotenv, interpolate,
    report::{Mark, Report},
    values, without_bom, yaml,
    yaml::Node,
};
use crate::model::Span;

/// A YAML document as the JSON that is sent, and the problems of its text.
pub fn yaml(name: &str, text: &str) -> (Option<String>, Vec<Diagnostic>) {
    let text = without_bom(text);
    let mut report = Report::new(name, text);
    let tree = yaml::read(text, &mut report);
    (tree.map(|root| yaml::to_json(&root)), report.finish())
}

/// The variables of a dotenv file, or the line that is wrong and why.
pub fn dotenv(
    text: &str,
    outer: &BTreeMap<String, String>,
    raw: bool,
) -> Result<BTreeMap<String, Option<String>>, (usize, String)> {
    let read = if raw { dotenv::read_raw(text) } else { dotenv::read(text, outer) };
    read.map_err(|problem| (problem.line, problem.message))
}

/// A text with its variables filled in, or the bytes that are wrong and why.
pub fn interpolate(
    text: &str,
    variables: &BTreeMap<String, String>,
    most: usize,
) -> Result<String, (Range<usize>, String)> {
    interpolate::interpolate(text, variables, most)
        .map(|done| done.text)
        .map_err(|problem| (problem.start..problem.end, problem.message))
}

fn value<T>(text: &str, read: impl FnOnce(&Node, &mut Report<'_>) -> T) -> T {
    read(&Node::text(Mark::default(), text), &mut Report::new("value", text))
}

/// A length of time.
pub fn duration(text: &str) -> Option<Span> {
    value(text, values::duration)
}

/// An amount of memory.
pub fn bytes(text: &str) -> Option<u64> {
    value(text, values::bytes)
}

/// The words of a command.
pub fn command(text: &str) -> Option<Vec<String>> {
    value(text, values::command)
}

/// First and last of a range of ports.
pub fn ports(text: &str) -> Result<(u16, u16), String> {
    values::port_range(text).map(|range| (range.first, range.last))
}

/// A placement constraint in its one spelling.
pub fn constraint(text: &str) -> Result<String, String> {
    compose::constraint(text)
}
