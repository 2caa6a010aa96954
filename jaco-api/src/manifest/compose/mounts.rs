//! Volumes, bind mounts and memory file systems.

use std::collections::BTreeMap;

use super::{ServiceDraft, image, toplevel::texts};
use crate::{
    manifest::{
        fields::{Schema, Supported, accepted, ignored},
        report::{Mark, Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::{Mount, MountSource, Recursion, Relabel},
};

/// A mount whose volume has not been looked up yet.
pub(in crate::manifest) struct MountDraft {
    pub(in crate::manifest) mark: Mark,
    /// Key of the volume at the top level, for a named volume.
    pub(in crate::manifest) key: Option<String>,
    pub(in crate::manifest) mount: Mount,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Volume,
    Bind,
    Tmpfs,
    Image,
}

/// The long form while it is read.
#[derive(Default)]
pub(super) struct Long {
    pub(super) kind: Option<Kind>,
    pub(super) source: Option<(String, Mark)>,
    pub(super) target: Option<String>,
    pub(super) read_only: bool,
    pub(super) nocopy: bool,
    pub(super) subpath: Option<(String, Mark)>,
    pub(super) labels: Option<(BTreeMap<String, String>, Mark)>,
    pub(super) create: Option<bool>,
    pub(super) propagation: Option<String>,
    pub(super) selinux: Option<Relabel>,
    pub(super) recursive: Option<Recursion>,
    pub(super) size_bytes: u64,
    pub(super) mode: u32,
    pub(super) options: Vec<String>,
}

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

static LONG: Schema<Long> = Schema {
    what: "a volume of a service",
    at: &["services.*.volumes"],
    extensions: true,
    attributes: &[
        accepted("type", "`volume`, `bind`, `tmpfs` or `image`.", |l, n, r| match n.as_text() {
            Some("npipe") => r.error(n.mark, "volumes of type `npipe` exist on Windows only"),
            Some("cluster") => r.error_hint(
                n.mark,
                "volumes of type `cluster` are not supported: they belong to Docker Swarm",
                "write `type: volume`, and a driver at the top level",
            ),
            _ => {
                let words = [
                    ("volume", Kind::Volume),
                    ("bind", Kind::Bind),
                    ("tmpfs", Kind::Tmpfs),
                    ("image", Kind::Image),
                ];
                l.kind = values::one_of(n, &words, r);
            }
        }),
        accepted(
            "source",
            "Key of a volume at the top level, path of the host, or image. A volume without it belongs to the container alone.",
            |l, n, r| l.source = values::some_text(n, r).map(|s| (s, n.mark)),
        ),
        accepted("target", "Absolute path in the container.", |l, n, r| l.target = target(n, r)),
        accepted("read_only", "true: the container cannot write to it.", |l, n, r| {
            l.read_only = values::boolean(n, r).unwrap_or_default()
        }),
        accepted("bind", "Options of `type: bind`.", |l, n, r| BIND.decode(n, l, r)),
        accepted("volume", "Options of `type: volume`.", |l, n, r| VOLUME.decode(n, l, r)),
        accepted("tmpfs", "Options of `type: tmpfs`.", |l, n, r| TMPFS.decode(n, l, r)),
        ignored(
            "consistency",
            "How far host and container may differ for a moment.",
            "it is for virtual machines on a desktop",
        ),
        accepted("image", "Options of `type: image`. Needs Docker 28.", |l, n, r| {
            IMAGE.decode(n, l, r)
        }),
    ],
};

static BIND: Schema<Long> = Schema {
    what: "a bind mount",
    at: &["services.*.volumes.bind"],
    extensions: true,
    attributes: &[
        accepted(
            "propagation",
            "`private`, `rprivate` (the default), `shared`, `rshared`, `slave` or `rslave`.",
            |l, n, r| {
                let words = PROPAGATIONS.map(|p| (p, p));
                l.propagation = values::one_of(n, &words, r).map(str::to_owned);
            },
        ),
        accepted(
            "create_host_path",
            "true (the default): a missing path is made as a directory.",
            |l, n, r| l.create = values::boolean(n, r),
        ),
        accepted(
            "selinux",
            "`z`: every container may use the files. `Z`: this one alone.",
            |l, n, r| {
                let words = [("z", Relabel::Shared), ("Z", Relabel::Private)];
                l.selinux = values::one_of(n, &words, r);
            },
        ),
        accepted(
            "recursive",
            "File systems below it: `enabled` (the default), `disabled`, `writable` or `readonly`. The last two need Docker 25.",
            |l, n, r| {
                let words = [
                    ("enabled", None),
                    ("disabled", Some(Recursion::Disabled)),
                    ("writable", Some(Recursion::Writable)),
                    ("readonly", Some(Recursion::Readonly)),
                ];
                l.recursive = values::one_of(n, &words, r).flatten();
            },
        ),
    ],
};

static VOLUME: Schema<Long> = Schema {
    what: "the options of a volume",
    at: &["services.*.volumes.volume"],
    extensions: true,
    attributes: &[
        accepted(
            "nocopy",
            "true: what the image has at that path is not copied into an empty volume.",
            |l, n, r| l.nocopy = values::boolean(n, r).unwrap_or_default(),
        ),
        accepted(
            "subpath",
            "A directory of the volume, which must exist. Needs Docker 26.",
            |l, n, r| l.subpath = subpath(n, r),
        ),
        accepted(
            "labels",
            "Labels of a volume without a name; others have theirs at the top level.",
            |l, n, r| l.labels = Some((texts(n, r), n.mark)),
        ),
    ],
};

static IMAGE: Schema<Long> = Schema {
    what: "the options of an image",
    at: &["services.*.volumes.image"],
    extensions: true,
    attributes: &[accepted(
        "subpath",
        "A directory of the image. Needs Docker 28.1.",
        |l, n, r| l.subpath = subpath(n, r),
    )],
};

static TMPFS: Schema<Long> = Schema {
    what: "the options of a tmpfs",
    at: &["services.*.volumes.tmpfs"],
    extensions: true,
    attributes: &[
        accepted("size", "Limit, as `64m`.", |l, n, r| {
            l.size_bytes = values::bytes(n, r).unwrap_or_default()
        }),
        accepted("mode", "Its mode in octal digits, as `01777`.", |l, n, r| {
            l.mode = values::file_mode(n, r).unwrap_or_default()
        }),
    ],
};

/// Every key of the long form.
pub(super) fn describe() -> Vec<Supported> {
    let (long, bind) = (LONG.describe(), BIND.describe());
    long.chain(bind)
        .chain(VOLUME.describe())
        .chain(TMPFS.describe())
        .chain(IMAGE.describe())
        .collect()
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
            "z" => long.selinux = Some(Relabel::Shared),
            "Z" => long.selinux = Some(Relabel::Private),
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

pub(super) fn finish(long: Long, node: &Node, report: &mut Report<'_>) -> Option<MountDraft> {
    let Some(kind) = long.kind else {
        if node.get("type").is_none() {
            report.error(node.mark, "the volume has no `type`: volume, bind or tmpfs");
        }
        return None;
    };
    let Some(target) = long.target.clone() else {
        if node.as_text().is_none() && node.get("target").is_none() {
            report.error(node.mark, "the volume has no `target`");
        }
        return None;
    };
    let read_only = long.read_only || kind == Kind::Image;
    let mut key = None;
    let source = match kind {
        Kind::Volume => {
            key = long.source.clone().map(|(s, _)| s);
            volume(long, report)
        }
        Kind::Bind => bind(long, &target, node, report)?,
        Kind::Tmpfs => {
            if let Some((_, at)) = long.source {
                report.error(at, "a tmpfs has no `source`");
                return None;
            }
            let Long { size_bytes, mode, options, .. } = long;
            MountSource::Tmpfs { size_bytes, mode, options }
        }
        Kind::Image => {
            let Some((name, at)) = long.source else {
                report.error(node.mark, "the mount has no `source`: the image");
                return None;
            };
            if !image::is_reference(&name) {
                report.error(at, format!("`{}` is no image reference", cut(&name)));
                return None;
            }
            MountSource::Image { name, subpath: long.subpath.map(|(s, _)| s) }
        }
    };
    Some(MountDraft { mark: node.mark, key, mount: Mount { source, target, read_only } })
}

/// A volume; which one is looked up when all of them are known.
fn volume(long: Long, report: &mut Report<'_>) -> MountSource {
    match (&long.source, &long.subpath, &long.labels) {
        (None, Some((_, at)), _) => report.error_hint(
            *at,
            "`subpath` needs a volume with a name: one without is empty",
            "name the volume with `source`",
        ),
        (Some(_), _, Some((_, at))) => report.error_hint(
            *at,
            "`labels` of a mount are for volumes without a name",
            "set `labels` of the volume at the top level",
        ),
        _ => {}
    }
    MountSource::Volume {
        name: String::new(),
        external: false,
        driver: String::new(),
        driver_opts: BTreeMap::new(),
        nocopy: long.nocopy,
        subpath: long.subpath.map(|(s, _)| s),
        labels: long.labels.map(|(l, _)| l).unwrap_or_default(),
    }
}

/// A path of the host.
fn bind(long: Long, target: &str, node: &Node, report: &mut Report<'_>) -> Option<MountSource> {
    let Some((path, at)) = long.source else {
        report.error(node.mark, "the bind mount has no `source`");
        return None;
    };
    if !path.starts_with('/') {
        let message = format!("the path `{}` of a host is not absolute", cut(&path));
        let hint = "it is a path on the cluster's hosts: begin it with `/`";
        report.error_hint(at, message, hint);
        return None;
    }
    let path = match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        trimmed => trimmed.to_owned(),
    };
    let create = long.create.unwrap_or(true);
    // The engine relabels only what is written in the short form, which says nothing of the rest.
    let problem = match (long.selinux, long.recursive) {
        (None, _) => None,
        (_, Some(_)) => Some("`selinux` and `recursive` exclude each other"),
        _ if !create => Some("with `selinux` the path is made when it is missing"),
        _ if path.contains(':') || target.contains(':') => {
            Some("with `selinux` no path can hold a colon")
        }
        _ => None,
    };
    if let Some(problem) = problem {
        report.error_hint(node.mark, problem, "remove `selinux`, and label the files on the host");
    }
    let (propagation, selinux, recursive) = (long.propagation, long.selinux, long.recursive);
    if recursive == Some(Recursion::Readonly) && propagation.as_deref() != Some("rprivate") {
        let hint = "add that to `bind`";
        report.error_hint(node.mark, "`recursive: readonly` needs `propagation: rprivate`", hint);
    }
    if matches!(recursive, Some(Recursion::Readonly | Recursion::Writable)) && !long.read_only {
        let hint = "add `read_only: true`, or write `recursive: enabled`";
        report.error_hint(node.mark, "`recursive` says how far the mount is read-only", hint);
    }
    Some(MountSource::Bind { path, create, propagation, selinux, recursive })
}

/// A directory inside of what is mounted.
fn subpath(node: &Node, report: &mut Report<'_>) -> Option<(String, Mark)> {
    let path = values::some_text(node, report)?;
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return values::wrong(node, "a relative path without `..`", report);
    }
    Some((path, node.mark))
}

pub(super) fn target(node: &Node, report: &mut Report<'_>) -> Option<String> {
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
