//! One tree over another, by the merge rules of the Compose Specification.
//!
//! Pure. What lies over keeps its tags, so that it can lie over further trees; what lies below has
//! none left. Every value keeps its place: a problem is where it was written.

mod rules;

use std::collections::BTreeMap;

use rules::{FILE, Rule, SERVICE};

use crate::manifest::{
    report::Report,
    yaml::{Entry, Merging, Node, Scalar, Value},
};

/// A service over the one that it extends.
pub(super) fn service(base: Node, over: Node, report: &mut Report<'_>) -> Node {
    merge(base, over, Rule::Keys(SERVICE), report)
}

/// A file over another one.
pub(super) fn files(base: Node, over: Node, report: &mut Report<'_>) -> Node {
    merge(base, over, Rule::Keys(FILE), report)
}

/// The tree as it is when nothing lies below it: what is reset is not there.
pub(super) fn without_tags(mut node: Node) -> Node {
    if node.merging == Merging::Reset {
        return Node::null(node.mark);
    }
    node.merging = Merging::Usual;
    node.value = match node.value {
        Value::Map(mut entries) => {
            entries.retain(|e| e.value.merging != Merging::Reset);
            let plain = entries.into_iter().map(|e| Entry { value: without_tags(e.value), ..e });
            Value::Map(plain.collect())
        }
        Value::List(mut items) => {
            items.retain(|i| i.merging != Merging::Reset);
            Value::List(items.into_iter().map(without_tags).collect())
        }
        scalar => scalar,
    };
    node
}

/// Whether two trees say the same, wherever they are written.
pub(super) fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar(a), Value::Scalar(b)) => a.text == b.text && a.is_null() == b.is_null(),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            let b: BTreeMap<&str, &Node> = b.iter().map(|e| (e.key.as_str(), &e.value)).collect();
            let equal =
                |e: &Entry| b.get(e.key.as_str()).is_some_and(|other| same(&e.value, other));
            a.len() == b.len() && a.iter().all(equal)
        }
        _ => false,
    }
}

fn merge(base: Node, over: Node, rule: Rule, report: &mut Report<'_>) -> Node {
    if over.merging != Merging::Usual || base.is_null() {
        return over;
    }
    match rule {
        Rule::Replace => over,
        Rule::Usual => usual(base, over, |_| Rule::Usual, report),
        Rule::Keys(keys) => usual(base, over, |key| rules::of(keys, key), report),
        Rule::Each(rule) => usual(base, over, |_| *rule, report),
        Rule::Either => match (&base.value, &over.value) {
            (Value::Map(_), Value::Map(_)) => usual(base, over, |_| Rule::Usual, report),
            _ => over,
        },
        Rule::Logging => {
            let driver = |n: &Node| n.get("driver").and_then(Node::as_text).map(str::to_owned);
            match (driver(&base), driver(&over)) {
                (Some(before), Some(after)) if before != after => over,
                _ => usual(base, over, |_| Rule::Usual, report),
            }
        }
        Rule::Pairs => usual(named(base, pair), named(over, pair), |_| Rule::Replace, report),
        Rule::Dependencies => {
            usual(named(base, dependency), named(over, dependency), |_| Rule::Usual, report)
        }
        Rule::Names => usual(named(base, name), named(over, name), |_| Rule::Usual, report),
        Rule::Unique(key) => {
            unique(usual(listed(base), listed(over), |_| Rule::Usual, report), key)
        }
    }
}

/// Mappings key by key, lists one after the other; anything else is replaced.
fn usual(base: Node, over: Node, rule: impl Fn(&str) -> Rule, report: &mut Report<'_>) -> Node {
    let (mark, merging) = (over.mark, over.merging);
    let value = match (base.value, over.value) {
        (Value::Map(base), Value::Map(over)) => Value::Map(mappings(base, over, rule, report)),
        (Value::List(mut base), Value::List(over)) => {
            base.extend(over);
            Value::List(base)
        }
        (Value::Scalar(_), over @ Value::Scalar(_)) => over,
        // Nothing over something with parts changes nothing.
        (parts, Value::Scalar(over)) if over.is_null() => parts,
        (below, over) => {
            let node = |value| Node { mark, value, merging };
            let there = Node { mark: base.mark, value: below, merging };
            let over = node(over);
            let file = report.file_of(there.mark).to_owned();
            let message = format!(
                "{} is {} here and {} in {file}:{}, so they cannot be merged",
                report.subject(),
                over.kind(),
                there.kind(),
                there.mark.line
            );
            let hint = "write both alike, or `!override` before this one to replace the other";
            report.error_hint(mark, message, hint);
            return over;
        }
    };
    Node { mark, value, merging }
}

fn mappings(
    mut base: Vec<Entry>,
    over: Vec<Entry>,
    rule: impl Fn(&str) -> Rule,
    report: &mut Report<'_>,
) -> Vec<Entry> {
    let places: BTreeMap<String, usize> =
        base.iter().enumerate().map(|(at, e)| (e.key.clone(), at)).collect();
    for entry in over {
        let Some(at) = places.get(&entry.key) else {
            base.push(entry);
            continue;
        };
        let below = std::mem::replace(&mut base[*at].value, Node::null(entry.mark));
        let rule = rule(&entry.key);
        let value = report.within(&entry.key, |report| merge(below, entry.value, rule, report));
        base[*at] = Entry { key: entry.key, mark: entry.mark, value };
    }
    base
}

/// A list as a mapping, when each of its items is an entry; else as it is.
fn named(node: Node, entry: fn(&Node) -> Option<Entry>) -> Node {
    let Value::List(items) = &node.value else { return node };
    let Some(entries) = items.iter().map(entry).collect::<Option<Vec<Entry>>>() else {
        return node;
    };
    let mut out: Vec<Entry> = Vec::with_capacity(entries.len());
    let mut places = BTreeMap::new();
    for entry in entries {
        match places.get(&entry.key) {
            Some(at) => out[*at] = entry,
            None => {
                places.insert(entry.key.clone(), out.len());
                out.push(entry);
            }
        }
    }
    Node { value: Value::Map(out), ..node }
}

/// `KEY=value` or `KEY`.
fn pair(item: &Node) -> Option<Entry> {
    let text = item.as_text()?;
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Node::text(item.mark, value)),
        None => (text, Node::null(item.mark)),
    };
    (!key.is_empty()).then(|| Entry { key: key.to_owned(), mark: item.mark, value })
}

/// A name without options.
fn name(item: &Node) -> Option<Entry> {
    let key = item.as_text()?.to_owned();
    Some(Entry { key, mark: item.mark, value: Node::null(item.mark) })
}

/// The name of a dependency without options, which is a dependency with these.
fn dependency(item: &Node) -> Option<Entry> {
    let option = |key: &str, value: &str| {
        let value = Scalar { text: value.to_owned(), plain: true };
        let value = Node::new(item.mark, Value::Scalar(value));
        Entry { key: key.to_owned(), mark: item.mark, value }
    };
    let options = vec![option("condition", "service_started"), option("required", "true")];
    let value = Node::new(item.mark, Value::Map(options));
    Some(Entry { key: item.as_text()?.to_owned(), mark: item.mark, value })
}

/// One value as a list of it, and hosts by name as a list of `name=address`.
fn listed(node: Node) -> Node {
    let items = match &node.value {
        Value::List(_) => return node,
        Value::Scalar(s) if s.is_null() => return node,
        Value::Scalar(_) => vec![Node::new(node.mark, node.value.clone())],
        Value::Map(entries) => {
            let host = |entry: &Entry| {
                let text =
                    |n: &Node| Some(Node::text(n.mark, format!("{}={}", entry.key, n.as_text()?)));
                match &entry.value.value {
                    Value::List(all) => all.iter().map(text).collect(),
                    _ => text(&entry.value).map(|one| vec![one]),
                }
            };
            match entries.iter().map(host).collect::<Option<Vec<Vec<Node>>>>() {
                Some(hosts) => hosts.concat(),
                None => return node,
            }
        }
    };
    Node { value: Value::List(items), ..node }
}

/// Of items with the same key the last one, in the place of the first.
fn unique(node: Node, key: fn(&Node) -> Option<String>) -> Node {
    let Value::List(items) = node.value else { return node };
    let mut out: Vec<Node> = Vec::with_capacity(items.len());
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for item in items {
        let key = key(&item);
        match key.as_ref().and_then(|key| places.get(key)) {
            Some(at) => out[*at] = item,
            None => {
                places.extend(key.map(|key| (key, out.len())));
                out.push(item);
            }
        }
    }
    Node { value: Value::List(out), ..node }
}
