//! What only the client can do: variables, env files and relative paths.
//!
//! Changes the tree of the compose file so that nothing of it depends on the client any more.
//! Runs exactly once; the daemon takes `$` as it stands.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Files, ManifestFile, dotenv,
    interpolate::{Variables, interpolate},
    report::{Mark, Report, cut},
    yaml::{Entry, Node, Scalar, Value},
};

/// Most bytes that variables may add to a file.
const MOST_BYTES: usize = 4 << 20;

type Known = BTreeMap<String, String>;

/// The variables of the file that `environment` of jaco.yaml names; `None` when it cannot be read.
pub(super) fn environment(
    path: &str,
    mark: Mark,
    files: &dyn Files,
    report: &mut Report<'_>,
) -> Option<Known> {
    report.within("environment", |report| {
        let text = read(files, ManifestFile::Jaco, path, mark, report)?;
        match dotenv::read(&text, &Known::new()) {
            Ok(entries) => Some(entries.into_iter().filter_map(|(k, v)| Some((k, v?))).collect()),
            Err(problem) => {
                report.error(mark, format!("{}:{}: {}", cut(path), problem.line, problem.message));
                None
            }
        }
    })
}

/// Interpolates every value, folds env files and makes paths absolute. Where the variables are not
/// known (and that is reported), values that need them are not looked at any further.
pub(super) fn fold(
    root: &mut Node,
    known: Option<&Known>,
    files: &dyn Files,
    report: &mut Report<'_>,
) {
    let mut budget = MOST_BYTES;
    variables(root, known, &mut budget, report);
    let nothing = Known::new();
    let known = known.unwrap_or(&nothing);
    let directory = files.directory(ManifestFile::Compose);
    let Some(Value::Map(services)) = root.get_mut("services").map(|n| &mut n.value) else { return };
    for service in services {
        let path = format!("services.{}", service.key);
        report.within(&path, |report| env_files(&mut service.value, known, files, report));
        env_names(&mut service.value, known);
        if let Some(directory) = &directory {
            binds(&mut service.value, directory);
        }
    }
}

fn variables(node: &mut Node, known: Option<&Known>, budget: &mut usize, report: &mut Report<'_>) {
    let mark = node.mark;
    match &mut node.value {
        Value::Scalar(scalar) => scalar_variables(scalar, mark, known, budget, report),
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                report.item(index, |report| variables(item, known, budget, report));
            }
        }
        Value::Map(entries) => {
            for Entry { key, value, .. } in entries {
                report.within(key, |report| variables(value, known, budget, report));
            }
        }
    }
}

fn scalar_variables(
    scalar: &mut Scalar,
    mark: Mark,
    known: Option<&Known>,
    budget: &mut usize,
    report: &mut Report<'_>,
) {
    if !scalar.text.contains('$') {
        return;
    }
    let Some(known) = known else { return report.settle(mark) };
    match interpolate(&scalar.text, known, *budget) {
        Ok(done) => {
            for name in done.unset {
                let at = find(report, mark, &scalar.text, &format!("{{{name}"))
                    .or_else(|| find(report, mark, &scalar.text, &name))
                    .unwrap_or(mark);
                let message = format!("the variable `{name}` is not set; it stands for nothing");
                let hint = "give it a value in the file that `environment` of jaco.yaml names, \
                            or a default: `${NAME:-default}`";
                report.once(format!("unset {name}"), at, |report| {
                    report.warn(at, message, Some(hint.to_owned()));
                });
            }
            *budget = budget.saturating_sub(done.text.len());
            // A value that came from a variable is a text, never a null.
            *scalar = Scalar { text: done.text, plain: false };
        }
        Err(problem) => {
            let snippet = scalar.text.get(problem.start..problem.end).unwrap_or_default();
            let at = find(report, mark, &scalar.text[..problem.start], snippet).unwrap_or(mark);
            let say = |report: &mut Report<'_>| match problem.hint {
                Some(hint) => report.error_hint(at, problem.message, hint),
                None => report.error(at, problem.message),
            };
            match problem.missing {
                Some(name) => report.once(format!("missing {name}"), at, say),
                None => say(report),
            }
            report.settle(mark);
        }
    }
}

/// The place of `snippet` in the source of a scalar: after as many of its kind as the text before
/// it holds. `None` when the scalar's escapes hide it.
fn find(report: &Report<'_>, mark: Mark, before: &str, snippet: &str) -> Option<Mark> {
    if snippet.is_empty() || report.full() {
        return None;
    }
    let source = report.slice(mark);
    let skip = before.matches(snippet).count();
    let (at, _) =
        source.match_indices(snippet).nth(skip).or_else(|| source.match_indices(snippet).next())?;
    let start = mark.start as usize + at;
    Some(report.mark_at(start, start + snippet.len()))
}

/// Puts the variables of `env_file` into `environment`, which wins.
fn env_files(service: &mut Node, known: &Known, files: &dyn Files, report: &mut Report<'_>) {
    let Value::Map(entries) = &mut service.value else { return };
    let Some(position) = entries.iter().position(|e| e.key == "env_file") else { return };
    let entry = entries.remove(position);
    if entry.value.is_null() {
        return;
    }
    let mut folded: BTreeMap<String, Node> = BTreeMap::new();
    report.within("env_file", |report| {
        for file in env_file_list(&entry.value, report) {
            for (key, value) in one_file(&file, known, files, report) {
                let value = match value {
                    Some(text) => Node::text(file.mark, text),
                    None => Node::null(file.mark),
                };
                folded.insert(key, value);
            }
        }
    });
    let folded = folded.into_iter().map(|(key, value)| Entry { key, mark: value.mark, value });
    let explicit = entries.iter().position(|e| e.key == "environment");
    let Some(position) = explicit else {
        let value = Node { mark: entry.mark, value: Value::Map(folded.collect()) };
        entries.push(Entry { key: "environment".to_owned(), mark: entry.mark, value });
        return;
    };
    let target = &mut entries[position].value;
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

struct EnvFile {
    path: String,
    mark: Mark,
    required: bool,
    raw: bool,
}

fn env_file_list(node: &Node, report: &mut Report<'_>) -> Vec<EnvFile> {
    use super::{
        fields::{Schema, accepted},
        values,
    };
    static LONG: Schema<EnvFile> = Schema {
        what: "an env file",
        extensions: true,
        attributes: &[
            accepted("path", |f, n, r| f.path = values::some_text(n, r).unwrap_or_default()),
            accepted("required", |f, n, r| f.required = values::boolean(n, r).unwrap_or(true)),
            accepted("format", |f, n, r| {
                f.raw = values::one_of(n, &[("raw", true)], r).unwrap_or_default();
            }),
        ],
    };
    let mut out = Vec::new();
    let mut one = |item: &Node, report: &mut Report<'_>| {
        let mut file = EnvFile { path: String::new(), mark: item.mark, required: true, raw: false };
        match &item.value {
            Value::Map(_) => {
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

fn one_file(
    file: &EnvFile,
    known: &Known,
    files: &dyn Files,
    report: &mut Report<'_>,
) -> dotenv::Entries {
    let path = absolute(files, ManifestFile::Compose, &file.path);
    if !file.required && matches!(files.read(&path), Err(super::FileProblem::NotFound)) {
        return dotenv::Entries::new();
    }
    let Some(text) = read(files, ManifestFile::Compose, &file.path, file.mark, report) else {
        return dotenv::Entries::new();
    };
    let entries = if file.raw { dotenv::read_raw(&text) } else { dotenv::read(&text, known) };
    entries.unwrap_or_else(|problem| {
        let message = format!("{}:{}: {}", cut(&file.path), problem.line, problem.message);
        report.error(file.mark, message);
        dotenv::Entries::new()
    })
}

/// A name without a value in `environment` takes the value of the variable, if there is one.
fn env_names(service: &mut Node, known: &Known) {
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

/// Makes the relative sources of bind mounts absolute.
fn binds(service: &mut Node, directory: &str) {
    let Some(Value::List(items)) = service.get_mut("volumes").map(|n| &mut n.value) else { return };
    for item in items {
        let bind = item.get("type").and_then(Node::as_text) == Some("bind");
        if let Value::Scalar(scalar) = &mut item.value {
            if scalar.text.starts_with('.') {
                let (source, rest) = match scalar.text.split_once(':') {
                    Some((source, rest)) => (source, format!(":{rest}")),
                    None => continue,
                };
                scalar.text = format!("{}{rest}", join(directory, source));
                scalar.plain = false;
            }
        } else if bind
            && let Some(Value::Scalar(source)) = item.get_mut("source").map(|n| &mut n.value)
            && !source.text.starts_with(['/', '~'])
            && !source.text.is_empty()
        {
            *source = Scalar { text: join(directory, &source.text), plain: false };
        }
    }
}

fn absolute(files: &dyn Files, beside: ManifestFile, path: &str) -> String {
    match files.directory(beside) {
        Some(directory) if !path.starts_with('/') => join(&directory, path),
        _ => path.to_owned(),
    }
}

fn read(
    files: &dyn Files,
    beside: ManifestFile,
    path: &str,
    mark: Mark,
    report: &mut Report<'_>,
) -> Option<String> {
    match files.read(&absolute(files, beside, path)) {
        Ok(text) => Some(text),
        Err(problem) => {
            report.once(format!("file {path}"), mark, |report| {
                report.error(mark, format!("the file `{}` {problem}", cut(path)));
            });
            None
        }
    }
}

/// `path` seen from `directory`, without `.` and `..`.
fn join(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn paths_are_joined_without_dots() {
        assert_eq!(join("/srv/app", "./data"), "/srv/app/data");
        assert_eq!(join("/srv/app/", "../x/./y"), "/srv/x/y");
        assert_eq!(join("/", "../../x"), "/x");
        assert_eq!(join("/srv", "."), "/srv");
    }
}
