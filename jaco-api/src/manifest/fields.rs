//! The table of attributes: everything about one attribute stands in one entry.
//!
//! A mapping of the manifest language is decoded by one table. What is in no table is an unknown
//! key; what is in one is accepted, ignored with a notice, refused with the reason and the
//! alternative, or not built yet. Nothing is dropped silently.

use super::{
    report::{Report, cut},
    suggest,
    yaml::{Node, Value},
};
use crate::error::ErrorCode;

/// One key of a mapping.
pub(super) struct Attribute<T: 'static> {
    pub(super) name: &'static str,
    pub(super) support: Support<T>,
}

/// What happens to a key.
pub(super) enum Support<T: 'static> {
    /// Its value is decoded into `T`.
    Accepted(fn(&mut T, &Node, &mut Report<'_>)),
    /// It has no effect, for this reason.
    Ignored(&'static str),
    /// It is refused.
    Rejected { code: ErrorCode, reason: &'static str, instead: &'static str },
    /// It is part of the format and not built yet.
    Planned,
}

/// An attribute that is decoded.
pub(super) const fn accepted<T>(
    name: &'static str,
    decode: fn(&mut T, &Node, &mut Report<'_>),
) -> Attribute<T> {
    Attribute { name, support: Support::Accepted(decode) }
}

/// An attribute without effect.
pub(super) const fn ignored<T>(name: &'static str, reason: &'static str) -> Attribute<T> {
    Attribute { name, support: Support::Ignored(reason) }
}

/// An attribute that can never work here.
pub(super) const fn rejected<T>(
    name: &'static str,
    reason: &'static str,
    instead: &'static str,
) -> Attribute<T> {
    let code = ErrorCode::ValidationFailed;
    Attribute { name, support: Support::Rejected { code, reason, instead } }
}

/// An attribute of an old format.
pub(super) const fn legacy<T>(name: &'static str, instead: &'static str) -> Attribute<T> {
    let code = ErrorCode::LegacyComposeField;
    let reason = "belongs to an old compose format";
    Attribute { name, support: Support::Rejected { code, reason, instead } }
}

/// An attribute that is not built yet.
pub(super) const fn planned<T>(name: &'static str) -> Attribute<T> {
    Attribute { name, support: Support::Planned }
}

/// A kind of mapping and its table.
pub(super) struct Schema<T: 'static> {
    /// What it is, with its article: "a service".
    pub(super) what: &'static str,
    /// Whether keys that begin with `x-` are free.
    pub(super) extensions: bool,
    /// Its keys.
    pub(super) attributes: &'static [Attribute<T>],
}

/// What is known of one key, for the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supported {
    /// The mapping it belongs to, with its article: "a service".
    pub of: &'static str,
    /// The key.
    pub name: &'static str,
    /// What happens to it: `accepted`, `ignored: …`, `refused: …` or `not yet`.
    pub support: String,
}

impl<T> Schema<T> {
    /// What is known of every key.
    pub(super) fn describe(&self) -> impl Iterator<Item = Supported> {
        self.attributes.iter().map(|a| Supported {
            of: self.what,
            name: a.name,
            support: match &a.support {
                Support::Accepted(_) => "accepted".to_owned(),
                Support::Ignored(reason) => format!("ignored: {reason}"),
                Support::Rejected { reason, instead, .. } => {
                    format!("refused: {reason}; {instead}")
                }
                Support::Planned => "not yet".to_owned(),
            },
        })
    }

    /// Decodes a mapping into `target`; a null value counts as absent.
    pub(super) fn decode(&self, node: &Node, target: &mut T, report: &mut Report<'_>) {
        let Value::Map(entries) = &node.value else {
            let message = format!("{} must be a mapping, not {}", report.subject(), node.kind());
            return report.error(node.mark, message);
        };
        for entry in entries {
            if self.extensions && entry.key.starts_with("x-") {
                continue;
            }
            let known = self.attributes.iter().find(|a| a.name == entry.key);
            report.within(&entry.key, |report| match known.map(|a| (a.name, &a.support)) {
                None => self.unknown(&entry.key, entry.mark, report),
                Some((_, Support::Accepted(_))) if entry.value.is_null() => {}
                Some((_, Support::Accepted(decode))) => decode(target, &entry.value, report),
                Some((name, Support::Ignored(reason))) => report.notice(entry.mark, name, reason),
                Some((name, Support::Rejected { code, reason, instead })) => {
                    let hint = Some((*instead).to_owned()).filter(|h| !h.is_empty());
                    report.coded(*code, entry.mark, format!("`{name}` {reason}"), hint);
                }
                Some((name, Support::Planned)) => {
                    report.error(entry.mark, format!("`{name}` is not supported yet"));
                }
            });
        }
    }

    /// Whether a mapping lacks a key. Not when a key that is unknown looks as if it were meant: that one is
    /// told.
    pub(super) fn lacks(&self, node: &Node, key: &str) -> bool {
        let Value::Map(entries) = &node.value else { return false };
        let unknown = |k: &str| self.attributes.iter().all(|a| a.name != k);
        let names = || self.attributes.iter().map(|a| a.name);
        let meant = |k: &str| unknown(k) && suggest::nearest(k, names()) == Some(key);
        node.get(key).is_none_or(Node::is_null) && !entries.iter().any(|e| meant(&e.key))
    }

    fn unknown(&self, key: &str, mark: super::report::Mark, report: &mut Report<'_>) {
        let known = self.attributes.iter().map(|a| a.name);
        let hint = suggest::hint(report, key, &format!("the keys of {}", self.what), known);
        let message = format!("unknown key `{}` in {}", cut(key), self.what);
        match hint {
            Some(hint) => report.error_hint(mark, message, hint),
            None => report.error(mark, message),
        }
    }
}
