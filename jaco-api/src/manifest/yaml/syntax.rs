//! What is wrong with a text that is no YAML, in words for people who do not know YAML's grammar.

use std::collections::BTreeSet;

use granit_parser::{ErrorKind, ScanError};

use crate::manifest::{
    report::{Mark, Report, cut},
    suggest,
};

/// A problem, its place and the way out.
pub(super) struct Problem {
    pub(super) mark: Mark,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

const INDENTATION: &str = "keys and items that belong together begin in the same column";

/// Explains an error at `mark` of `text`.
pub(super) fn explain(error: &ScanError, text: &str, mark: Mark, report: &Report<'_>) -> Problem {
    // A carriage return ends a line of YAML, with and without a line feed.
    let text = &*text.replace("\r\n", "\n").replace('\r', "\n");
    let plain = |message: &str, hint: &str| Problem {
        mark,
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    };
    match error.kind() {
        ErrorKind::UnknownAnchor => unknown_anchor(text, mark, report),
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed => {
            let mark = tab(text, mark).unwrap_or(mark);
            let (message, hint) = ("a tab cannot indent", "use spaces");
            Problem { mark, message: message.to_owned(), hint: Some(hint.to_owned()) }
        }
        ErrorKind::InvalidTrailingDoubleQuotedScalar => open_quote(text, mark, '"'),
        ErrorKind::InvalidTrailingSingleQuotedScalar => open_quote(text, mark, '\''),
        ErrorKind::UnclosedQuotedScalar => {
            plain("the quote that opens here is not closed", "close it, or leave it out")
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::InvalidIndentation
        | ErrorKind::MappingKeyNotAllowed
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed => {
            plain("the indentation of this line fits nothing above it", INDENTATION)
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => plain(
            "a `:` is missing after the key",
            "write `key: value`, with a space after the `:`",
        ),
        ErrorKind::MappingValueNotAllowed => value_not_allowed(text, mark),
        ErrorKind::ExpectedFlowSequenceSeparator => plain(
            "a `,` or `]` is missing in the list",
            "put a text that holds one of `,[]{}` in quotes",
        ),
        ErrorKind::ExpectedFlowMappingSeparator => plain(
            "a `,` or `}` is missing in the mapping",
            "put a text that holds one of `,[]{}` in quotes",
        ),
        _ => Problem { mark, message: cut(&error.info()), hint: None },
    }
}

/// Where a line begins in the text.
fn line_start(text: &str, line: u32) -> Option<usize> {
    let before = line.checked_sub(1)? as usize;
    match before {
        0 => Some(0),
        n => text.match_indices('\n').nth(n - 1).map(|(at, _)| at + 1),
    }
}

/// The byte of a mark in the text.
fn offset(text: &str, mark: Mark) -> Option<usize> {
    let start = line_start(text, mark.line)?;
    let columns = text[start..].char_indices().map(|(at, _)| at).chain([text.len() - start]);
    Some(start + columns.into_iter().nth(mark.column.saturating_sub(1) as usize)?)
}

/// A `:` where no value may begin: a second one on its line, or the first one below a line that is
/// a text so far.
fn value_not_allowed(text: &str, mark: Mark) -> Problem {
    let at = offset(text, mark).unwrap_or(text.len());
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let problem = |mark, message: &str, hint: &str| Problem {
        mark,
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    };
    if text[start..at].contains(": ") {
        let hint = "put a text that holds `: ` in quotes";
        return problem(mark, "a second `:` in one value", hint);
    }
    let above =
        text[..start].lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).last();
    match above {
        Some((index, line)) if !line.contains(": ") && !line.trim_end().ends_with(':') => {
            let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let indent = line.chars().take_while(|c| *c == ' ').count();
            let mark = Mark {
                line: narrow(index + 1),
                column: narrow(indent + 1),
                length: narrow(line.trim().chars().count()),
                ..mark
            };
            let missing = if line.contains(':') {
                "a space is missing after the `:` of this line"
            } else {
                "a `:` is missing on this line"
            };
            problem(mark, missing, "write `key: value` or `key:`")
        }
        _ => problem(mark, "this key is indented below a value", INDENTATION),
    }
}

fn unknown_anchor(text: &str, mark: Mark, report: &Report<'_>) -> Problem {
    let name = |from: &str| -> String {
        from.chars().take_while(|c| !c.is_whitespace() && !",[]{}".contains(*c)).collect()
    };
    let at = offset(text, mark).unwrap_or(text.len());
    let missing = name(text[at..].trim_start_matches('*'));
    let known: BTreeSet<String> = text[..at]
        .match_indices('&')
        .filter(|(i, _)| text[..*i].ends_with([' ', '\n', '[', '{', ',', '-']))
        .map(|(i, _)| name(&text[i + 1..]))
        .filter(|n| !n.is_empty())
        .collect();
    let hint =
        suggest::hint(report, &missing, "the anchors so far", known.iter().map(String::as_str))
            .or_else(|| Some("a text that begins with `*` is quoted".to_owned()));
    let length = u32::try_from(missing.chars().count() + 1).unwrap_or(1);
    Problem {
        mark: Mark { length, ..mark },
        message: format!("no value before this is marked `&{}`", cut(&missing)),
        hint,
    }
}

/// The first tab of the line.
fn tab(text: &str, mark: Mark) -> Option<Mark> {
    let start = line_start(text, mark.line)?;
    let line = text[start..].lines().next()?;
    let at = line.chars().position(|c| c == '\t')?;
    Some(Mark { column: u32::try_from(at + 1).ok()?, length: 1, ..mark })
}

/// Something follows a closing quote. When that quote was opened on another line, it is rather the
/// opening one that was never meant to reach so far.
fn open_quote(text: &str, mark: Mark, quote: char) -> Problem {
    let after = Problem {
        mark,
        message: "something follows the closing quote".to_owned(),
        hint: Some("quote all of the value, or nothing of it".to_owned()),
    };
    let opened = || {
        let close = text[..offset(text, mark)?].trim_end().rfind(quote)?;
        let open = text[..close].rfind(quote)?;
        let line = text[..open].matches('\n').count();
        let start = text[..open].rfind('\n').map_or(0, |at| at + 1);
        let column = text[start..open].chars().count();
        let narrow = |n: usize| u32::try_from(n + 1).ok();
        Some(Mark { line: narrow(line)?, column: narrow(column)?, length: 1, ..mark })
    };
    match opened() {
        Some(open) if open.line < mark.line => Problem {
            mark: open,
            message: format!("the quote that opens here is not closed before line {}", mark.line),
            hint: Some("close it where the text ends".to_owned()),
        },
        _ => after,
    }
}
