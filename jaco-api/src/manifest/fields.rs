//! The table of attributes: everything about one attribute stands in one entry.
//!
//! A mapping of the manifest language is decoded by one table. What is in no table is an unknown
//! key; what is in one is accepted, ignored with a notice, refused with the reason and the
//! alternative, or not built yet. Nothing is dropped silently.

use std::fmt;

use serde::Serialize;

use super::{
    report::{Report, cut},
    suggest,
    yaml::{Node, Value},
};
use crate::error::ErrorCode;

/// One key of a mapping.
pub(super) struct Attribute<T: 'static> {
    name: &'static str,
    /// What it means here and in which forms it may be written, in one line.
    about: &'static str,
    support: Support<T>,
}

// Derived, they would ask the same of `T`.
impl<T> Clone for Attribute<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Attribute<T> {}
impl<T> Clone for Support<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Support<T> {}

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
    about: &'static str,
    decode: fn(&mut T, &Node, &mut Report<'_>),
) -> Attribute<T> {
    Attribute { name, about, support: Support::Accepted(decode) }
}

/// An attribute without effect.
pub(super) const fn ignored<T>(
    name: &'static str,
    about: &'static str,
    reason: &'static str,
) -> Attribute<T> {
    Attribute { name, about, support: Support::Ignored(reason) }
}

/// An attribute that can never work here.
pub(super) const fn rejected<T>(
    name: &'static str,
    about: &'static str,
    reason: &'static str,
    instead: &'static str,
) -> Attribute<T> {
    let code = ErrorCode::ValidationFailed;
    Attribute { name, about, support: Support::Rejected { code, reason, instead } }
}

/// An attribute of an old format.
pub(super) const fn legacy<T>(
    name: &'static str,
    about: &'static str,
    instead: &'static str,
) -> Attribute<T> {
    let code = ErrorCode::LegacyComposeField;
    let reason = "belongs to an old compose format";
    Attribute { name, about, support: Support::Rejected { code, reason, instead } }
}

/// An attribute that is not built yet.
pub(super) const fn planned<T>(name: &'static str, about: &'static str) -> Attribute<T> {
    Attribute { name, about, support: Support::Planned }
}

/// How many attributes some groups have together.
pub(super) const fn count<T>(groups: &[&[Attribute<T>]]) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < groups.len() {
        count += groups[at].len();
        at += 1;
    }
    count
}

/// A table made of groups, for a mapping with too many keys for one file.
pub(super) const fn joined<T, const COUNT: usize>(
    groups: &[&[Attribute<T>]],
) -> [Attribute<T>; COUNT] {
    let mut out = [groups[0][0]; COUNT];
    let (mut group, mut at, mut filled) = (0, 0, 0);
    while group < groups.len() {
        if at == groups[group].len() {
            (group, at) = (group + 1, 0);
            continue;
        }
        out[filled] = groups[group][at];
        (at, filled) = (at + 1, filled + 1);
    }
    out
}

/// A kind of mapping and its table.
pub(super) struct Schema<T: 'static> {
    /// What it is, with its article: "a service".
    pub(super) what: &'static str,
    /// Where such mappings stand: `services.*.deploy`; `*` is a name that the user gives, and the
    /// top of the file is empty.
    pub(super) at: &'static [&'static str],
    /// Whether keys that begin with `x-` are free.
    pub(super) extensions: bool,
    /// Its keys.
    pub(super) attributes: &'static [Attribute<T>],
}

/// What happens to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "support")]
pub enum Treatment {
    /// It has its effect.
    Accepted,
    /// It is accepted and has no effect.
    Ignored {
        /// Why not.
        reason: &'static str,
    },
    /// It is an error.
    Refused {
        /// Why.
        reason: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// It is an error until it is built.
    Planned,
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Ignored { reason } => write!(f, "ignored: {reason}"),
            Self::Refused { reason, instead } => write!(f, "refused: {reason}; {instead}"),
            Self::Planned => f.write_str("not yet"),
        }
    }
}

/// What is known of one key, for the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supported {
    /// The mapping it belongs to, with its article: "a service".
    pub of: &'static str,
    /// Where that mapping stands, as `services.*.deploy`; `*` is a name that the user gives, and the
    /// top of the file is empty.
    pub at: &'static [&'static str],
    /// The key.
    pub name: &'static str,
    /// What it means here and how it may be written.
    pub about: &'static str,
    /// What happens to it.
    pub support: Treatment,
}

impl Supported {
    /// Every place where the key can stand, from the top of the file.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.at.iter().map(|at| match *at {
            "" => self.name.to_owned(),
            at => format!("{at}.{}", self.name),
        })
    }
}

impl<T> Support<T> {
    fn treatment(&self) -> Treatment {
        match *self {
            Self::Accepted(_) => Treatment::Accepted,
            Self::Ignored(reason) => Treatment::Ignored { reason },
            Self::Rejected { reason, instead, .. } => Treatment::Refused { reason, instead },
            Self::Planned => Treatment::Planned,
        }
    }
}

impl<T> Schema<T> {
    /// What is known of every key.
    pub(super) fn describe(&self) -> impl Iterator<Item = Supported> {
        self.attributes.iter().map(|a| Supported {
            of: self.what,
            at: self.at,
            name: a.name,
            about: a.about,
            support: a.support.treatment(),
        })
    }

    /// Decodes a mapping into `target`; a null value counts as absent.
    pub(super) fn decode(&self, node: &Node, target: &mut T, report: &mut Report<'_>) {
        let Value::Map(entries) = &node.value else {
            let message = format!("{} must be a mapping, not {}", report.subject(), node.kind());
            return report.error(node.mark, message);
        };
        for entry in entries {
            let known = self.attributes.iter().find(|a| a.name == entry.key);
            if known.is_none() && self.free(&entry.key) {
                continue;
            }
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

    /// Whether a key is somebody else's: an extension, but for what looks like one of ours where there are
    /// some.
    fn free(&self, key: &str) -> bool {
        let own = |key: &str| key.starts_with("x-jaco-");
        self.extensions
            && key.starts_with("x-")
            && !(own(key) && self.attributes.iter().any(|a| own(a.name)))
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
