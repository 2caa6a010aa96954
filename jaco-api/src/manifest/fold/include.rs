//! `include`: the services and everything else of other files, as if they were written here.

use std::rc::Rc;

use super::{
    Folding, Known, Scope,
    load::{File, Place},
    overlay::same,
};
use crate::manifest::{
    FileProblem, dotenv,
    fields::{Schema, accepted},
    report::{Mark, Report, cut},
    values,
    yaml::{Entry, Node, Value},
};

/// Most files that include each other in a row.
const DEEPEST: usize = 16;

/// What is taken from an included file.
const RESOURCES: [(&str, &str); 6] = [
    ("services", "service"),
    ("networks", "network"),
    ("volumes", "volume"),
    ("secrets", "secret"),
    ("configs", "config"),
    ("models", "model"),
];

/// One entry of `include`.
#[derive(Default)]
pub(super) struct Include {
    paths: Vec<(String, Mark)>,
    directory: Option<(String, Mark)>,
    env_files: Vec<(String, Mark)>,
}

pub(super) static LONG: Schema<Include> = Schema {
    what: "an include",
    at: &["include"],
    extensions: false,
    attributes: &[
        accepted(
            "path",
            "The compose file, or several of which later ones go over earlier ones.",
            |i, n, r| i.paths = texts(n, r),
        ),
        accepted(
            "project_directory",
            "Where its relative paths begin; its own directory when not given.",
            |i, n, r| i.directory = values::some_text(n, r).map(|d| (d, n.mark)),
        ),
        accepted(
            "env_file",
            "Files of variables for it; `.env` beside it when not given.",
            |i, n, r| {
                i.env_files = texts(n, r);
            },
        ),
    ],
};

fn texts(node: &Node, report: &mut Report<'_>) -> Vec<(String, Mark)> {
    let mut out = Vec::new();
    let mut one = |item: &Node, report: &mut Report<'_>| {
        out.extend(values::some_text(item, report).map(|t| (t, item.mark)));
    };
    match node.value {
        Value::List(_) => values::items(node, report, one),
        _ => one(node, report),
    }
    out
}

impl Folding<'_> {
    /// Adds what the included files hold to `model`.
    pub(super) fn include(
        &mut self,
        model: &mut Node,
        included: &Node,
        scope: &Scope,
        report: &mut Report<'_>,
    ) {
        if included.is_null() {
            return;
        }
        let Value::List(items) = &included.value else {
            let message = format!("`include` must be a list, not {}", included.kind());
            report.within("include", |report| {
                report.error_hint(included.mark, message, "write it as `- path`");
                report.lacks_a_part();
            });
            return;
        };
        for (index, item) in items.iter().enumerate() {
            let opened = report.within(&format!("include[{index}]"), |report| {
                let opened = self.open_include(item, scope, report);
                if opened.is_none() {
                    report.lacks_a_part();
                }
                opened
            });
            if let Some((files, scope)) = opened {
                let more = self.model(&files, &scope, report);
                import(model, more, report);
            }
        }
    }

    /// The files of one entry and what holds for them; `None` when one cannot be had.
    fn open_include(
        &mut self,
        item: &Node,
        scope: &Scope,
        report: &mut Report<'_>,
    ) -> Option<(Vec<File>, Scope)> {
        let include = decode(item, report);
        let (first, first_mark) = include.paths.first()?;
        let at = match &include.directory {
            Some((directory, mark)) => self.place_at(mark.file, directory),
            None => self.place_at(first_mark.file, first).parent(),
        };
        let mut files = Vec::new();
        for (path, mark) in &include.paths {
            files.push(self.open(path, *mark, Some(&at), report)?);
        }
        let mut way = scope.way.clone();
        let main = &files.first()?.path;
        if let Some(start) = way.iter().position(|w| w == main) {
            let name = |path: &String| cut(path.rsplit('/').next().unwrap_or(path));
            let names: Vec<String> = way[start..].iter().take(8).map(name).collect();
            let message = match &names[..] {
                [one] => format!("the file `{one}` includes itself"),
                _ => format!("files include each other: {} → {}", names.join(" → "), names[0]),
            };
            report.error(*first_mark, message);
            return None;
        }
        if way.len() >= DEEPEST {
            let message = format!("more than {DEEPEST} files include each other in a row");
            report.error(*first_mark, message);
            return None;
        }
        way.push(main.clone());
        let known = match &scope.known {
            Some(known) => Some(self.variables_of(&include, &at, known, report)?),
            None => None,
        };
        let number = self.scopes;
        self.scopes += 1;
        Some((files, Scope { number, known, way }))
    }

    /// What is known in an included file: its env files, and before them what is known already.
    fn variables_of(
        &mut self,
        include: &Include,
        at: &Place,
        known: &Rc<Known>,
        report: &mut Report<'_>,
    ) -> Option<Rc<Known>> {
        let mut found = Known::new();
        let mut add = |name: &str, text: &str, mark: Mark, report: &mut Report<'_>| {
            let entries = dotenv::read(text, known.as_ref()).map_err(|problem| {
                report.error(mark, format!("{}:{}: {}", cut(name), problem.line, problem.message));
            });
            found.extend(entries.ok()?.into_iter().filter_map(|(k, v)| Some((k, v?))));
            Some(())
        };
        for (path, mark) in &include.env_files {
            match self.read_beside(mark.file, path) {
                Ok(text) => add(path, &text, *mark, report)?,
                Err(problem) => {
                    report.error(*mark, format!("the file `{}` {problem}", cut(path)));
                    return None;
                }
            }
        }
        // As with Compose. Beside the compose file itself it is jaco.yaml that names it.
        let elsewhere = *at != *self.place(0);
        if include.env_files.is_empty() && elsewhere && !at.directory.is_empty() {
            let path = format!("{}/.env", at.directory);
            let mark = include.paths.first().map(|(_, mark)| *mark).unwrap_or_default();
            match self.read_beside(0, &path) {
                Ok(text) => add(&format!("{}/.env", at.shown), &text, mark, report)?,
                Err(FileProblem::NotFound) => {}
                Err(problem) => {
                    report.error(mark, format!("the file `{}` {problem}", cut(&path)));
                    return None;
                }
            }
        }
        if found.is_empty() {
            return Some(Rc::clone(known));
        }
        found.extend(known.iter().map(|(k, v)| (k.clone(), v.clone())));
        Some(Rc::new(found))
    }
}

fn decode(item: &Node, report: &mut Report<'_>) -> Include {
    let mut include = Include::default();
    if let Value::Map(_) = item.value {
        LONG.decode(item, &mut include, report);
        if item.get("path").is_none_or(Node::is_null) {
            report.error(item.mark, "the include has no `path`");
        }
    } else {
        include.paths.extend(values::some_text(item, report).map(|t| (t, item.mark)));
    }
    include
}

/// Adds what an included file holds. What both have must be equal.
fn import(model: &mut Node, more: Node, report: &mut Report<'_>) {
    let Value::Map(sections) = more.value else {
        let message = format!("the included file must be a mapping, not {}", more.kind());
        if !more.is_null() {
            report.error(more.mark, message);
        }
        return;
    };
    if model.is_null() {
        model.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut model.value else { return };
    for section in sections {
        let Some((_, what)) = RESOURCES.iter().find(|(key, _)| *key == section.key) else {
            let known =
                section.key.starts_with("x-") || ["name", "version"].contains(&&*section.key);
            // What nobody knows is said with the rest.
            entries.extend(Some(section).filter(|_| !known));
            continue;
        };
        let Some(own) = entries.iter_mut().find(|e| e.key == section.key) else {
            entries.push(section);
            continue;
        };
        if own.value.is_null() {
            own.value = section.value;
            continue;
        }
        let path = section.key.clone();
        if let (Value::Map(own), Value::Map(more)) = (&mut own.value.value, section.value.value) {
            report.within(&path, |report| add_resources(own, more, what, report));
        }
    }
}

fn add_resources(own: &mut Vec<Entry>, more: Vec<Entry>, what: &str, report: &mut Report<'_>) {
    for entry in more {
        let Some(present) = own.iter().find(|e| e.key == entry.key) else {
            own.push(entry);
            continue;
        };
        if same(&present.value, &entry.value) {
            continue;
        }
        let there = format!("{}:{}", report.file_of(entry.mark), entry.mark.line);
        let key = cut(&entry.key);
        let mark = present.mark;
        report.within(&entry.key, |report| {
            report.error_hint(
                mark,
                format!("the {what} `{key}` is also defined in {there}, which is included"),
                "give one of them another name, or put a file that changes it beside the included \
                 one: `path: [included.yml, changes.yml]`",
            );
        });
    }
}
