//! The attribute `tmpfs` of a service: `/run` or `/run:size=64m,mode=1777`.

use super::{
    ServiceDraft,
    mounts::{Kind, Long, finish, target},
};
use crate::manifest::{
    report::{Report, cut},
    values,
    yaml::{Node, Value},
};

/// Options that stand alone, and those with a value.
const FLAGS: [&str; 10] = [
    "exec",
    "suid",
    "dev",
    "sync",
    "dirsync",
    "noatime",
    "nodiratime",
    "relatime",
    "strictatime",
    "norelatime",
];
const VALUES: [&str; 5] = ["uid", "gid", "nr_inodes", "nr_blocks", "mpol"];

/// Decodes `tmpfs`.
pub(super) fn decode(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    match &node.value {
        Value::List(_) => values::items(node, report, |item, report| {
            draft.mounts.extend(one(item, report).and_then(|long| finish(long, item, report)));
        }),
        _ => draft.mounts.extend(one(node, report).and_then(|long| finish(long, node, report))),
    }
    values::at_most(&mut draft.mounts, 200, node, report);
}

fn one(node: &Node, report: &mut Report<'_>) -> Option<Long> {
    let text = values::text(node, report)?;
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let mut long = Long { kind: Some(Kind::Tmpfs), ..Long::default() };
    for option in options.split(',').filter(|o| !o.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = Node::text(node.mark, value);
        match name {
            "size" => long.size_bytes = values::bytes(&value, report).unwrap_or_default(),
            "mode" => long.mode = values::file_mode(&value, report).unwrap_or_default(),
            "ro" => long.read_only = true,
            // What the engine does anyway.
            "rw" | "noexec" | "nosuid" | "nodev" => {}
            _ if is_option(option) => long.options.push(option.to_owned()),
            _ => {
                let message = format!("unknown tmpfs option `{}`", cut(option));
                report.error(node.mark, message);
            }
        }
    }
    long.options.sort_unstable();
    long.target = target(&Node::text(node.mark, path), report);
    Some(long)
}

fn is_option(option: &str) -> bool {
    match option.split_once('=') {
        None => FLAGS.contains(&option),
        Some((name, value)) => VALUES.contains(&name) && !value.is_empty(),
    }
}
