//! The body of an answer out of the bytes of its connection: pure.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::Status;

use super::Fault;
use crate::proxy::headers;

/// More is never waited for: the line before a chunk with its extensions, and all trailers.
const LONGEST_LINE: usize = 4096;
const LONGEST_TRAILERS: usize = 8 * 1024;
/// Most trailers.
const TRAILERS: usize = 64;

/// How far the body of an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoder(State);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// So many bytes are still to come.
    Length(u64),
    UntilClosed,
    /// The line before a chunk is next.
    Size,
    /// So many bytes of a chunk are still to come.
    Chunk(u64),
    /// The end of a chunk is next.
    ChunkEnd,
    Trailers,
    Ended,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A part of the body; it is not empty.
    Data(Bytes),
    /// There are some, and the body has ended.
    Trailers(HeaderMap),
    /// More bytes are needed.
    More,
    Ended,
}

impl Decoder {
    pub(crate) const EMPTY: Self = Self(State::Ended);

    pub(super) fn of_length(length: u64) -> Self {
        Self(if length == 0 { State::Ended } else { State::Length(length) })
    }

    pub(super) fn chunked() -> Self {
        Self(State::Size)
    }

    pub(super) fn until_closed() -> Self {
        Self(State::UntilClosed)
    }

    /// Whether the end of the connection is the end of the body, and not a mishap.
    pub(crate) fn ends_by_closing(&self) -> bool {
        self.0 == State::UntilClosed
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0 == State::Ended
    }

    /// How many bytes are still to come, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self.0 {
            State::Length(left) => Some(left),
            State::Ended => Some(0),
            _ => None,
        }
    }

    /// Takes what is next from `input`.
    ///
    /// # Errors
    /// It is not what may be there.
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, Fault> {
        loop {
            match &mut self.0 {
                State::Ended => return Ok(Decoded::Ended),
                _ if input.is_empty() => return Ok(Decoded::More),
                State::UntilClosed => return Ok(Decoded::Data(input.split().freeze())),
                State::Length(left) => {
                    let (data, rest) = part(input, *left);
                    self.0 = if rest == 0 { State::Ended } else { State::Length(rest) };
                    return Ok(Decoded::Data(data));
                }
                State::Chunk(left) => {
                    let (data, rest) = part(input, *left);
                    self.0 = if rest == 0 { State::ChunkEnd } else { State::Chunk(rest) };
                    return Ok(Decoded::Data(data));
                }
                State::ChunkEnd => match &**input {
                    [b'\r', b'\n', ..] => {
                        input.advance(2);
                        self.0 = State::Size;
                    }
                    [b'\r'] => return Ok(Decoded::More),
                    _ => return Err(Fault::Malformed("a chunk does not end where it should")),
                },
                State::Size => match size(input)? {
                    None => return Ok(Decoded::More),
                    Some(0) => self.0 = State::Trailers,
                    Some(length) => self.0 = State::Chunk(length),
                },
                State::Trailers => {
                    let Some(trailers) = trailers(input)? else { return Ok(Decoded::More) };
                    self.0 = State::Ended;
                    if !trailers.is_empty() {
                        return Ok(Decoded::Trailers(trailers));
                    }
                }
            }
        }
    }
}

/// As much of `left` bytes as is there, and how many are left then.
fn part(input: &mut BytesMut, left: u64) -> (Bytes, u64) {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
    (input.split_to(length).freeze(), left - length as u64)
}

fn size(input: &mut BytesMut) -> Result<Option<u64>, Fault> {
    // The parser takes no digit for a zero, which would be the end.
    if !input.first().is_some_and(u8::is_ascii_hexdigit) {
        return Err(Fault::Malformed("the size of a chunk is none"));
    }
    match httparse::parse_chunk_size(input) {
        Ok(Status::Complete((length, size))) if length <= LONGEST_LINE => {
            input.advance(length);
            Ok(Some(size))
        }
        Ok(Status::Partial) if input.len() <= LONGEST_LINE => Ok(None),
        Ok(_) => Err(Fault::Malformed("the line before a chunk is too long")),
        Err(_) => Err(Fault::Malformed("the size of a chunk is none")),
    }
}

fn trailers(input: &mut BytesMut) -> Result<Option<HeaderMap>, Fault> {
    const BROKEN: Fault = Fault::Malformed("its trailers are none");
    let mut lines = [httparse::EMPTY_HEADER; TRAILERS];
    let (length, lines) = match httparse::parse_headers(input, &mut lines) {
        Ok(Status::Complete(parsed)) if parsed.0 <= LONGEST_TRAILERS => parsed,
        Ok(Status::Partial) if input.len() <= LONGEST_TRAILERS => return Ok(None),
        Ok(_) | Err(_) => return Err(BROKEN),
    };
    let mut trailers = HeaderMap::new();
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| BROKEN)?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| BROKEN)?;
        if headers::may_be_a_trailer(&name) {
            trailers.append(name, value);
        }
    }
    input.advance(length);
    Ok(Some(trailers))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read when the bytes come in these pieces: the body, its trailers, and what is behind it.
    fn of(mut decoder: Decoder, pieces: &[&[u8]]) -> Result<(Vec<u8>, HeaderMap, Vec<u8>), Fault> {
        let (mut input, mut body, mut trailers) = (BytesMut::new(), Vec::new(), HeaderMap::new());
        let mut pieces = pieces.iter();
        loop {
            match decoder.decode(&mut input)? {
                Decoded::Data(data) => {
                    assert!(!data.is_empty());
                    body.extend_from_slice(&data);
                }
                Decoded::Trailers(told) => trailers = told,
                Decoded::Ended => break,
                Decoded::More => match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => return Err(Fault::Closed),
                },
            }
        }
        assert!(decoder.has_ended());
        input.extend(pieces.copied().flatten());
        Ok((body, trailers, input.to_vec()))
    }

    const CHUNKS: &[u8] =
        b"5;a=\"b\"\r\nhello\r\n00A \r\n, visitors\r\n0\r\nX-Sum: 42\r\nContent-Length: 9\r\n\r\nnext";

    proptest! {
        #[test]
        fn chunks_are_the_same_in_whatever_pieces_they_come(
            cuts in prop::collection::vec(0..CHUNKS.len(), 0..12),
        ) {
            let mut cuts = cuts;
            cuts.extend([0, CHUNKS.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &CHUNKS[cut[0]..cut[1]]).collect();
            let (body, trailers, behind) = of(Decoder::chunked(), &pieces).expect("readable");
            prop_assert_eq!(body, b"hello, visitors");
            prop_assert_eq!(trailers.len(), 1, "only what may be one");
            prop_assert_eq!(&trailers["x-sum"], "42");
            prop_assert_eq!(behind, b"next");
        }
    }

    #[test]
    fn a_length_is_kept_to() {
        let (body, _, behind) = of(Decoder::of_length(6), &[b"one", b"twothree"]).expect("whole");
        assert_eq!((&*body, &*behind), (&b"onetwo"[..], &b"three"[..]));
        assert!(matches!(of(Decoder::of_length(6), &[b"one"]), Err(Fault::Closed)));
        assert_eq!(Decoder::of_length(0), Decoder::EMPTY);
    }

    #[test]
    fn broken_chunks_are_no_body() {
        for broken in [
            "x\r\n",
            "-1\r\n",
            "\r\n",
            "5\r\nhello!",
            "5\r\nhello\n",
            "fffffffffffffffff\r\n",
            "0\r\nno header\r\n\r\n",
        ] {
            let read = of(Decoder::chunked(), &[broken.as_bytes()]);
            assert!(matches!(read, Err(Fault::Malformed(_))), "{broken:?}");
        }
        let endless = [b"5;".as_slice(), &[b'a'; LONGEST_LINE]];
        assert!(matches!(of(Decoder::chunked(), &endless), Err(Fault::Malformed(_))));
        let endless = [b"0\r\nx: ".as_slice(), &[b'a'; LONGEST_TRAILERS]];
        assert!(matches!(of(Decoder::chunked(), &endless), Err(Fault::Malformed(_))));
    }
}
