//! The tree of a YAML document: every value knows its place.
//!
//! Aliases are expanded and merge keys are merged; keys keep their order and occur once.

mod json;
mod read;
mod syntax;
mod tags;

pub(super) use json::to_json;
pub(super) use read::{MOST_BYTES, MOST_NODES, read, read_file};
pub(super) use tags::Tags;

use super::report::Mark;

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) value: Value,
    pub(super) merging: Merging,
}

/// What becomes of the value it is merged over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Merging {
    /// Both are merged.
    #[default]
    Usual,
    /// `!reset`: neither is there.
    Reset,
    /// `!override`: it is replaced.
    Override,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Text, or anything written like it.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// Keys with values.
    Map(Vec<Entry>),
}

/// A text and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// True when it was written without quotes and may thus be a null, number or boolean.
    pub(super) plain: bool,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) mark: Mark,
    pub(super) value: Node,
}

impl Scalar {
    /// Whether it stands for nothing.
    pub(super) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    /// A value without a tag.
    pub(super) fn new(mark: Mark, value: Value) -> Self {
        Self { mark, value, merging: Merging::Usual }
    }

    /// A quoted text.
    pub(super) fn text(mark: Mark, text: impl Into<String>) -> Self {
        Self::new(mark, Value::Scalar(Scalar { text: text.into(), plain: false }))
    }

    /// A null.
    pub(super) fn null(mark: Mark) -> Self {
        Self::new(mark, Value::Scalar(Scalar { text: String::new(), plain: true }))
    }

    /// Whether it stands for nothing.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(s) if s.is_null())
    }

    /// The text of a scalar that is not null.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(s) if !s.is_null() => Some(&s.text),
            _ => None,
        }
    }

    /// Whether it was written without quotes.
    pub(super) fn is_plain(&self) -> bool {
        matches!(&self.value, Value::Scalar(s) if s.plain)
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(s) if s.is_null() => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// How many values it holds, itself included.
    pub(super) fn size(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|e| e.value.size()).sum::<usize>(),
        }
    }

    /// Takes a key out of a mapping.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        let Value::Map(entries) = &mut self.value else { return None };
        let position = entries.iter().position(|e| e.key == key)?;
        Some(entries.remove(position))
    }

    /// The value of a key, to change it.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Map(entries) => entries.iter_mut().find(|e| e.key == key).map(|e| &mut e.value),
            _ => None,
        }
    }
}
