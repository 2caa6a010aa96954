//! What the doctors of two nodes say to each other. Pure.
//!
//! A frame is 18 bytes, over UDP with padding behind it: `jaco`, the version, what it is, what is told, a zero, a number
//! that the answer repeats, and how long the question was when it arrived.

/// How long a frame is without padding.
pub(super) const FRAME: usize = 18;
const MAGIC: [u8; 4] = *b"jaco";
const VERSION: u8 = 1;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// To be answered with a [`Kind::Pong`] without padding.
    Ping = 1,
    /// To be answered with a [`Kind::Pong`] of the same length.
    Echo = 2,
    /// To be answered with [`Kind::Told`], once it was tried whether a ping to whoever asks is answered. A
    /// question never leads to another question.
    Ask = 3,
    /// The answer to a ping and to an echo.
    Pong = 4,
    /// The answer to a question.
    Told = 5,
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Of [`Kind::Told`]: whether the ping was answered.
    pub(super) answered: bool,
    pub(super) number: u64,
    /// Of answers: how long the question was, with its padding.
    pub(super) heard: u16,
}

impl Frame {
    pub(super) fn new(kind: Kind, number: u64) -> Self {
        Self { kind, answered: false, number, heard: 0 }
    }

    pub(super) fn bytes(self) -> [u8; FRAME] {
        let mut bytes = [0; FRAME];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.kind as u8;
        bytes[6] = u8::from(self.answered);
        bytes[8..16].copy_from_slice(&self.number.to_be_bytes());
        bytes[16..].copy_from_slice(&self.heard.to_be_bytes());
        bytes
    }

    /// With zeros behind it, so long in all.
    pub(super) fn padded(self, length: usize) -> Vec<u8> {
        let mut bytes = self.bytes().to_vec();
        bytes.resize(length.max(FRAME), 0);
        bytes
    }

    /// Reads a frame, whatever is behind it; `None` for anything else.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let frame: &[u8; FRAME] = bytes.first_chunk()?;
        if frame[..4] != MAGIC || frame[4] != VERSION {
            return None;
        }
        let kind = [Kind::Ping, Kind::Echo, Kind::Ask, Kind::Pong, Kind::Told]
            .into_iter()
            .find(|kind| *kind as u8 == frame[5])?;
        Some(Self {
            kind,
            answered: frame[6] == 1,
            number: u64::from_be_bytes(*frame[8..].first_chunk()?),
            heard: u16::from_be_bytes(*frame[16..].first_chunk()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written_and_anything_else_is_none() {
        let frame = Frame { kind: Kind::Told, answered: true, number: u64::MAX - 7, heard: 1392 };
        assert_eq!(Frame::read(&frame.bytes()), Some(frame));
        assert_eq!(Frame::read(&frame.padded(1392)), Some(frame));
        assert_eq!(frame.padded(1392).len(), 1392);
        assert_eq!(frame.padded(3).len(), FRAME);
        assert_eq!(Frame::read(&frame.bytes()[..FRAME - 1]), None);
        for (at, byte) in [(0, b'J'), (4, 2), (5, 0), (5, 6)] {
            let mut other = frame.bytes();
            other[at] = byte;
            assert_eq!(Frame::read(&other), None, "{at}");
        }
    }
}
