//! What an attribute is and what happens to it, from the tables that reading follows. Pure.

use serde::Serialize;

use super::{ManifestFile, Supported, Treatment, jaco, of_compose, report::cut, suggest};

/// An attribute in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The file it stands in.
    pub file: ManifestFile,
    /// Its place in that file, as `services.*.ports`; `*` is a name that the user gives.
    pub path: String,
    /// What it means here and how it may be written.
    pub about: &'static str,
    /// What happens to it.
    #[serde(flatten)]
    pub treatment: Treatment,
    /// The keys below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<&'static str>,
}

/// There is no such attribute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither jaco.yaml nor a compose file has an attribute `{field}`")]
pub struct UnknownField {
    /// The attribute that was asked for.
    pub field: String,
    /// What is probably meant.
    pub hint: Option<String>,
}

/// What is known of an attribute, in every place where it can stand.
///
/// It is named by its path or the end of it: `ports`, `services.ports`, `update_config.order`,
/// `services.web.healthcheck.test`. Names that the user gives may be left out, and places in a list
/// may be there.
///
/// # Errors
/// [`UnknownField`] when neither file has it.
pub fn explain(field: &str) -> Result<Vec<Explanation>, UnknownField> {
    let field = field.trim();
    let asked: Vec<&str> = field.split('.').map(without_place).collect();
    let tables = [(ManifestFile::Jaco, jaco::describe()), (ManifestFile::Compose, of_compose())];
    let mut found = Vec::new();
    for (file, table) in &tables {
        for key in table {
            for path in key.paths().filter(|path| ends_in(path, &asked)) {
                found.push(explanation(*file, path, key, table));
            }
        }
    }
    if found.is_empty() && asked.last().is_some_and(|last| last.starts_with("x-")) {
        return Ok(vec![extension()]);
    }
    if found.is_empty() {
        let paths = tables.iter().flat_map(|(_, table)| table).flat_map(Supported::paths);
        let hint = nearest(&asked, paths.collect());
        return Err(UnknownField { field: cut(field), hint });
    }
    Ok(found)
}

fn explanation(
    file: ManifestFile,
    path: String,
    key: &Supported,
    table: &[Supported],
) -> Explanation {
    let below = |at: &&str| at.strip_suffix(".*").unwrap_or(at) == path;
    let keys = table.iter().filter(|k| k.at.iter().any(below)).map(|k| k.name).collect();
    Explanation { file, path, about: key.about, treatment: key.support, keys }
}

/// Keys that belong to nobody.
fn extension() -> Explanation {
    Explanation {
        file: ManifestFile::Compose,
        path: "x-*".to_owned(),
        about: "Anything, in every mapping of a compose file: it is read for its anchors alone.",
        treatment: Treatment::Accepted,
        keys: Vec::new(),
    }
}

/// `ports` of `ports[0]`.
fn without_place(part: &str) -> &str {
    part.split('[').next().unwrap_or(part)
}

/// Whether the end of a path is what was asked for.
fn ends_in(path: &str, asked: &[&str]) -> bool {
    let parts: Vec<&str> = path.split('.').collect();
    (0..parts.len()).any(|from| is_same(&parts[from..], asked, false))
}

/// A `*` stands for any name, or for none, once something before it was named as well.
fn is_same(parts: &[&str], asked: &[&str], named: bool) -> bool {
    match (parts, asked) {
        ([], []) => true,
        (["*", rest @ ..], [name, others @ ..]) => {
            ((named || *name == "*") && is_same(rest, others, true))
                || (named && is_same(rest, asked, true))
        }
        ([part, rest @ ..], [name, others @ ..]) => part == name && is_same(rest, others, true),
        _ => false,
    }
}

/// "did you mean": the path whose end is nearest, else the key whose name is.
fn nearest(asked: &[&str], paths: Vec<String>) -> Option<String> {
    let ends: Vec<String> = paths
        .iter()
        .map(|path| {
            let parts: Vec<&str> = path.split('.').filter(|part| *part != "*").collect();
            parts[parts.len().saturating_sub(asked.len())..].join(".")
        })
        .collect();
    let last = asked.last().copied().unwrap_or_default();
    let names = paths.iter().map(|path| path.rsplit('.').next().unwrap_or(path));
    suggest::nearest(&asked.join("."), ends.iter().map(String::as_str))
        .or_else(|| suggest::nearest(last, names))
        .map(|near| format!("did you mean `{near}`?"))
}
