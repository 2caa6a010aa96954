//! Variables in the values of a tree.

use super::Known;
use crate::manifest::{
    interpolate::interpolate,
    report::{Mark, Report},
    yaml::{Entry, Node, Scalar, Value},
};

/// Interpolates every value below a node. Where the variables are not known (and that is
/// reported), values that need them are not looked at any further.
pub(super) fn variables(
    node: &mut Node,
    known: Option<&Known>,
    budget: &mut usize,
    report: &mut Report<'_>,
) {
    let mark = node.mark;
    match &mut node.value {
        Value::Scalar(scalar) => scalar_variables(scalar, mark, known, budget, report),
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                report.item(index, |report| variables(item, known, budget, report));
            }
        }
        Value::Map(entries) => {
            for Entry { key, value, .. } in entries {
                report.within(key, |report| variables(value, known, budget, report));
            }
        }
    }
}

fn scalar_variables(
    scalar: &mut Scalar,
    mark: Mark,
    known: Option<&Known>,
    budget: &mut usize,
    report: &mut Report<'_>,
) {
    if !scalar.text.contains('$') {
        return;
    }
    let Some(known) = known else { return report.settle(mark) };
    match interpolate(&scalar.text, known, *budget) {
        Ok(done) => {
            for name in done.unset {
                let at = find(report, mark, &scalar.text, &format!("{{{name}"))
                    .or_else(|| find(report, mark, &scalar.text, &name))
                    .unwrap_or(mark);
                let message = format!("the variable `{name}` is not set; it stands for nothing");
                let hint = "give it a value in the file that `environment` of jaco.yaml names, \
                            or a default: `${NAME:-default}`";
                report.once(format!("unset {name}"), at, |report| {
                    report.warn(at, message, Some(hint.to_owned()));
                });
            }
            *budget = budget.saturating_sub(done.text.len());
            // A value that came from a variable is a text, never a null.
            *scalar = Scalar { text: done.text, plain: false };
        }
        Err(problem) => {
            let snippet = scalar.text.get(problem.start..problem.end).unwrap_or_default();
            let at = find(report, mark, &scalar.text[..problem.start], snippet).unwrap_or(mark);
            let say = |report: &mut Report<'_>| match problem.hint {
                Some(hint) => report.error_hint(at, problem.message, hint),
                None => report.error(at, problem.message),
            };
            match problem.missing {
                Some(name) => report.once(format!("missing {name}"), at, say),
                None => say(report),
            }
            report.settle(mark);
        }
    }
}

/// The place of `snippet` in the source of a scalar: after as many of its kind as the text before
/// it holds. `None` when the scalar's escapes hide it.
fn find(report: &Report<'_>, mark: Mark, before: &str, snippet: &str) -> Option<Mark> {
    if snippet.is_empty() || report.full() {
        return None;
    }
    let source = report.slice(mark);
    let skip = before.matches(snippet).count();
    let (at, _) =
        source.match_indices(snippet).nth(skip).or_else(|| source.match_indices(snippet).next())?;
    let start = mark.start as usize + at;
    Some(report.mark_at(mark.file, start, start + snippet.len()))
}
