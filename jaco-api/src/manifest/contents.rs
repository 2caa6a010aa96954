//! Puts the contents of secrets and configs in place of `file` and `environment`, on the client.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Files, ManifestFile, fold,
    report::{Mark, Report, cut},
    suggest,
    yaml::{Entry, Node, Value},
};
use crate::model::MOST_FILE_BYTES;

/// Replaces them in the top-level `secrets` and `configs`. Where the variables are not known (and
/// that is reported), nothing is said about those that need them.
pub(super) fn fold(
    root: &mut Node,
    known: Option<&BTreeMap<String, String>>,
    files: &dyn Files,
    report: &mut Report<'_>,
) {
    for kind in ["secrets", "configs"] {
        let Some(Value::Map(all)) = root.get_mut(kind).map(|n| &mut n.value) else { continue };
        for file in all {
            let Value::Map(entries) = &mut file.value.value else { continue };
            for entry in entries {
                let path = format!("{kind}.{}.{}", file.key, entry.key);
                let Some(given) = entry.value.as_text() else { continue };
                let mark = entry.value.mark;
                let content = report.within(&path, |report| match entry.key.as_str() {
                    "file" => Some(from_file(given, mark, files, report)),
                    "environment" => Some(known.and_then(|k| variable(given, mark, k, report))),
                    _ => None,
                });
                if let Some(content) = content {
                    entry.key = "content".to_owned();
                    match content {
                        Some(content) => entry.value = content,
                        None => report.settle(mark),
                    }
                }
            }
        }
    }
}

fn from_file(path: &str, mark: Mark, files: &dyn Files, report: &mut Report<'_>) -> Option<Node> {
    match files.read_bytes(&fold::absolute(files, ManifestFile::Compose, path)) {
        Ok(bytes) if bytes.len() > MOST_FILE_BYTES => {
            let message = format!(
                "the file `{}` has {} bytes; {MOST_FILE_BYTES} are the most",
                cut(path),
                bytes.len()
            );
            report.error_hint(mark, message, "mount a volume for larger files");
            None
        }
        Ok(bytes) => Some(written(bytes, mark)),
        Err(problem) => {
            report.error(mark, format!("the file `{}` {problem}", cut(path)));
            None
        }
    }
}

/// As `content` has it: a text, or `{base64: …}`.
fn written(bytes: Vec<u8>, mark: Mark) -> Node {
    match String::from_utf8(bytes) {
        Ok(text) => Node::text(mark, text),
        Err(error) => {
            let value = Node::text(mark, STANDARD.encode(error.as_bytes()));
            let entry = Entry { key: "base64".to_owned(), mark, value };
            Node { mark, value: Value::Map(vec![entry]) }
        }
    }
}

fn variable(
    name: &str,
    mark: Mark,
    known: &BTreeMap<String, String>,
    report: &mut Report<'_>,
) -> Option<Node> {
    let value = known.get(name).map(|value| Node::text(mark, value));
    if value.is_none() {
        let message = format!("the variable `{}` is not set", cut(name));
        let near = suggest::nearest(name, known.keys().map(String::as_str));
        let hint = near.map_or_else(
            || "give it a value in the file that `environment` of jaco.yaml names".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        report.error_hint(mark, message, hint);
    }
    value
}
