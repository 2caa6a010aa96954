//! Relative paths: each is relative to the file it is written in.

use super::Folding;
use crate::manifest::yaml::{Entry, Node, Scalar, Value};

impl Folding<'_> {
    /// Makes the relative sources of bind mounts absolute.
    pub(super) fn absolute_binds(&self, service: &mut Node) {
        let Some(Value::List(items)) = service.get_mut("volumes").map(|n| &mut n.value) else {
            return;
        };
        for item in items {
            let bind = item.get("type").and_then(Node::as_text) == Some("bind");
            if let Value::Scalar(scalar) = &mut item.value {
                if let Some((source, rest)) = scalar.text.split_once(':')
                    && source.starts_with('.')
                    && let Some(path) = self.absolute(item.mark.file, source)
                {
                    *scalar = Scalar { text: format!("{path}:{rest}"), plain: false };
                }
            } else if bind && let Some(source) = item.get_mut("source") {
                self.make_absolute(source);
            }
        }
    }

    /// The same for the devices of volumes.
    pub(super) fn absolute_devices(&self, model: &mut Node) {
        each(model, "volumes", |volume| {
            let device = volume.get_mut("driver_opts").and_then(|o| o.get_mut("device"));
            if let Some(device) = device.filter(|d| d.as_text().is_some_and(|t| t.starts_with('.')))
            {
                self.make_absolute(device);
            }
        });
    }

    fn make_absolute(&self, node: &mut Node) {
        let path = node.as_text().filter(|p| !p.is_empty() && !p.starts_with(['/', '~']));
        if let Some(path) = path.and_then(|p| self.absolute(node.mark.file, p)) {
            node.value = Value::Scalar(Scalar { text: path, plain: false });
        }
    }

    /// `None` when nobody knows where the file is.
    fn absolute(&self, file: u16, path: &str) -> Option<String> {
        let directory = &self.place(file).directory;
        directory.starts_with('/').then(|| join(directory, path))
    }
}

fn each(model: &mut Node, key: &str, mut f: impl FnMut(&mut Node)) {
    if let Some(Value::Map(entries)) = model.get_mut(key).map(|n| &mut n.value) {
        entries.iter_mut().for_each(|Entry { value, .. }| f(value));
    }
}

/// The directory part of a path; empty when it has none.
pub(super) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
        None => "",
    }
}

/// What to read for a path of a file in `directory`; as it is written when that is not known.
pub(super) fn resolve(directory: &str, path: &str) -> String {
    if path.starts_with('/') || directory.is_empty() {
        return path.to_owned();
    }
    join(directory, path)
}

/// `path` seen from `directory`, without `.` and `..` where that is possible.
pub(super) fn join(directory: &str, path: &str) -> String {
    let directory = if path.starts_with('/') { "/" } else { directory };
    let absolute = directory.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let parts = parts.join("/");
    if absolute { format!("/{parts}") } else { parts }
}

#[cfg(test)]
mod tests {
    use super::{join, parent};

    #[test]
    fn paths_are_joined_without_dots() {
        for (directory, path, joined) in [
            ("/srv/app", "./data", "/srv/app/data"),
            ("/srv/app/", "../x/./y", "/srv/x/y"),
            ("/", "../../x", "/x"),
            ("/srv", ".", "/srv"),
            ("/srv", "/etc/./x", "/etc/x"),
            ("", "./a.yml", "a.yml"),
            ("sub", "../a.yml", "a.yml"),
            ("", "../../a.yml", "../../a.yml"),
            ("../x", "../a.yml", "../a.yml"),
        ] {
            assert_eq!(join(directory, path), joined, "{directory} {path}");
        }
        assert_eq!(["/a/b", "/a", "a/b", "a"].map(parent), ["/a", "/", "a", ""]);
    }
}
