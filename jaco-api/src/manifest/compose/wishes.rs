//! Labels that are wishes for the scheduler: `jaco.io/singleton`, `jaco.io/reschedule-after`.
//!
//! They may stand in `deploy.labels` and in `labels`. They are schedule, not container: a change of
//! one restarts nothing, and no container carries it.

use crate::{
    manifest::{
        privilege,
        report::{Mark, Report, cut},
        suggest, values,
        yaml::{Node, Value},
    },
    model::Span,
};

const PREFIX: &str = "jaco.io/";
const SINGLETON: &str = "jaco.io/singleton";
const RESCHEDULE_AFTER: &str = "jaco.io/reschedule-after";

/// What the labels of a service ask of the scheduler.
#[derive(Default)]
pub(in crate::manifest) struct Wishes {
    /// Two copies never run.
    pub(in crate::manifest) singleton: Option<(bool, Mark)>,
    /// How long after its node was lost a replica is placed elsewhere.
    pub(in crate::manifest) reschedule_after: Option<(Span, Mark)>,
}

/// Whether a label is a wish, and so no label of the container.
pub(in crate::manifest) fn is_wish(label: &str) -> bool {
    [SINGLETON, RESCHEDULE_AFTER].contains(&label)
}

impl Wishes {
    /// Reads the wishes among labels, a mapping or a list of `KEY=value`; whatever else is wrong
    /// with the labels is reported by who reads them as such.
    pub(super) fn read(&mut self, labels: &Node, report: &mut Report<'_>) {
        match &labels.value {
            Value::Map(entries) => {
                for entry in entries.iter().filter(|e| e.key.starts_with(PREFIX)) {
                    report.within(&entry.key, |report| {
                        self.take(&entry.key, entry.mark, &entry.value, report);
                    });
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let Some(text) = item.as_text().filter(|t| t.starts_with(PREFIX)) else {
                        continue;
                    };
                    let (key, value) = text.split_once('=').unwrap_or((text, ""));
                    let value = Node::text(item.mark, value);
                    report.item(index, |report| {
                        report.within(key, |report| self.take(key, item.mark, &value, report));
                    });
                }
            }
            Value::Scalar(_) => {}
        }
    }

    fn take(&mut self, key: &str, mark: Mark, value: &Node, report: &mut Report<'_>) {
        match key {
            SINGLETON => {
                let given = values::boolean(value, report).map(|v| (v, value.mark));
                settle(&mut self.singleton, given, key, report);
            }
            RESCHEDULE_AFTER => {
                let given = values::duration(value, report).map(|v| (v, value.mark));
                settle(&mut self.reschedule_after, given, key, report);
            }
            privilege::LABEL => {}
            _ => {
                let known = [SINGLETON, RESCHEDULE_AFTER, privilege::LABEL];
                let hint = suggest::hint(report, key, "the labels with a meaning", known);
                report.warn(mark, format!("the label `{}` has no meaning", cut(key)), hint);
            }
        }
    }
}

/// Both places may say the same, not two different things.
fn settle<T: Copy + PartialEq>(
    held: &mut Option<(T, Mark)>,
    given: Option<(T, Mark)>,
    key: &str,
    report: &mut Report<'_>,
) {
    let Some((value, mark)) = given else { return };
    if held.is_some_and(|(other, _)| other != value) {
        let message = format!("`{key}` is given twice with different values");
        return report.error_hint(mark, message, "keep the one in `deploy.labels`");
    }
    *held = Some((value, mark));
}
