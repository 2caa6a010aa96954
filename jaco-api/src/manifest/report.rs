//! Collects the problems of one file while it is walked.
//!
//! Input: marks of the tree. Output: [`Diagnostic`]s with file, line, path and source line. It
//! bounds what it collects, so that a hostile file cannot make the answer larger than itself.
//! A compose file brings further files with it; a mark says which of them it is in.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{Diagnostic, Severity};
use crate::error::ErrorCode;

/// Most problems reported of one file.
const MOST: usize = 200;
/// Longest source line that is quoted.
const LONGEST_LINE: usize = 240;
/// Most ports all ranges of one file may stand for.
const MOST_PORTS: u32 = 20_000;

/// A place in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Line, from 1.
    pub(super) line: u32,
    /// Column in characters, from 1.
    pub(super) column: u32,
    /// Characters on that line; at least 1.
    pub(super) length: u32,
    /// First byte.
    pub(super) start: u32,
    /// Byte after the last.
    pub(super) end: u32,
    /// Which file of the report: 0 is the file itself, the others are those it names.
    pub(super) file: u16,
}

/// A file that marks may be in.
struct Text<'s> {
    name: Cow<'s, str>,
    text: Cow<'s, str>,
    /// Where its lines begin.
    lines: Vec<u32>,
}

/// A mistake that shows in several places, and is told once.
struct Cause {
    /// Its problem among those that were found.
    index: usize,
    /// The file it is told of.
    file: u16,
    /// Files and lines where it shows again.
    places: Vec<(u16, u32)>,
}

/// The problems of one file, and of those it names, so far.
pub(super) struct Report<'s> {
    name: &'s str,
    texts: Vec<Text<'s>>,
    partial: bool,
    path: String,
    /// Where the last part of the path begins: a key may hold dots itself.
    part: usize,
    found: Vec<Diagnostic>,
    left_out: usize,
    notices: BTreeMap<&'static str, (usize, u32)>,
    causes: BTreeMap<String, Cause>,
    ports_left: u32,
    settled: BTreeSet<(u16, u32)>,
    /// What was said of each place: a value that is used twice is wrong once.
    said: BTreeSet<(Mark, String)>,
}

impl<'s> Text<'s> {
    fn new(name: impl Into<Cow<'s, str>>, text: impl Into<Cow<'s, str>>) -> Self {
        let text = text.into();
        let mut lines = vec![0];
        let bytes = text.as_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            let ends = *byte == b'\n' || (*byte == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
            if ends {
                lines.push(u32::try_from(i + 1).unwrap_or(u32::MAX));
            }
        }
        Self { name: name.into(), text, lines }
    }
}

impl<'s> Report<'s> {
    pub(super) fn new(name: &'s str, text: &'s str) -> Self {
        Self {
            name,
            texts: vec![Text::new(name, text)],
            partial: false,
            path: String::new(),
            part: 0,
            found: Vec::new(),
            left_out: 0,
            notices: BTreeMap::new(),
            causes: BTreeMap::new(),
            ports_left: MOST_PORTS,
            settled: BTreeSet::new(),
            said: BTreeSet::new(),
        }
    }

    /// The name of the file.
    pub(super) fn file(&self) -> &'s str {
        self.name
    }

    /// Adds a file that marks may be in, and says how marks name it.
    pub(super) fn add_file(&mut self, name: String, text: String) -> u16 {
        let index = u16::try_from(self.texts.len()).unwrap_or(u16::MAX);
        self.texts.push(Text::new(name, text));
        index
    }

    /// The name of the file that a mark is in.
    pub(super) fn file_of(&self, mark: Mark) -> &str {
        self.texts.get(usize::from(mark.file)).map_or(self.name, |t| &t.name)
    }

    /// A part of the file could not be had: what is not defined may be defined there.
    pub(super) fn lacks_a_part(&mut self) {
        self.partial = true;
    }

    /// Whether all of the file was read.
    pub(super) fn is_whole(&self) -> bool {
        !self.partial
    }

    /// The bytes between two offsets; empty when they are not in the text.
    pub(super) fn slice(&self, mark: Mark) -> &str {
        let text = self.texts.get(usize::from(mark.file)).map_or("", |t| &*t.text);
        text.get(mark.start as usize..mark.end as usize).unwrap_or("")
    }

    /// A mark for these bytes of the text of a file.
    pub(super) fn mark_at(&self, file: u16, start: usize, end: usize) -> Mark {
        let Some(Text { text, lines, .. }) = self.texts.get(usize::from(file)) else {
            return Mark::default();
        };
        let index = lines.partition_point(|l| *l as usize <= start).max(1) - 1;
        let from = lines[index] as usize;
        let column = text.get(from..start).map_or(0, |s| s.chars().count());
        let length = text.get(start..end).map_or(1, |s| s.chars().count());
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Mark {
            line: narrow(index + 1),
            column: narrow(column + 1),
            length: narrow(length.max(1)),
            start: narrow(start),
            end: narrow(end),
            file,
        }
    }

    /// Runs `f` with `key` added to the path.
    pub(super) fn within<R>(&mut self, key: &str, f: impl FnOnce(&mut Self) -> R) -> R {
        let (length, part) = (self.path.len(), self.part);
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.part = self.path.len();
        self.path.push_str(key);
        let result = f(self);
        self.path.truncate(length);
        self.part = part;
        result
    }

    /// Runs `f` with an empty path: what it finds is in another file, or about all of it.
    pub(super) fn at_root<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let (path, part) = (std::mem::take(&mut self.path), std::mem::take(&mut self.part));
        let result = f(self);
        (self.path, self.part) = (path, part);
        result
    }

    /// Runs `f` with `[index]` added to the path.
    pub(super) fn item<R>(&mut self, index: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        let _ = write!(self.path, "[{index}]");
        let result = f(self);
        self.path.truncate(length);
        result
    }

    /// The last part of the path, quoted: the subject of most messages.
    pub(super) fn subject(&self) -> String {
        match self.path.get(self.part..) {
            Some("") | None => "the document".to_owned(),
            Some(last) => format!("`{}`", cut(last)),
        }
    }

    /// A problem that makes the manifest invalid.
    pub(super) fn error(&mut self, mark: Mark, message: impl Into<String>) {
        self.add(Severity::Error, ErrorCode::ValidationFailed, mark, message.into(), None);
    }

    /// The same with the way out.
    pub(super) fn error_hint(
        &mut self,
        mark: Mark,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = Some(hint.into());
        self.add(Severity::Error, ErrorCode::ValidationFailed, mark, message.into(), hint);
    }

    /// A problem with its own code; the hint is the code's unless given.
    pub(super) fn coded(
        &mut self,
        code: ErrorCode,
        mark: Mark,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let hint = hint.or_else(|| Some(code.hint().to_owned()).filter(|h| !h.is_empty()));
        self.add(Severity::Error, code, mark, message.into(), hint);
    }

    /// Something that is accepted but probably not meant.
    pub(super) fn warn(&mut self, mark: Mark, message: impl Into<String>, hint: Option<String>) {
        self.add(Severity::Warning, ErrorCode::ValidationFailed, mark, message.into(), hint);
    }

    /// Says once per file that an attribute has no effect, and counts further places.
    pub(super) fn notice(&mut self, mark: Mark, attribute: &'static str, reason: &str) {
        if !self.full() && !self.said.insert((mark, attribute.to_owned())) {
            return;
        }
        if let Some((index, count)) = self.notices.get_mut(attribute) {
            *count += 1;
            let (index, count) = (*index, *count);
            let places = if count == 1 { "place" } else { "places" };
            self.found[index].message =
                format!("`{attribute}` has no effect, here and in {count} more {places}: {reason}");
            return;
        }
        let index = self.found.len();
        self.warn(mark, format!("`{attribute}` has no effect: {reason}"), None);
        if self.found.len() > index {
            self.notices.insert(attribute, (index, 0));
        }
    }

    /// Reports what `say` reports, unless the same `cause` was told of this file before: then only the line
    /// is added to what was said.
    pub(super) fn once(&mut self, cause: String, mark: Mark, say: impl FnOnce(&mut Self)) {
        if let Some(known) = self.causes.get_mut(&cause) {
            known.places.push((mark.file, mark.line.max(1)));
            return;
        }
        let index = self.found.len();
        say(self);
        if self.found.len() > index {
            self.causes.insert(cause, Cause { index, file: mark.file, places: Vec::new() });
        }
    }

    /// Adds to what was told once where else it shows.
    fn tell_lines(&mut self) {
        for (_, Cause { index, file, places }) in std::mem::take(&mut self.causes) {
            let here = places.iter().filter(|(of, _)| *of == file).map(|(_, line)| *line);
            let mut again: Vec<String> = Vec::from_iter(also(here.collect()));
            // Of another file the first place is enough.
            let elsewhere = places.iter().find(|(of, _)| *of != file);
            let elsewhere = elsewhere.and_then(|(of, line)| {
                Some(format!("also at {}:{line}", self.texts.get(usize::from(*of))?.name))
            });
            again.extend(elsewhere);
            if let Some(told) = self.found.get_mut(index).filter(|_| !again.is_empty()) {
                told.message.push_str(&format!(" ({})", again.join(", ")));
            }
        }
    }

    /// Takes `count` ports from what the file may use; false when they are used up.
    pub(super) fn take_ports(&mut self, count: u32) -> bool {
        let enough = count <= self.ports_left;
        self.ports_left = self.ports_left.saturating_sub(count);
        enough
    }

    /// Everything is said about this value: further problems of it are consequences.
    pub(super) fn settle(&mut self, mark: Mark) {
        self.settled.insert((mark.file, mark.start));
    }

    /// Whether further problems are only counted: what they would say need not be worked out.
    pub(super) fn full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// Whether an error was found.
    pub(super) fn failed(&self) -> bool {
        self.found.iter().any(|d| d.severity == Severity::Error)
    }

    /// Everything found, ordered by position.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.tell_lines();
        // The file itself first, then those it names in the order they were read.
        let places: BTreeMap<&str, usize> =
            self.texts.iter().enumerate().rev().map(|(i, t)| (&*t.name, i)).collect();
        self.found.sort_by(|a, b| {
            let key = |d: &Diagnostic| (places.get(d.file.as_str()).copied(), d.line, d.column);
            (key(a), a.severity, &a.message).cmp(&(key(b), b.severity, &b.message))
        });
        self.found.dedup();
        if self.left_out > 0
            && let Some(last) = self.found.last().cloned()
        {
            let message = format!("{} more problems are not shown", self.left_out);
            self.found.push(Diagnostic { message, hint: None, path: String::new(), ..last });
        }
        self.found
    }

    fn add(
        &mut self,
        severity: Severity,
        code: ErrorCode,
        mark: Mark,
        message: String,
        hint: Option<String>,
    ) {
        if self.settled.contains(&(mark.file, mark.start)) {
            return;
        }
        if !self.full() && !self.said.insert((mark, message.clone())) {
            return;
        }
        if self.found.len() >= MOST {
            // An error must never be lost behind warnings: it decides the outcome.
            let spare = (severity == Severity::Error)
                .then(|| self.found.iter().rposition(|d| d.severity == Severity::Warning))
                .flatten();
            self.left_out += 1;
            let Some(index) = spare else { return };
            self.tell_lines();
            self.found.remove(index);
            self.notices.clear();
        }
        self.found.push(Diagnostic {
            severity,
            code,
            file: self.file_of(mark).to_owned(),
            line: mark.line.max(1),
            column: mark.column.max(1),
            length: mark.length.max(1),
            source: self.line(mark),
            path: self.path.clone(),
            message,
            hint,
        });
    }

    /// The line of the mark; empty when it is too long to quote.
    fn line(&self, mark: Mark) -> String {
        let Some(Text { text, lines, .. }) = self.texts.get(usize::from(mark.file)) else {
            return String::new();
        };
        let index = mark.line.max(1) as usize - 1;
        let Some(start) = lines.get(index) else { return String::new() };
        let end = lines.get(index + 1).map_or(text.len(), |l| *l as usize);
        let line = text.get(*start as usize..end).unwrap_or("");
        let line = line.trim_end_matches(['\n', '\r']);
        if line.len() > LONGEST_LINE { String::new() } else { line.to_owned() }
    }
}

/// Where else a mistake shows: `also on lines 3, 7`.
fn also(mut lines: Vec<u32>) -> Option<String> {
    const SHOWN: usize = 8;
    if lines.is_empty() {
        return None;
    }
    lines.sort_unstable();
    lines.dedup();
    let shown: Vec<String> = lines.iter().take(SHOWN).map(u32::to_string).collect();
    let word = if lines.len() == 1 { "line" } else { "lines" };
    let more = match lines.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("also on {word} {}{more}", shown.join(", ")))
}

/// A text from the file as it may stand in a message: one line, at most 60 characters.
pub(super) fn cut(text: &str) -> String {
    let mut out: String =
        text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        out.push('…');
    }
    out
}
