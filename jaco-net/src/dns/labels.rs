//! A domain name in small letters, without a heap. Pure.

use hickory_proto::rr::Name;

/// The labels of a name, as they stand in a message but for their case: each with its length before it, the root
/// left out.
#[derive(Clone, Copy)]
pub(crate) struct Labels {
    bytes: [u8; Name::MAX_LENGTH],
    len: u8,
    /// Where each label begins.
    starts: [u8; Name::MAX_LENGTH / 2],
    count: u8,
}

impl Labels {
    /// The labels of `name`.
    pub(crate) fn of(name: &Name) -> Self {
        let mut labels = Self { bytes: [0; _], len: 0, starts: [0; _], count: 0 };
        for label in name {
            labels.push(label);
        }
        labels
    }

    /// Adds a label; a name takes no more than the protocol allows.
    fn push(&mut self, label: &[u8]) {
        let start = usize::from(self.len);
        let end = start + 1 + label.len();
        if label.is_empty() || end >= self.bytes.len() {
            return;
        }
        let Ok(length) = u8::try_from(label.len()) else { return };
        self.bytes[start] = length;
        self.bytes[start + 1..end].copy_from_slice(label);
        self.bytes[start + 1..end].make_ascii_lowercase();
        self.starts[usize::from(self.count)] = self.len;
        self.count += 1;
        self.len = u8::try_from(end).unwrap_or(u8::MAX);
    }

    /// How many labels there are.
    pub(crate) fn count(&self) -> usize {
        self.count.into()
    }

    /// How long it is in a message, uncompressed.
    pub(crate) fn wire_len(&self) -> usize {
        usize::from(self.len) + 1
    }

    /// Where label `index` begins; the end when there is none.
    fn at(&self, index: usize) -> usize {
        match self.starts[..self.count()].get(index) {
            Some(start) => usize::from(*start),
            None => usize::from(self.len),
        }
    }

    /// The labels from `first` up to `end`, as a key.
    pub(crate) fn range(&self, first: usize, end: usize) -> &[u8] {
        let (first, end) = (self.at(first), self.at(end));
        self.bytes.get(first..end).unwrap_or_default()
    }

    /// One label, without its length.
    pub(crate) fn label(&self, index: usize) -> &[u8] {
        self.range(index, index + 1).get(1..).unwrap_or_default()
    }

    /// One label as text; empty when it is none.
    pub(crate) fn text(&self, index: usize) -> &str {
        std::str::from_utf8(self.label(index)).unwrap_or_default()
    }

    /// The number of labels before `suffix`, which is given as a key.
    pub(crate) fn before(&self, suffix: &[u8]) -> Option<usize> {
        (0..=self.count()).find(|index| self.range(*index, self.count()) == suffix)
    }
}

/// The key of a name with dots: what [`Labels::range`] gives for it. `None` when it is no domain name.
pub(crate) fn key(name: &str) -> Option<Box<[u8]>> {
    let mut key = Vec::with_capacity(name.len() + 1);
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let length = u8::try_from(label.len()).ok().filter(|n| (1..=63).contains(n))?;
        key.push(length);
        key.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    (key.len() < Name::MAX_LENGTH).then(|| key.into_boxed_slice())
}

/// The labels of a key.
pub(crate) fn labels_of(key: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = key;
    std::iter::from_fn(move || {
        let (length, more) = rest.split_first()?;
        let (label, more) = more.split_at_checked((*length).into())?;
        rest = more;
        Some(label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_whatever_their_case() {
        let labels = Labels::of(&Name::from_ascii("1.Web.Shop.jaco.INTERNAL.").unwrap());
        assert_eq!(labels.count(), 5);
        assert_eq!(labels.range(1, 3), &*key("web.shop").unwrap());
        assert_eq!(labels.label(0), b"1");
        assert_eq!(labels.text(4), "internal");
        assert_eq!(labels.text(5), "");
        assert_eq!(labels.before(&key("jaco.internal").unwrap()), Some(3));
        assert_eq!(labels.before(&key("aco.internal").unwrap()), None);
        assert_eq!(Labels::of(&Name::root()).count(), 0);
        assert_eq!(labels_of(&key("a.bc").unwrap()).collect::<Vec<_>>(), [&b"a"[..], b"bc"]);
    }

    #[test]
    fn what_is_no_domain_name_has_no_key() {
        for text in ["", ".", "a..b", ".a", &"x".repeat(64), &"abcdefg.".repeat(40)] {
            assert!(key(text).is_none(), "{text}");
        }
        assert_eq!(key("a.").unwrap(), key("A").unwrap());
    }
}
