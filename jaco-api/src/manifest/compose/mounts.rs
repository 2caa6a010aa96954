//! Volumes, bind mounts and memory file systems.

use super::ServiceDraft;
use crate::{
    manifest::{
        fields::{Schema, Supported, accepted, ignored, planned},
        report::{Mark, Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::{Mount, MountSource},
};

/// A mount whose volume has not been looked up yet.
pub(in crate::manifest) struct MountDraft {
    pub(in crate::manifest) mark: Mark,
    /// Key of the volume at the top level, for a named volume.
    pub(in crate::manifest) key: Option<String>,
    pub(in crate::manifest) mount: Mount,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Volume,
    Bind,
    Tmpfs,
}

/// The long form while it is read.
#[derive(Default)]
struct Long {
    kind: Option<Kind>,
    source: Option<(String, Mark)>,
    target: Option<String>,
    read_only: bool,
    nocopy: bool,
    create: Option<bool>,
    propagation: Option<String>,
    size_bytes: u64,
    mode: u32,
}

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

static LONG: Schema<Long> = Schema {
    what: "a volume of a service",
    extensions: true,
    attributes: &[
        accepted("type", |l, n, r| match n.as_text() {
            Some("image" | "npipe" | "cluster") => {
                r.error(
                    n.mark,
                    format!(
                        "volumes of type `{}` are not supported yet",
                        n.as_text().unwrap_or("")
                    ),
                );
            }
            _ => {
                let words =
                    [("volume", Kind::Volume), ("bind", Kind::Bind), ("tmpfs", Kind::Tmpfs)];
                l.kind = values::one_of(n, &words, r);
            }
        }),
        accepted("source", |l, n, r| l.source = values::some_text(n, r).map(|s| (s, n.mark))),
        accepted("target", |l, n, r| l.target = target(n, r)),
        accepted("read_only", |l, n, r| l.read_only = values::boolean(n, r).unwrap_or_default()),
        accepted("bind", |l, n, r| BIND.decode(n, l, r)),
        accepted("volume", |l, n, r| VOLUME.decode(n, l, r)),
        accepted("tmpfs", |l, n, r| TMPFS.decode(n, l, r)),
        ignored("consistency", "it is for virtual machines on a desktop"),
        planned("image"),
    ],
};

static BIND: Schema<Long> = Schema {
    what: "a bind mount",
    extensions: true,
    attributes: &[
        accepted("propagation", |l, n, r| {
            let words = PROPAGATIONS.map(|p| (p, p));
            l.propagation = values::one_of(n, &words, r).map(str::to_owned);
        }),
        accepted("create_host_path", |l, n, r| l.create = values::boolean(n, r)),
        ignored("selinux", "files are not relabelled"),
        planned("recursive"),
    ],
};

static VOLUME: Schema<Long> = Schema {
    what: "the options of a volume",
    extensions: true,
    attributes: &[
        accepted("nocopy", |l, n, r| l.nocopy = values::boolean(n, r).unwrap_or_default()),
        planned("subpath"),
        planned("labels"),
    ],
};

static TMPFS: Schema<Long> = Schema {
    what: "the options of a tmpfs",
    extensions: true,
    attributes: &[
        accepted("size", |l, n, r| l.size_bytes = values::bytes(n, r).unwrap_or_default()),
        accepted("mode", |l, n, r| l.mode = mode(n, r).unwrap_or_default()),
    ],
};

/// Every key of the long form.
pub(super) fn describe() -> Vec<Supported> {
    let (long, bind) = (LONG.describe(), BIND.describe());
    long.chain(bind).chain(VOLUME.describe()).chain(TMPFS.describe()).collect()
}

/// Decodes `volumes`.
pub(super) fn decode(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    values::items(node, report, |item, report| {
        let mount = match &item.value {
            Value::Map(_) => {
                let mut long = Long::default();
                LONG.decode(item, &mut long, report);
                finish(long, item, report)
            }
            _ => values::text(item, report).and_then(|text| short(text, item, report)),
        };
        if let Some(mount) = mount {
            if let MountSource::Bind { .. } = mount.mount.source {
                draft.privileged_at.push(mount.mark);
            }
            draft.mounts.push(mount);
        }
    });
    values::at_most(&mut draft.mounts, 100, node, report);
}

/// `[source:]target[:options]`.
fn short(text: &str, node: &Node, report: &mut Report<'_>) -> Option<MountDraft> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, path, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => {
            let hint = "write `source:target` or `source:target:ro`";
            report.error_hint(node.mark, format!("`{}` has too many colons", cut(text)), hint);
            return None;
        }
    };
    let mut long = Long { create: Some(true), ..Long::default() };
    long.source = source.map(|s| (s.to_owned(), node.mark));
    long.kind = Some(match source {
        Some(s) if s.starts_with(['.', '/', '~']) => Kind::Bind,
        _ => Kind::Volume,
    });
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "rw" | "cached" | "delegated" | "consistent" => {}
            "ro" => long.read_only = true,
            "nocopy" => long.nocopy = true,
            "z" | "Z" => report.notice(node.mark, "z", "files are not relabelled"),
            other if PROPAGATIONS.contains(&other) => long.propagation = Some(other.to_owned()),
            other => {
                report.error(node.mark, format!("unknown mount option `{}`", cut(other)));
                return None;
            }
        }
    }
    long.target = target(&Node::text(node.mark, path), report);
    finish(long, node, report)
}

fn finish(long: Long, node: &Node, report: &mut Report<'_>) -> Option<MountDraft> {
    let Some(kind) = long.kind else {
        if node.get("type").is_none() {
            report.error(node.mark, "the volume has no `type`: volume, bind or tmpfs");
        }
        return None;
    };
    let Some(target) = long.target else {
        if node.as_text().is_none() && node.get("target").is_none() {
            report.error(node.mark, "the volume has no `target`");
        }
        return None;
    };
    let mut key = None;
    let source = match (kind, long.source) {
        (Kind::Volume, source) => {
            key = source.map(|(s, _)| s);
            MountSource::Volume {
                name: String::new(),
                external: false,
                driver: String::new(),
                driver_opts: std::collections::BTreeMap::new(),
                nocopy: long.nocopy,
            }
        }
        (Kind::Bind, Some((path, at))) => {
            if !path.starts_with('/') {
                let message = format!("the path `{}` of a host is not absolute", cut(&path));
                report.error_hint(
                    at,
                    message,
                    "it is a path on the cluster's hosts: begin it with `/`",
                );
                return None;
            }
            let create = long.create.unwrap_or(true);
            let path = match path.trim_end_matches('/') {
                "" => "/".to_owned(),
                trimmed => trimmed.to_owned(),
            };
            MountSource::Bind { path, create, propagation: long.propagation }
        }
        (Kind::Bind, None) => {
            report.error(node.mark, "the bind mount has no `source`");
            return None;
        }
        (Kind::Tmpfs, Some((_, at))) => {
            report.error(at, "a tmpfs has no `source`");
            return None;
        }
        (Kind::Tmpfs, None) => MountSource::Tmpfs { size_bytes: long.size_bytes, mode: long.mode },
    };
    Some(MountDraft {
        mark: node.mark,
        key,
        mount: Mount { source, target, read_only: long.read_only },
    })
}

fn target(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let path = values::text(node, report)?;
    if !path.starts_with('/') {
        let message = format!("the path `{}` in the container is not absolute", cut(path));
        report.error(node.mark, message);
        return None;
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        report.error(node.mark, "nothing can be mounted at `/`");
        return None;
    }
    Some(trimmed.to_owned())
}

/// A file mode: octal digits, as everybody writes them.
pub(super) fn mode(node: &Node, report: &mut Report<'_>) -> Option<u32> {
    node.as_text()
        .map(|t| t.trim_start_matches("0o"))
        .filter(|t| t.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|t| u32::from_str_radix(t, 8).ok())
        .filter(|m| *m <= 0o7777)
        .or_else(|| values::wrong(node, "an octal file mode such as 1777", report))
}

/// Decodes the attribute `tmpfs`: `/run` or `/run:size=64m,mode=1777`.
pub(super) fn tmpfs(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let one = |item: &Node, report: &mut Report<'_>, draft: &mut ServiceDraft| {
        let Some(text) = values::text(item, report) else { return };
        let (path, options) = text.split_once(':').unwrap_or((text, ""));
        let mut long = Long { kind: Some(Kind::Tmpfs), ..Long::default() };
        for option in options.split(',').filter(|o| !o.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = Node::text(item.mark, value);
            match name {
                "size" => long.size_bytes = values::bytes(&value, report).unwrap_or_default(),
                "mode" => long.mode = mode(&value, report).unwrap_or_default(),
                "ro" => long.read_only = true,
                // What the engine does anyway.
                "rw" | "noexec" | "nosuid" | "nodev" => {}
                other => {
                    let message = format!("the tmpfs option `{}` is not supported yet", cut(other));
                    report.error(item.mark, message);
                }
            }
        }
        long.target = target(&Node::text(item.mark, path), report);
        draft.mounts.extend(finish(long, item, report));
    };
    match &node.value {
        Value::List(_) => values::items(node, report, |item, report| one(item, report, draft)),
        _ => one(node, report, draft),
    }
    values::at_most(&mut draft.mounts, 200, node, report);
}
