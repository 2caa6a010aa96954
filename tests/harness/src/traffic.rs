//! Captured packets, put together again: what each TCP connection carried, and where a text is in it.
//!
//! Takes the bytes of a pcap file of Ethernet frames. Looks at IPv4 and TCP only; everything else is
//! still searched, frame by frame.

use std::{collections::BTreeMap, net::SocketAddrV4};

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// Who sends.
    pub from: SocketAddrV4,
    /// Who is sent to.
    pub to: SocketAddrV4,
}

/// What passed the switch.
#[derive(Debug)]
pub struct Traffic {
    frames: Vec<Vec<u8>>,
    streams: Vec<(Flow, Vec<u8>)>,
}

const HEADER: usize = 24;
const RECORD: usize = 16;

impl Traffic {
    /// Reads a pcap file of this machine's byte order; nothing when it is something else. A last record
    /// that was not written to its end is left out.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        if word(&bytes, 0)? != 0xa1b2_c3d4 || word(&bytes, 20)? != 1 {
            return None;
        }
        let (mut frames, mut at) = (Vec::new(), HEADER);
        while let Some(length) = word(&bytes, at + 8) {
            let end = at + RECORD + length as usize;
            let Some(frame) = bytes.get(at + RECORD..end) else { break };
            frames.push(frame.to_vec());
            at = end;
        }
        let streams = streams(&frames);
        Some(Self { frames, streams })
    }

    /// How many packets it is.
    #[must_use]
    pub fn packets(&self) -> usize {
        self.frames.len()
    }

    /// How many bytes it is, headers included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(Vec::len).sum()
    }

    /// What was sent over TCP, one entry for each direction of each connection.
    #[must_use]
    pub fn streams(&self) -> &[(Flow, Vec<u8>)] {
        &self.streams
    }

    /// Where a text is: in connections, also across packets, and in single packets of any kind.
    #[must_use]
    pub fn holding(&self, text: &[u8]) -> Vec<String> {
        let finder = memchr::memmem::Finder::new(text);
        let streams = self.streams.iter().filter(|(_, bytes)| finder.find(bytes).is_some());
        let mut found: Vec<String> =
            streams.map(|(flow, _)| format!("{} → {}", flow.from, flow.to)).collect();
        let frames = self.frames.iter().filter(|frame| finder.find(frame).is_some());
        found.extend(
            frames.enumerate().map(|(n, frame)| format!("{}-byte packet, hit {n}", frame.len())),
        );
        found
    }
}

/// A segment of a connection: where it begins in the stream, and its bytes.
struct Segment<'a> {
    flow: Flow,
    sequence: u32,
    opens: bool,
    payload: &'a [u8],
}

/// Takes an Ethernet frame apart; nothing when it holds no TCP over IPv4.
fn segment(frame: &[u8]) -> Option<Segment<'_>> {
    if frame.get(12..14)? != [0x08, 0x00] {
        return None;
    }
    let packet = frame.get(14..)?;
    let (version, length) = (packet.first()? >> 4, usize::from(packet[0] & 0xf) * 4);
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    if version != 4 || *packet.get(9)? != 6 {
        return None;
    }
    let address = |at: usize| Some(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?.into());
    // A frame may be padded; a length of 0 is written where the card would have cut the packet.
    let tcp = packet.get(length..if total == 0 { packet.len() } else { total })?;
    let port = |at: usize| Some(u16::from_be_bytes(tcp.get(at..at + 2)?.try_into().ok()?));
    let offset = usize::from(*tcp.get(12)? >> 4) * 4;
    Some(Segment {
        flow: Flow {
            from: SocketAddrV4::new(address(12)?, port(0)?),
            to: SocketAddrV4::new(address(16)?, port(2)?),
        },
        sequence: u32::from_be_bytes(tcp.get(4..8)?.try_into().ok()?),
        opens: tcp.get(13)? & 0x02 != 0,
        payload: tcp.get(offset..)?,
    })
}

/// Puts the segments of every connection in order. A connection whose beginning was not captured begins
/// with its first captured segment.
fn streams(frames: &[Vec<u8>]) -> Vec<(Flow, Vec<u8>)> {
    struct Open<'a> {
        flow: Flow,
        start: u32,
        pieces: BTreeMap<u32, &'a [u8]>,
    }
    let mut all: Vec<Open<'_>> = Vec::new();
    let mut newest: BTreeMap<Flow, usize> = BTreeMap::new();
    for segment in frames.iter().filter_map(|frame| segment(frame)) {
        let known = newest.get(&segment.flow).copied();
        // A second handshake between the same ports is another connection; a repeated one is not.
        let start = segment.sequence.wrapping_add(u32::from(segment.opens));
        let known = known.filter(|n| !segment.opens || all[*n].start == start);
        let n = known.unwrap_or_else(|| {
            all.push(Open { flow: segment.flow, start, pieces: BTreeMap::new() });
            newest.insert(segment.flow, all.len() - 1);
            all.len() - 1
        });
        let offset = segment.sequence.wrapping_sub(all[n].start);
        // What is sent again may be longer than what was sent first; what lies before the start is not ours.
        let longer = all[n].pieces.get(&offset).is_none_or(|p| p.len() < segment.payload.len());
        if !segment.opens && !segment.payload.is_empty() && longer && offset < u32::MAX / 2 {
            all[n].pieces.insert(offset, segment.payload);
        }
    }
    all.into_iter().map(|open| (open.flow, join(&open.pieces))).collect()
}

fn join(pieces: &BTreeMap<u32, &[u8]>) -> Vec<u8> {
    let (mut stream, mut end) = (Vec::new(), 0);
    for (offset, piece) in pieces {
        let offset = *offset as usize;
        let known = usize::saturating_sub(end, offset).min(piece.len());
        stream.extend_from_slice(&piece[known..]);
        end = end.max(offset + piece.len());
    }
    stream
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with a TCP segment from port `from` to port 9, as a card would see it.
    fn frame(from: u16, sequence: u32, opens: bool, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend(u16::try_from(40 + payload.len()).unwrap().to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend(from.to_be_bytes());
        frame.extend(9u16.to_be_bytes());
        frame.extend(sequence.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0x50, if opens { 2 } else { 0x10 }, 0, 0, 0, 0, 0, 0]);
        frame.extend(payload);
        frame.extend([0; 3]); // padding
        frame
    }

    fn file(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_ne_bytes());
        bytes[20..].copy_from_slice(&1_u32.to_ne_bytes());
        for frame in frames {
            let length = u32::try_from(frame.len()).unwrap().to_ne_bytes();
            bytes.extend([&[0; 8][..], &length, &length, frame].concat());
        }
        bytes
    }

    #[test]
    fn a_text_is_found_across_packets_that_came_late_and_twice() {
        let top = u32::MAX - 2;
        let frames = [
            frame(7, top, true, b""),
            frame(7, top.wrapping_add(1), false, b"a se"),
            frame(7, top.wrapping_add(9), false, b"told"),
            frame(7, top.wrapping_add(5), false, b"cret"),
            frame(7, top.wrapping_add(5), false, b"cret"),
            frame(7, top.wrapping_add(3), false, b"secr"),
        ];
        let traffic = Traffic::parse(file(&frames)).unwrap();
        assert_eq!(traffic.packets(), 6);
        assert_eq!(traffic.streams().len(), 1);
        assert_eq!(traffic.streams()[0].1, b"a secrettold");
        assert_eq!(traffic.holding(b"secret"), ["10.0.0.1:7 → 10.0.0.2:9"]);
        assert_eq!(traffic.holding(b"secrets"), Vec::<String>::new());
    }

    #[test]
    fn ports_that_are_used_again_are_another_connection() {
        let frames = [
            frame(7, 100, true, b""),
            frame(7, 101, false, b"one"),
            frame(7, 5, true, b""),
            frame(7, 6, false, b"two"),
        ];
        let traffic = Traffic::parse(file(&frames)).unwrap();
        let texts: Vec<&[u8]> = traffic.streams().iter().map(|(_, b)| b.as_slice()).collect();
        assert_eq!(texts, [b"one", b"two"]);
    }

    #[test]
    fn what_is_no_capture_is_refused_and_a_cut_one_is_read_to_its_last_whole_packet() {
        assert!(Traffic::parse(b"not a capture, whatever it is called".to_vec()).is_none());
        let mut bytes = file(&[frame(7, 1, false, b"whole"), frame(7, 6, false, b"cut")]);
        bytes.truncate(bytes.len() - 4);
        let traffic = Traffic::parse(bytes).unwrap();
        assert_eq!(traffic.packets(), 1);
        assert_eq!(traffic.holding(b"whole").len(), 2);
    }
}
