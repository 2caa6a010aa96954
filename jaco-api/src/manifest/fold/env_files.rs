//! Env files and label files: read here, and what they hold put where it belongs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Folding, Known};
use crate::manifest::{
    FileProblem, dotenv,
    fields::{Schema, accepted},
    interpolate::Variables as _,
    report::{Mark, Report, cut},
    values,
    yaml::{Entry, Node, Value},
};

/// An attribute that names files, and the one that what they hold belongs to.
pub(super) struct FileAttribute {
    name: &'static str,
    into: &'static str,
    /// Whether a file may be a mapping with options.
    long: bool,
}

/// `env_file`.
pub(super) const ENV_FILE: FileAttribute =
    FileAttribute { name: "env_file", into: "environment", long: true };
/// `label_file`.
pub(super) const LABEL_FILE: FileAttribute =
    FileAttribute { name: "label_file", into: "labels", long: false };

pub(super) struct EnvFile {
    path: String,
    mark: Mark,
    required: bool,
    raw: bool,
}

pub(super) static LONG: Schema<EnvFile> = Schema {
    what: "an env file",
    at: &["services.*.env_file"],
    extensions: true,
    attributes: &[
        accepted("path", "The file, relative to the compose file.", |f, n, r| {
            f.mark = n.mark;
            f.path = values::some_text(n, r).unwrap_or_default();
        }),
        accepted("required", "false when the file may be missing; default true.", |f, n, r| {
            f.required = values::boolean(n, r).unwrap_or(true);
        }),
        accepted(
            "format",
            "`raw` takes values as they stand, without quotes or variables.",
            |f, n, r| f.raw = values::one_of(n, &[("raw", true)], r).unwrap_or_default(),
        ),
    ],
};

impl Folding<'_> {
    /// Puts what the files of an attribute hold into the attribute it belongs to, which wins;
    /// later files win over earlier ones.
    pub(super) fn fold_files(
        &mut self,
        service: &mut Node,
        attribute: &FileAttribute,
        known: &Known,
        report: &mut Report<'_>,
    ) {
        let Some(entry) = service.take(attribute.name) else { return };
        let Value::Map(entries) = &mut service.value else { return };
        if entry.value.is_null() {
            return;
        }
        let mut folded: BTreeMap<String, Node> = BTreeMap::new();
        report.within(attribute.name, |report| {
            for file in file_list(&entry.value, attribute.long, report) {
                for (key, value) in self.one_file(&file, known, report) {
                    let value = match value {
                        Some(text) => Node::text(file.mark, text),
                        None => Node::null(file.mark),
                    };
                    folded.insert(key, value);
                }
            }
        });
        let folded = folded.into_iter().map(|(key, value)| Entry { key, mark: value.mark, value });
        match entries.iter_mut().find(|e| e.key == attribute.into) {
            Some(explicit) => add_below(&mut explicit.value, folded),
            None => entries.push(Entry {
                key: attribute.into.to_owned(),
                mark: entry.mark,
                value: Node::new(entry.mark, Value::Map(folded.collect())),
            }),
        }
    }

    fn one_file(
        &mut self,
        file: &EnvFile,
        known: &Known,
        report: &mut Report<'_>,
    ) -> dotenv::Entries {
        let text = match self.read_beside(file.mark.file, &file.path) {
            Ok(text) => text,
            Err(FileProblem::NotFound) if !file.required => return dotenv::Entries::new(),
            Err(problem) => {
                let message = format!("the file `{}` {problem}", cut(&file.path));
                report.once(format!("file {}", file.path), file.mark, |report| {
                    report.error(file.mark, message);
                });
                return dotenv::Entries::new();
            }
        };
        let entries = if file.raw { dotenv::read_raw(&text) } else { dotenv::read(&text, known) };
        entries.unwrap_or_else(|problem| {
            let message = format!("{}:{}: {}", cut(&file.path), problem.line, problem.message);
            report.error(file.mark, message);
            dotenv::Entries::new()
        })
    }
}

/// Adds entries to a mapping or list that has none of the same name.
fn add_below(target: &mut Node, folded: impl Iterator<Item = Entry>) {
    match &mut target.value {
        Value::Map(own) => {
            let names: BTreeSet<String> = own.iter().map(|e| e.key.clone()).collect();
            own.extend(folded.filter(|f| !names.contains(&f.key)));
        }
        Value::List(own) => {
            let name = |n: &Node| n.as_text().and_then(|t| t.split('=').next()).map(str::to_owned);
            let names: BTreeSet<String> = own.iter().filter_map(name).collect();
            let folded = folded.filter(|f| !names.contains(&f.key));
            own.extend(folded.map(|f| match f.value.as_text() {
                Some(text) => Node::text(f.mark, format!("{}={text}", f.key)),
                None => Node::text(f.mark, f.key),
            }));
        }
        Value::Scalar(s) if s.is_null() => target.value = Value::Map(folded.collect()),
        Value::Scalar(_) => {}
    }
}

fn file_list(node: &Node, long: bool, report: &mut Report<'_>) -> Vec<EnvFile> {
    let mut out = Vec::new();
    let mut one = |item: &Node, report: &mut Report<'_>| {
        let mut file = EnvFile { path: String::new(), mark: item.mark, required: true, raw: false };
        match &item.value {
            Value::Map(_) if long => {
                LONG.decode(item, &mut file, report);
                if item.get("path").is_none_or(Node::is_null) {
                    report.error(item.mark, "the env file has no `path`");
                }
            }
            _ => file.path = values::text(item, report).unwrap_or_default().to_owned(),
        }
        if !file.path.is_empty() {
            out.push(file);
        }
    };
    match &node.value {
        Value::List(_) => values::items(node, report, one),
        _ => one(node, report),
    }
    out
}

/// What [`env_names`] does for a service, for its hooks.
pub(super) fn hook_env_names(service: &mut Node, known: &Known) {
    for point in ["post_start", "pre_stop"] {
        if let Some(Value::List(hooks)) = service.get_mut(point).map(|n| &mut n.value) {
            hooks.iter_mut().for_each(|hook| env_names(hook, known));
        }
    }
}

/// A name without a value in `environment` takes the value of the variable, if there is one.
pub(super) fn env_names(service: &mut Node, known: &Known) {
    let Some(environment) = service.get_mut("environment") else { return };
    match &mut environment.value {
        Value::Map(entries) => {
            for entry in entries.iter_mut().filter(|e| e.value.is_null()) {
                if let Some(value) = known.value(&entry.key) {
                    entry.value = Node::text(entry.value.mark, value);
                }
            }
        }
        Value::List(items) => {
            for item in items {
                let value = item.as_text().and_then(|n| Some(format!("{n}={}", known.value(n)?)));
                if let Some(text) = value {
                    *item = Node::text(item.mark, text);
                }
            }
        }
        Value::Scalar(_) => {}
    }
}
