//! What a connection keeps from one answer to the next: a replica says most of its lines again and again.

use std::ops::RangeInclusive;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::Header;

/// So many lines are kept, of heads that are not longer: a line keeps the bytes of its head.
const LINES: usize = 16;
const LONGEST: usize = 2 * 1024;
/// A map with room for fewer would be made anew for most answers, and one with room for more would be much to keep.
const ROOM: RangeInclusive<usize> = 8..=24;

/// Lines that were read before, and a map that is empty again.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    lines: Vec<Line>,
    map: HeaderMap,
}

/// A line of a head.
#[derive(Debug)]
struct Line {
    /// The name as it was written.
    written: Bytes,
    name: HeaderName,
    value: HeaderValue,
}

impl Line {
    /// Reads a line of which `own` makes the parts our own. `None`: it is none.
    fn read(line: &Header<'_>, mut own: impl FnMut(&[u8]) -> Bytes) -> Option<Self> {
        Some(Self {
            name: HeaderName::from_bytes(line.name.as_bytes()).ok()?,
            value: HeaderValue::from_maybe_shared(own(line.value)).ok()?,
            written: own(line.name.as_bytes()),
        })
    }

    fn is(&self, line: &Header<'_>) -> bool {
        self.written == line.name.as_bytes() && self.value.as_bytes() == line.value
    }
}

impl Memory {
    /// A map with room for so many headers.
    pub(super) fn map(&mut self, room: usize) -> HeaderMap {
        let mut map = std::mem::take(&mut self.map);
        map.reserve(room);
        map
    }

    /// Keeps a map of which nobody needs what is in it.
    pub(super) fn keep_map(&mut self, mut map: HeaderMap) {
        if ROOM.contains(&map.capacity()) {
            map.clear();
            self.map = map;
        }
    }

    /// Reads the lines of a head one after the other.
    pub(super) fn reader<'a>(&'a mut self, head: &'a [u8]) -> Reader<'a> {
        Reader { memory: self, head, copy: None, at: 0 }
    }
}

/// Reads the lines of a head. What it makes of them has memory of its own, all in one piece: what is read next must not
/// wait for it.
pub(super) struct Reader<'a> {
    memory: &'a mut Memory,
    head: &'a [u8],
    copy: Option<Bytes>,
    /// How many lines were read.
    at: usize,
}

impl Reader<'_> {
    /// Name and value of the next line, which is a part of the head. `None`: it is no header.
    pub(super) fn read(&mut self, line: &Header<'_>) -> Option<(HeaderName, HeaderValue)> {
        let at = self.at;
        self.at += 1;
        if let Some(known) = self.memory.lines.get(at).filter(|known| known.is(line)) {
            return Some((known.name.clone(), known.value.clone()));
        }
        let Self { head, copy, .. } = self;
        let copy = copy.get_or_insert_with(|| Bytes::copy_from_slice(head));
        let line = Line::read(line, |part| {
            let from = part.as_ptr().addr() - head.as_ptr().addr();
            copy.slice(from..from + part.len())
        })?;
        let header = (line.name.clone(), line.value.clone());
        self.keep(at, line);
        Some(header)
    }

    fn keep(&mut self, at: usize, line: Line) {
        let lines = &mut self.memory.lines;
        if self.head.len() > LONGEST || at >= LINES {
            return;
        }
        match lines.get_mut(at) {
            Some(before) => *before = line,
            None => lines.push(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(memory: &mut Memory, value: &str, lines: usize) {
        let head = format!("x: {value}");
        let (name, value) = head.split_at(3);
        let line = Header { name: &name[..1], value: value.as_bytes() };
        let mut reader = memory.reader(head.as_bytes());
        for _ in 0..lines {
            assert_eq!(reader.read(&line).expect("a header").1, value);
        }
    }

    #[test]
    fn what_is_kept_has_bounds() {
        let mut memory = Memory::default();
        read(&mut memory, &"a".repeat(LONGEST), 1);
        assert_eq!(memory.lines.len(), 0);
        read(&mut memory, "a", LINES + 4);
        assert_eq!(memory.lines.len(), LINES);
        for (room, kept) in [(1, 0), (ROOM.end() + 1, 0), (*ROOM.end(), *ROOM.end())] {
            memory.keep_map(HeaderMap::with_capacity(room));
            assert_eq!(memory.map.capacity(), kept, "{room}");
        }
    }

    #[test]
    fn a_kept_map_is_empty() {
        let mut memory = Memory::default();
        let mut map = HeaderMap::with_capacity(*ROOM.start());
        map.append("x", HeaderValue::from_static("1"));
        map.append("x", HeaderValue::from_static("2"));
        memory.keep_map(map);
        assert!(memory.map.capacity() > 0 && memory.map(1).is_empty());
    }
}
