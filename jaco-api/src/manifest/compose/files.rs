//! Secrets and configs: at the top level and in a service.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{ComposeDraft, named, unresolved};
use crate::{
    manifest::{
        fields::{Schema, Supported, accepted, ignored, rejected},
        report::{Mark, Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::{FileContent, FileKind, FileName, MOST_FILE_BYTES},
};

/// A secret or config of the file.
#[derive(Default)]
pub(in crate::manifest) struct FileDraft {
    /// The name in the cluster, when the file gives it.
    pub(in crate::manifest) name: Option<FileName>,
    /// The cluster has it.
    pub(in crate::manifest) external: bool,
    pub(in crate::manifest) content: Option<FileContent>,
    /// Where the content stands; set also when it cannot be read.
    given: Option<Mark>,
}

/// A secret or config that a service names.
pub(in crate::manifest) struct FileUseDraft {
    pub(in crate::manifest) mark: Mark,
    pub(in crate::manifest) kind: FileKind,
    /// Its key at the top level.
    pub(in crate::manifest) source: String,
    /// Where it is mounted, as the file says it.
    pub(in crate::manifest) target: Option<String>,
    pub(in crate::manifest) uid: u32,
    pub(in crate::manifest) gid: u32,
    pub(in crate::manifest) mode: Option<u32>,
}

const DRIVERS: &str = "belongs to Docker Swarm";
const NO_DRIVER: &str = "remove it; the cluster keeps secrets itself, see `jaco secret set`";

static FILE: Schema<FileDraft> = Schema {
    what: "a secret or config",
    at: &["secrets.*", "configs.*"],
    extensions: true,
    attributes: &[
        accepted(
            "file",
            "The file that holds it, of at most 512 KiB; the client reads it.",
            beside,
        ),
        accepted(
            "environment",
            "The variable that holds it, of the file that `environment` of jaco.yaml names.",
            beside,
        ),
        accepted(
            "content",
            "The content itself; variables in it are filled. `{base64: …}` for what is no text.",
            content,
        ),
        accepted(
            "external",
            "true: it is in the cluster, where `jaco secret set` or `jaco config set` put it.",
            external,
        ),
        accepted("name", "Its name in the cluster, where that differs from the key.", |f, n, r| {
            f.name = name(n, r);
        }),
        ignored("labels", "Labels.", "nothing shows them"),
        rejected("driver", "The driver that keeps it.", DRIVERS, NO_DRIVER),
        rejected("driver_opts", "Options of the driver.", DRIVERS, NO_DRIVER),
        rejected(
            "template_driver",
            "The driver that fills in its variables.",
            DRIVERS,
            "remove it; `content` has its variables filled",
        ),
    ],
};

static USE: Schema<FileUseDraft> = Schema {
    what: "a secret or config of a service",
    at: &["services.*.secrets", "services.*.configs"],
    extensions: true,
    attributes: &[
        accepted("source", "Its key at the top level.", |u, n, r| {
            u.source = values::some_text(n, r).unwrap_or_default();
            u.mark = n.mark;
        }),
        accepted(
            "target",
            "Where the container finds it: an absolute path, or a name below `/run/secrets` (configs: below `/`).",
            |u, n, r| u.target = values::some_text(n, r),
        ),
        accepted("uid", "Number of the user that owns it; default 0.", |u, n, r| u.uid = id(n, r)),
        accepted("gid", "Number of its group; default 0.", |u, n, r| u.gid = id(n, r)),
        accepted("mode", "Its mode in octal digits; default 0444.", |u, n, r| {
            u.mode = values::file_mode(n, r);
        }),
    ],
};

static EXTERNAL: Schema<FileDraft> = Schema {
    what: "an external secret or config",
    at: &["secrets.*.external", "configs.*.external"],
    extensions: false,
    attributes: &[accepted(
        "name",
        "Its name in the cluster: the old way to say it.",
        |f, n, r| {
            f.name = name(n, r);
        },
    )],
};

static BINARY: Schema<Option<Vec<u8>>> = Schema {
    what: "a content",
    at: &["secrets.*.content", "configs.*.content"],
    extensions: false,
    attributes: &[accepted("base64", "The bytes, as base64.", |b, n, r| {
        let text = values::text(n, r).unwrap_or_default();
        *b = STANDARD.decode(text).ok().or_else(|| values::wrong(n, "base64", r));
    })],
};

/// Every key of these.
pub(super) fn describe() -> Vec<Supported> {
    let all = FILE.describe().chain(EXTERNAL.describe()).chain(BINARY.describe());
    all.chain(USE.describe()).collect()
}

/// Decodes `secrets` and `configs` of the top level.
pub(super) fn decode(
    draft: &mut ComposeDraft,
    kind: FileKind,
    node: &Node,
    report: &mut Report<'_>,
) {
    named(node, report, |key, mark, value, report| {
        let mut file = FileDraft::default();
        FILE.decode(value, &mut file, report);
        if let Value::Map(_) = value.value {
            match (file.external, file.given) {
                (true, Some(given)) => report.error_hint(
                    given,
                    format!("the {kind} is external and has a content"),
                    "remove one of the two",
                ),
                (false, None) => report.error_hint(
                    mark,
                    format!("the {kind} `{}` has no content", cut(key)),
                    format!(
                        "give it `file`, `environment` or `content`, or set it with \
                         `jaco {kind} set` and write `external: true`"
                    ),
                ),
                _ => {}
            }
        }
        draft.files.insert((kind, key.to_owned()), (file, mark));
    });
}

/// Decodes `secrets` and `configs` of a service: names, or mappings.
pub(super) fn uses(
    out: &mut Vec<FileUseDraft>,
    kind: FileKind,
    node: &Node,
    report: &mut Report<'_>,
) {
    let from = out.len();
    values::items(node, report, |item, report| {
        let (source, mark) = (String::new(), item.mark);
        let mut file =
            FileUseDraft { mark, kind, source, target: None, uid: 0, gid: 0, mode: None };
        match &item.value {
            Value::Map(_) => {
                USE.decode(item, &mut file, report);
                if item.get("source").is_none_or(Node::is_null) {
                    return report.error(item.mark, format!("the {kind} has no `source`"));
                }
            }
            _ => file.source = values::text(item, report).unwrap_or_default().to_owned(),
        }
        if !file.source.is_empty() {
            out.push(file);
        }
    });
    let mut own = out.split_off(from);
    values::at_most(&mut own, 100, node, report);
    out.append(&mut own);
}

/// What the client puts the content in place of.
fn beside(draft: &mut FileDraft, node: &Node, report: &mut Report<'_>) {
    draft.given = Some(node.mark);
    unresolved(node, report);
}

/// A text, or `{base64: …}` for what is none.
fn content(draft: &mut FileDraft, node: &Node, report: &mut Report<'_>) {
    if draft.given.is_some() {
        let message = "the content is given twice: by `file`, `environment` or `content`";
        return report.error_hint(node.mark, message, "keep one of them");
    }
    draft.given = Some(node.mark);
    let bytes = if let Value::Map(_) = node.value {
        let mut bytes = None;
        BINARY.decode(node, &mut bytes, report);
        bytes
    } else if node.is_null() {
        Some(Vec::new())
    } else {
        values::text(node, report).map(|text| text.as_bytes().to_vec())
    };
    let Some(bytes) = bytes else { return };
    if bytes.len() > MOST_FILE_BYTES {
        let message = format!("it has {} bytes; {MOST_FILE_BYTES} are the most", bytes.len());
        return report.error_hint(node.mark, message, "mount a volume for larger files");
    }
    draft.content = Some(FileContent(bytes.into()));
}

/// `true`, or `{name: …}` of old files.
fn external(draft: &mut FileDraft, node: &Node, report: &mut Report<'_>) {
    let Value::Map(_) = node.value else {
        draft.external = values::boolean(node, report).unwrap_or_default();
        return;
    };
    draft.external = true;
    EXTERNAL.decode(node, draft, report);
}

fn name(node: &Node, report: &mut Report<'_>) -> Option<FileName> {
    let name = values::some_text(node, report)?;
    FileName::new(&name).map_err(|error| report.error(node.mark, error.to_string())).ok()
}

/// A number of a user or group: names are known to the image only.
fn id(node: &Node, report: &mut Report<'_>) -> u32 {
    let number = node.as_text().and_then(|t| t.parse::<u32>().ok());
    number.or_else(|| values::wrong(node, "the number of a user or group", report)).unwrap_or(0)
}
