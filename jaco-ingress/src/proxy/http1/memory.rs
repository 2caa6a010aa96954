//! What a connection keeps from one answer to the next: a replica says most of its lines again and again.

use std::ops::RangeInclusive;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::Header;

use super::response::Start;

/// So many lines are kept, of heads that are not longer: a line keeps the bytes of its head.
const LINES: usize = 16;
const LONGEST: usize = 2 * 1024;
/// A map with room for fewer would be made anew for most answers, and one with room for more would be much to keep.
const ROOM: RangeInclusive<usize> = 8..=24;

/// Lines that were read before, and a map that is empty again.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    start: Option<(Bytes, Start)>,
    lines: Vec<Line>,
    map: HeaderMap,
}

/// A line of a head behind the first.
#[derive(Debug)]
struct Line {
    /// As it was written, with its end.
    raw: Bytes,
    name: HeaderName,
    value: HeaderValue,
}

impl Line {
    fn begins(&self, text: &[u8]) -> bool {
        text.starts_with(&self.raw)
    }

    fn header(&self) -> (HeaderName, HeaderValue) {
        (self.name.clone(), self.value.clone())
    }
}

/// What a head has in common with those before it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) start: Start,
    /// So many lines behind the first are known.
    pub(super) lines: usize,
    /// How long all of this is.
    pub(super) length: usize,
}

impl Memory {
    /// Finds out how a head begins that has come in part or whole. `None`: its first line is not known.
    pub(super) fn known(&self, head: &[u8]) -> Option<Known> {
        let (raw, start) = self.start.as_ref().filter(|(raw, _)| head.starts_with(raw))?;
        let (mut lines, mut length) = (0, raw.len());
        for line in &self.lines {
            if !line.begins(&head[length..]) {
                break;
            }
            lines += 1;
            length += line.raw.len();
        }
        Some(Known { start: start.clone(), lines, length })
    }

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

    /// Reads a whole head, first what is known of it.
    pub(super) fn reader<'a>(&'a mut self, head: &'a [u8]) -> Reader<'a> {
        Reader { memory: self, head, copy: None, at: 0 }
    }
}

/// Reads a head. What it makes of its lines has memory of its own, all in one piece: what is read next must not wait for
/// it.
pub(super) struct Reader<'a> {
    memory: &'a mut Memory,
    head: &'a [u8],
    copy: Option<Bytes>,
    /// How many lines behind the first were read.
    at: usize,
}

impl Reader<'_> {
    /// Keeps what the first line says.
    pub(super) fn keep_start(&mut self, start: &Start) {
        // An empty line may come before it.
        if self.head.len() <= LONGEST && self.head.starts_with(b"HTTP") {
            let raw = self.own(line_of(self.head));
            self.memory.start = Some((raw, start.clone()));
        }
    }

    /// The next lines, which are known.
    pub(super) fn known(
        &mut self,
        lines: usize,
    ) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let from = self.at;
        self.at += lines;
        self.memory.lines[from..self.at].iter().map(Line::header)
    }

    /// Name and value of the next line, which is a part of the head. `None`: it is no header.
    pub(super) fn read(&mut self, line: &Header<'_>) -> Option<(HeaderName, HeaderValue)> {
        let at = self.at;
        self.at += 1;
        let from = &self.head[line.name.as_ptr().addr() - self.head.as_ptr().addr()..];
        if let Some(known) = self.memory.lines.get(at).filter(|known| known.begins(from)) {
            return Some(known.header());
        }
        let line = Line {
            raw: self.own(line_of(from)),
            name: HeaderName::from_bytes(line.name.as_bytes()).ok()?,
            value: HeaderValue::from_maybe_shared(self.own(line.value)).ok()?,
        };
        let header = line.header();
        self.keep(at, line);
        Some(header)
    }

    /// A part of the head as our own.
    fn own(&mut self, part: &[u8]) -> Bytes {
        // What is empty may be elsewhere.
        if part.is_empty() {
            return Bytes::new();
        }
        let from = part.as_ptr().addr() - self.head.as_ptr().addr();
        let copy = self.copy.get_or_insert_with(|| Bytes::copy_from_slice(self.head));
        copy.slice(from..from + part.len())
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

/// The line with which a text begins, with its end.
fn line_of(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == b'\n');
    &text[..end.map_or(text.len(), |at| at + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(memory: &mut Memory, value: &str, lines: usize) {
        let head = format!("x: {value}\r\n");
        let line = Header { name: &head[..1], value: &head.as_bytes()[3..head.len() - 2] };
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
