//! The tags with which Compose says how values are merged.

use granit_parser::Tag;

use super::Merging;

/// Which tags of Compose may stand before values, besides those of YAML itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::manifest) enum Tags {
    /// None.
    Plain,
    /// `!reset` and `!override`.
    Merging,
}

impl Tags {
    /// What a tag says about merging.
    pub(super) fn merging(self, tag: Option<&Tag>) -> Merging {
        match (self, tag.map(Tag::original).as_deref()) {
            (Self::Merging, Some("!reset")) => Merging::Reset,
            (Self::Merging, Some("!override")) => Merging::Override,
            _ => Merging::Usual,
        }
    }
}
