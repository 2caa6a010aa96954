//! The image of a service: which, for which platform and when it is fetched.

use super::ServiceDraft;
use crate::{
    manifest::{
        report::{Mark, Report, cut},
        values,
        yaml::Node,
    },
    model::{PullPolicy, Span},
};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// What a service says about fetching its image again.
#[derive(Default)]
pub(super) struct RefreshDraft {
    /// Where it says `refresh`.
    asked: Option<Mark>,
    /// Where it says after which time, and that time when it is right.
    after: Option<(Mark, Option<Span>)>,
}

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
        Some(text) if text.starts_with("every_") => {
            let age = every(text.trim_start_matches("every_"));
            match age.and_then(|age| acceptable_age(age, node, report)) {
                Some(age) => draft.spec.pull_policy = PullPolicy::Refresh(age),
                None if age.is_some() => {}
                None => report.error_hint(
                    node.mark,
                    format!("`{}` says no length of time", cut(text)),
                    "write weeks, days, hours, minutes and seconds, as `every_1d12h`",
                ),
            }
        }
        _ => {
            let words = [
                ("always", Some(PullPolicy::Always)),
                ("missing", Some(PullPolicy::Missing)),
                ("never", Some(PullPolicy::Never)),
                ("if_not_present", Some(PullPolicy::Missing)),
                ("daily", Some(PullPolicy::Refresh(Span::secs(DAY)))),
                ("weekly", Some(PullPolicy::Refresh(Span::secs(7 * DAY)))),
                ("refresh", None),
            ];
            match values::one_of(node, &words, report) {
                Some(Some(policy)) => draft.spec.pull_policy = policy,
                Some(None) => draft.refresh.asked = Some(node.mark),
                None => {}
            }
        }
    }
}

/// Decodes `pull_refresh_after`.
pub(super) fn pull_refresh_after(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let age = values::duration(node, report).and_then(|age| acceptable_age(age, node, report));
    draft.refresh.after = Some((node.mark, age));
}

/// Brings `pull_policy: refresh` and `pull_refresh_after` together: neither means anything alone.
pub(super) fn settle_refresh(draft: &mut ServiceDraft, report: &mut Report<'_>) {
    match (draft.refresh.asked, draft.refresh.after) {
        (Some(_), Some((_, Some(age)))) => draft.spec.pull_policy = PullPolicy::Refresh(age),
        (Some(asked), None) => report.within("pull_policy", |report| {
            report.error_hint(
                asked,
                "`pull_policy: refresh` needs to know how old the image may be",
                "add `pull_refresh_after: 24h`, or write `daily`, `weekly` or `every_12h`",
            );
        }),
        (None, Some((after, _))) => report.within("pull_refresh_after", |report| {
            report.error_hint(
                after,
                "`pull_refresh_after` has no effect without `pull_policy: refresh`",
                "add `pull_policy: refresh`, or remove it",
            );
        }),
        // Nothing is said, or what is wrong with it is told.
        (None, None) | (Some(_), Some((_, None))) => {}
    }
}

/// Numbers of weeks, days, hours, minutes and seconds one after the other.
fn every(text: &str) -> Option<Span> {
    let whole = text
        .split_inclusive(|c: char| !c.is_ascii_digit())
        .all(|part| part.len() > 1 && part.ends_with(['w', 'd', 'h', 'm', 's']));
    values::span(text).filter(|_| whole)
}

/// An age that tells something.
fn acceptable_age(age: Span, node: &Node, report: &mut Report<'_>) -> Option<Span> {
    if age > Span::default() {
        return Some(age);
    }
    let message = format!("{} of nothing fetches the image each time", report.subject());
    report.error_hint(node.mark, message, "write `pull_policy: always`");
    None
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
