//! The image of a service: which, for which platform and when it is fetched.

use super::ServiceDraft;
use crate::{
    manifest::{
        report::{Report, cut},
        values,
        yaml::Node,
    },
    model::PullPolicy,
};

/// Whether a text can be the reference of an image.
pub(super) fn is_reference(text: &str) -> bool {
    text.len() <= 512
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@[]".contains(&b))
}

/// Decodes `image`.
pub(super) fn image(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    draft.image = Some(node.mark);
    let Some(image) = values::text(node, report) else { return };
    if !is_reference(image) {
        return report.error(node.mark, format!("`{}` is no image reference", cut(image)));
    }
    image.clone_into(&mut draft.spec.image);
}

/// Decodes `pull_policy`.
pub(super) fn pull_policy(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    match node.as_text() {
        Some("build") => report.error_hint(
            node.mark,
            "`pull_policy: build` is not supported: images are not built here",
            "build and push the image, and write `missing` or `always`",
        ),
        Some(t) if t == "daily" || t == "weekly" || t.starts_with("every_") => {
            report.error(node.mark, format!("`pull_policy: {}` is not supported yet", cut(t)));
        }
        _ => {
            let words = [
                ("always", PullPolicy::Always),
                ("missing", PullPolicy::Missing),
                ("never", PullPolicy::Never),
                ("if_not_present", PullPolicy::Missing),
            ];
            draft.spec.pull_policy = values::one_of(node, &words, report).unwrap_or_default();
        }
    }
}

/// Decodes `platform`.
pub(super) fn platform(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let platform = values::some_text(node, report)?;
    let parts: Vec<&str> = platform.split('/').collect();
    let word = |s: &&str| {
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(word) {
        return values::wrong(node, "a platform such as linux/amd64", report);
    }
    Some(platform.to_ascii_lowercase())
}
