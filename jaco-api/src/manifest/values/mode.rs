//! File modes.

use super::wrong;
use crate::manifest::{report::Report, yaml::Node};

/// Permission bits. As in YAML, a number is octal when it begins with 0 or 0o and decimal otherwise, and
/// as in Compose a quoted one is octal always.
pub(in crate::manifest) fn file_mode(node: &Node, report: &mut Report<'_>) -> Option<u32> {
    let refuse = |report: &mut Report<'_>| wrong(node, "an octal file mode such as 0440", report);
    let Some(text) = node.as_text().filter(|t| !t.starts_with(['+', '-'])) else {
        return refuse(report);
    };
    let decimal = node.is_plain() && !text.starts_with('0');
    let (digits, radix) = if decimal { (text, 10) } else { (text.trim_start_matches("0o"), 8) };
    let mode = u32::from_str_radix(digits, radix).ok().filter(|mode| *mode <= 0o7777);
    let Some(mode) = mode else { return refuse(report) };
    if decimal {
        let message = format!("{text} is a decimal number here: the mode {mode:04o}");
        report.warn(node.mark, message, Some(format!("a mode has a zero in front: 0{text}")));
    }
    Some(mode)
}
