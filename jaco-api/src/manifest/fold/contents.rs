//! The contents of secrets and configs, in place of `file` and `environment`.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Folding, Known};
use crate::{
    manifest::{
        report::{Mark, Report, cut},
        suggest,
        yaml::{Entry, Node, Value},
    },
    model::MOST_FILE_BYTES,
};

impl Folding<'_> {
    /// Puts them into the top-level `secrets` and `configs`. Where the variables are not known (and
    /// that is reported), nothing is said about those that need them.
    pub(super) fn contents(
        &mut self,
        model: &mut Node,
        known: Option<&Known>,
        report: &mut Report<'_>,
    ) {
        for kind in ["secrets", "configs"] {
            let Some(Value::Map(all)) = model.get_mut(kind).map(|n| &mut n.value) else { continue };
            for file in all {
                let Value::Map(entries) = &mut file.value.value else { continue };
                for entry in entries {
                    let path = format!("{kind}.{}.{}", file.key, entry.key);
                    report.within(&path, |report| self.content(entry, known, report));
                }
            }
        }
    }

    fn content(&mut self, entry: &mut Entry, known: Option<&Known>, report: &mut Report<'_>) {
        let (mark, Some(given)) = (entry.value.mark, entry.value.as_text()) else { return };
        let content = match entry.key.as_str() {
            "file" => self.content_of(given, mark, report),
            "environment" => known.and_then(|known| variable(given, mark, known, report)),
            _ => return,
        };
        entry.key = "content".to_owned();
        match content {
            Some(content) => entry.value = content,
            None => report.settle(mark),
        }
    }

    fn content_of(&mut self, path: &str, mark: Mark, report: &mut Report<'_>) -> Option<Node> {
        match self.bytes_beside(mark.file, path) {
            Ok(bytes) if bytes.len() > MOST_FILE_BYTES => {
                let (path, length) = (cut(path), bytes.len());
                let message =
                    format!("the file `{path}` has {length} bytes; {MOST_FILE_BYTES} are the most");
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
}

/// As `content` has it: a text, or `{base64: …}`.
fn written(bytes: Vec<u8>, mark: Mark) -> Node {
    match String::from_utf8(bytes) {
        Ok(text) => Node::text(mark, text),
        Err(error) => {
            let value = Node::text(mark, STANDARD.encode(error.as_bytes()));
            let entry = Entry { key: "base64".to_owned(), mark, value };
            Node::new(mark, Value::Map(vec![entry]))
        }
    }
}

fn variable(name: &str, mark: Mark, known: &Known, report: &mut Report<'_>) -> Option<Node> {
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
