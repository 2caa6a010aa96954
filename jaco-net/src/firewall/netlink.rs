//! The words of netfilter's netlink: messages, and the attributes in them. Pure.
//!
//! Each message is a `nlmsghdr`, a `nfgenmsg` and attributes; all numbers of the first are in the
//! byte order of this machine.

/// The length of `nlmsghdr`.
const HEADER: usize = 16;
/// The length of `nfgenmsg`.
const GENERIC: usize = 4;

/// A message, without its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    /// What follows `nlmsghdr`: in messages of netfilter `nfgenmsg` and attributes.
    pub(super) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The address family of `nfgenmsg`.
    pub(super) fn family(&self) -> Option<u8> {
        self.body.first().copied()
    }

    /// The bytes of the attributes.
    pub(super) fn attributes(&self) -> Option<&'a [u8]> {
        self.body.get(GENERIC..)
    }
}

/// The messages of one datagram; `None` for a rest that cannot be read.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Option<Message<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let message = || {
            let length = number(bytes, 0, 4)?;
            let kind = u16::try_from(number(bytes, 4, 2)?).ok()?;
            let body = bytes.get(..length)?.get(HEADER..)?;
            Some((length, Message { kind, body }))
        };
        let message = message();
        let length = message.as_ref().map_or(bytes.len(), |(length, _)| aligned(*length));
        bytes = bytes.get(length..).unwrap_or_default();
        Some(message.map(|(_, message)| message))
    })
}

/// The attributes in these bytes, by kind, as far as they can be read.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    /// Two bits of an attribute's type are flags.
    const KIND: usize = 0x3fff;
    std::iter::from_fn(move || {
        let length = number(bytes, 0, 2)?;
        let kind = u16::try_from(number(bytes, 2, 2)? & KIND).ok()?;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first attribute of this kind.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(other, _)| *other == kind).map(|(_, value)| value)
}

/// Writes a message.
pub(super) fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    let length = HEADER + GENERIC + attributes.len();
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes();
    let mut out = [length.as_slice(), &kind.to_ne_bytes(), &flags.to_ne_bytes()].concat();
    out.resize(HEADER, 0);
    out.extend([family, 0, 0, 0]);
    out.extend(attributes);
    out
}

/// Writes an attribute.
pub(super) fn written(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut out = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    out.extend(value);
    out.resize(aligned(out.len()), 0);
    out
}

/// A number in the byte order of this machine.
pub(super) fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    match *bytes.get(at..at + width)? {
        [a, b] => Some(u16::from_ne_bytes([a, b]).into()),
        [a, b, c, d] => usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok(),
        _ => None,
    }
}

/// Netlink begins everything at a multiple of four.
fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let inner = [written(1, b"abc"), written(2, &[])].concat();
        let both = [message(7, 1, 2, &inner), message(8, 0, 10, &[])].concat();
        let read: Vec<Message<'_>> = messages(&both).map(Option::unwrap).collect();
        assert_eq!(
            read.iter().map(|m| (m.kind, m.family())).collect::<Vec<_>>(),
            [(7, Some(2)), (8, Some(10))]
        );
        let all: Vec<_> = attributes(read[0].attributes().unwrap()).collect();
        assert_eq!(all, [(1, b"abc".as_slice()), (2, b"".as_slice())]);
    }

    #[test]
    fn what_is_cut_off_ends_the_reading() {
        let whole = message(7, 1, 2, &written(1, b"abc"));
        for end in 1..whole.len() {
            let read: Vec<_> = messages(&whole[..end]).collect();
            assert_eq!(read, [None], "cut after {end} bytes");
        }
        assert_eq!(messages(&[0; 64]).collect::<Vec<_>>(), [None], "of no length");
        assert_eq!(attributes(&[0; 8]).count(), 0);
    }
}
