//! Text to tree, bounded in size, depth and number of values.

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::{Entry, Node, Scalar, Value};
use crate::{
    error::ErrorCode,
    manifest::report::{Mark, Report, cut},
};

/// Largest file that is read.
pub(in crate::manifest) const MOST_BYTES: usize = 4 << 20;
/// Most values of a document, those behind aliases counted at every use.
const MOST_NODES: usize = 500_000;
/// Deepest nesting.
const DEEPEST: usize = 64;

/// A finished value that an alias may refer to.
struct Anchored {
    node: Node,
    height: usize,
    size: usize,
}

/// A list or mapping whose end has not been seen.
struct Open {
    mark: Mark,
    anchor: usize,
    value: Value,
    /// The key that waits for its value.
    key: Option<Key>,
    keys: BTreeMap<String, Mark>,
    merges: Vec<Node>,
    height: usize,
    size: usize,
}

enum Key {
    Plain(String, Mark),
    Merge,
    /// Reported already; its value is dropped.
    Refused,
}

struct Builder<'r, 's> {
    report: &'r mut Report<'s>,
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    root: Option<Node>,
}

/// The reading was given up; the problem is reported.
struct Stop;

/// Reads the one document of a file. `None` when it cannot be read; the reason is reported.
/// An empty file reads as null.
pub(in crate::manifest) fn read(text: &str, report: &mut Report<'_>) -> Option<Node> {
    if !readable(text, report) {
        return None;
    }
    let mut options = granit_parser::Options::default();
    options.emit_comments = false;
    let mut builder =
        Builder { report, stack: Vec::new(), anchors: BTreeMap::new(), nodes: 0, root: None };
    let mut documents = 0;
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                builder.refuse_syntax(&error);
                return None;
            }
        };
        if let Event::DocumentStart(..) = event {
            documents += 1;
            if documents > 1 {
                let mark = mark(&span);
                builder.report.coded(
                    ErrorCode::ParseFailed,
                    mark,
                    "the file holds more than one document",
                    Some("remove the `---` line, or split the file".to_owned()),
                );
                return None;
            }
        }
        if builder.event(event, &span).is_err() {
            return None;
        }
    }
    Some(builder.root.unwrap_or_else(|| Node::null(Mark { line: 1, column: 1, ..Mark::default() })))
}

/// Whether the text can be YAML at all.
fn readable(text: &str, report: &mut Report<'_>) -> bool {
    let start = Mark { line: 1, column: 1, length: 1, start: 0, end: 0 };
    if text.len() > MOST_BYTES {
        let message = format!("the file has {} bytes; the most are 4 MiB", text.len());
        report.coded(ErrorCode::ParseFailed, start, message, None);
        return false;
    }
    let control = |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || c == '\x7f';
    if let Some(at) = text.find(control) {
        let mark = report.mark_at(at, at + 1);
        report.coded(
            ErrorCode::ParseFailed,
            mark,
            format!("control character U+{:04X}: this is not a text file", text.as_bytes()[at]),
            None,
        );
        return false;
    }
    true
}

fn mark(span: &Span) -> Mark {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let range = span.byte_range().unwrap_or(0..0);
    let length = if span.start.line() == span.end.line() {
        span.end.col().saturating_sub(span.start.col())
    } else {
        1
    };
    Mark {
        line: narrow(span.start.line()),
        column: narrow(span.start.col() + 1),
        length: narrow(length.max(1)),
        start: narrow(range.start),
        end: narrow(range.end),
    }
}

impl Builder<'_, '_> {
    fn refuse_syntax(&mut self, error: &granit_parser::ScanError) {
        let at = error.marker();
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mark = Mark {
            line: narrow(at.line()),
            column: narrow(at.col() + 1),
            length: 1,
            ..Mark::default()
        };
        if let granit_parser::ErrorKind::RecursionLimitExceeded = error.kind() {
            return self.too_deep(mark);
        }
        let hint = match error.kind() {
            granit_parser::ErrorKind::UnknownAnchor => {
                Some("a text that begins with `*` is quoted")
            }
            _ => None,
        };
        let hint = hint.map(str::to_owned);
        self.report.coded(ErrorCode::ParseFailed, mark, cut(&error.info()), hint);
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        let mut mark = mark(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text = text.into_owned();
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    mark.length = 1;
                }
                let plain = self.plain(style, tag.as_deref(), &mark)?;
                let node = Node { mark, value: Value::Scalar(Scalar { text, plain }) };
                self.nodes += 1;
                self.finish(node, anchor, 0, 1)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.open(Value::List(Vec::new()), style, mark, anchor, tag.as_deref())
            }
            Event::MappingStart(style, anchor, tag) => {
                self.open(Value::Map(Vec::new()), style, mark, anchor, tag.as_deref())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(id, mark),
            _ => Ok(()),
        }
    }

    /// Whether a scalar may be read as something other than text.
    fn plain(&mut self, style: ScalarStyle, tag: Option<&Tag>, mark: &Mark) -> Result<bool, Stop> {
        match tag.map(|t| (t.core_suffix(), t)) {
            None => Ok(style == ScalarStyle::Plain),
            Some((Some("str"), _)) => Ok(false),
            Some((Some("int" | "bool" | "float" | "null"), _)) => Ok(true),
            Some((_, tag)) if tag.original() == "!" => Ok(false),
            Some((_, tag)) => self.refuse_tag(tag, mark),
        }
    }

    fn refuse_tag<T>(&mut self, tag: &Tag, mark: &Mark) -> Result<T, Stop> {
        let message = format!("the tag `{}` is not supported", cut(&tag.original()));
        self.report.coded(ErrorCode::ParseFailed, *mark, message, None);
        Err(Stop)
    }

    fn open(
        &mut self,
        value: Value,
        style: StructureStyle,
        mut mark: Mark,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Stop> {
        if let Some(tag) = tag
            && !matches!(tag.core_suffix(), Some("map" | "seq"))
        {
            return self.refuse_tag(tag, &mark);
        }
        if style == StructureStyle::Block {
            mark.length = 1;
        }
        self.nodes += 1;
        if self.stack.len() >= DEEPEST {
            self.too_deep(mark);
            return Err(Stop);
        }
        self.stack.push(Open {
            mark,
            anchor,
            value,
            key: None,
            keys: BTreeMap::new(),
            merges: Vec::new(),
            height: 0,
            size: 1,
        });
        Ok(())
    }

    fn too_deep(&mut self, mark: Mark) {
        let message = format!("the document is nested more than {DEEPEST} levels deep");
        self.report.coded(ErrorCode::ParseFailed, mark, message, None);
    }

    fn close(&mut self) -> Result<(), Stop> {
        let Some(mut open) = self.stack.pop() else { return Ok(()) };
        if !open.merges.is_empty() {
            self.merge(&mut open);
        }
        let node = Node { mark: open.mark, value: open.value };
        self.finish(node, open.anchor, open.height + 1, open.size)
    }

    fn alias(&mut self, id: usize, mark: Mark) -> Result<(), Stop> {
        let Some(anchored) = self.anchors.get(&id) else {
            let message = "an alias inside the value it stands for";
            self.report.coded(ErrorCode::ParseFailed, mark, message, None);
            return Err(Stop);
        };
        let (height, size) = (anchored.height, anchored.size);
        self.nodes = self.nodes.saturating_add(size);
        if self.stack.len() + height > DEEPEST {
            self.too_deep(mark);
            return Err(Stop);
        }
        self.bounded(mark)?;
        let node = self.anchors[&id].node.clone();
        self.finish(node, 0, height, size)
    }

    fn bounded(&mut self, mark: Mark) -> Result<(), Stop> {
        if self.nodes <= MOST_NODES {
            return Ok(());
        }
        let message = format!("the document holds more than {MOST_NODES} values");
        let hint = "aliases count at every use".to_owned();
        self.report.coded(ErrorCode::ParseFailed, mark, message, Some(hint));
        Err(Stop)
    }

    /// Puts a finished value where it belongs.
    fn finish(
        &mut self,
        node: Node,
        anchor: usize,
        height: usize,
        size: usize,
    ) -> Result<(), Stop> {
        self.bounded(node.mark)?;
        if anchor > 0 {
            self.nodes = self.nodes.saturating_add(size);
            self.bounded(node.mark)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), height, size });
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.height = open.height.max(height);
        open.size += size;
        match &mut open.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match open.key.take() {
                None => {
                    let key = self.key(node);
                    if let Some(open) = self.stack.last_mut() {
                        open.key = Some(key);
                    }
                }
                Some(Key::Plain(key, mark)) => entries.push(Entry { key, mark, value: node }),
                Some(Key::Merge) => open.merges.push(node),
                Some(Key::Refused) => {}
            },
            Value::Scalar(_) => {}
        }
        Ok(())
    }

    fn key(&mut self, node: Node) -> Key {
        let mark = node.mark;
        let Value::Scalar(scalar) = node.value else {
            let message = format!("a key must be a text, not {}", node.kind());
            self.report.coded(ErrorCode::ParseFailed, mark, message, None);
            return Key::Refused;
        };
        let merge = scalar.plain && scalar.text == "<<";
        if scalar.text.len() > 512 {
            let message = "a key has at most 512 bytes";
            self.report.coded(ErrorCode::ParseFailed, mark, message, None);
            return Key::Refused;
        }
        let Some(open) = self.stack.last_mut() else { return Key::Refused };
        if let Some(first) = open.keys.get(&scalar.text) {
            let message = format!("the key `{}` is there twice", cut(&scalar.text));
            let hint = format!("it is first on line {}", first.line);
            self.report.coded(ErrorCode::ParseFailed, mark, message, Some(hint));
            return Key::Refused;
        }
        open.keys.insert(scalar.text.clone(), mark);
        if merge { Key::Merge } else { Key::Plain(scalar.text, mark) }
    }

    /// Adds the entries behind `<<` that the mapping does not have itself; earlier ones win.
    fn merge(&mut self, open: &mut Open) {
        let Value::Map(entries) = &mut open.value else { return };
        let mut present: BTreeSet<String> = entries.iter().map(|e| e.key.clone()).collect();
        let mut sources = Vec::new();
        for source in open.merges.drain(..) {
            match source.value {
                Value::List(items) => sources.extend(items),
                _ => sources.push(source),
            }
        }
        for source in sources {
            let kind = source.kind();
            match source.value {
                Value::Map(more) => {
                    for entry in more {
                        if present.insert(entry.key.clone()) {
                            entries.push(entry);
                        }
                    }
                }
                _ => {
                    let message = format!("`<<` takes a mapping or a list of them, not {kind}");
                    self.report.coded(ErrorCode::ParseFailed, source.mark, message, None);
                }
            }
        }
    }
}
