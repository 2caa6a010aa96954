//! The head of an answer: pure.

use std::mem::MaybeUninit;

use bytes::{Buf as _, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use httparse::{Header, ParserConfig, Response, Status};
use hyper::ext::ReasonPhrase;

use super::{
    Fault,
    decoder::Decoder,
    memory::{Known, Memory, Reader},
};
use crate::proxy::headers::{members, tokens};

/// Most bytes in a head.
pub(super) const LONGEST: usize = 128 * 1024;
/// Most lines in it.
const LINES: usize = 128;

/// What an answer says before its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// If it is not the usual one.
    pub(crate) reason: Option<ReasonPhrase>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Decoder,
    /// Whether the connection can take another request when the body has come to its end.
    pub(crate) keep: bool,
}

impl Head {
    /// One that goes before the answer and says little (RFC 9110, 15.2).
    pub(super) fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }
}

/// What the first line says.
#[derive(Debug, Clone)]
pub(super) struct Start {
    status: StatusCode,
    /// If it is not the usual one.
    reason: Option<ReasonPhrase>,
    /// It is HTTP/1.0.
    old: bool,
}

impl Start {
    fn of(response: &Response<'_, '_>) -> Result<Self, Fault> {
        let status = StatusCode::from_u16(response.code.unwrap_or(0))
            .map_err(|_| Fault::Malformed("its status is none"))?;
        let reason = response
            .reason
            .filter(|reason| !reason.is_empty() && Some(*reason) != status.canonical_reason())
            .and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok());
        Ok(Self { status, reason, old: response.version == Some(0) })
    }
}

/// The lines behind the first.
#[derive(Debug)]
struct Lines {
    headers: HeaderMap,
    /// The replica closes the connection. What `Connection` commonly says is for us alone, and is no header then.
    closes: bool,
    /// There is a transfer coding.
    coded: bool,
}

impl Lines {
    fn new(headers: HeaderMap) -> Self {
        Self { headers, closes: false, coded: false }
    }

    fn put(&mut self, (name, value): (HeaderName, HeaderValue)) {
        if name == header::CONNECTION {
            let close = value.as_bytes().eq_ignore_ascii_case(b"close");
            if close || value.as_bytes().eq_ignore_ascii_case(b"keep-alive") {
                self.closes |= close;
                return;
            }
            self.closes |= members(&value).any(|member| member.eq_ignore_ascii_case("close"));
        }
        self.coded |= name == header::TRANSFER_ENCODING;
        self.headers.append(name, value);
    }

    /// Puts those that were parsed.
    fn put_all(&mut self, reader: &mut Reader<'_>, lines: &[Header<'_>]) -> Result<(), Fault> {
        for line in lines {
            self.put(reader.read(line).ok_or(Fault::Malformed("one of its headers is none"))?);
        }
        Ok(())
    }
}

/// A head that is whole, and its length.
type Whole = (Start, Lines, usize);

/// Takes the head of the answer to a request of this method from `input`, with the memory of its connection. `None`: more
/// is needed.
///
/// # Errors
/// It is none, or it is too long, or it can be read in two ways.
pub(crate) fn read(
    input: &mut BytesMut,
    method: &Method,
    memory: &mut Memory,
) -> Result<Option<Head>, Fault> {
    let whole = match memory.known(input) {
        Some(known) => read_rest(input, known, memory)?,
        None => read_all(input, memory)?,
    };
    match whole {
        Some((start, lines, length)) if length <= LONGEST => {
            input.advance(length);
            finish(start, lines, method).map(Some)
        }
        None if input.len() <= LONGEST => Ok(None),
        _ => Err(Fault::Malformed("its head is too long")),
    }
}

fn read_all(input: &[u8], memory: &mut Memory) -> Result<Option<Whole>, Fault> {
    let mut lines = [const { MaybeUninit::<Header<'_>>::uninit() }; LINES];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, input, &mut lines)
        .map_err(malformed)?;
    let Status::Complete(length) = parsed else { return Ok(None) };
    let start = Start::of(&response)?;
    let mut lines = Lines::new(memory.map(response.headers.len()));
    let mut reader = memory.reader(&input[..length]);
    reader.keep_start(&start);
    lines.put_all(&mut reader, response.headers)?;
    Ok(Some((start, lines, length)))
}

/// Reads a head that begins with what is known.
fn read_rest(input: &[u8], known: Known, memory: &mut Memory) -> Result<Option<Whole>, Fault> {
    let rest = &input[known.length..];
    let mut space;
    let (length, new) = if rest.starts_with(b"\r\n") {
        (2, &[][..])
    } else {
        space = [httparse::EMPTY_HEADER; LINES];
        match httparse::parse_headers(rest, &mut space[known.lines..]).map_err(malformed)? {
            Status::Complete(parsed) => parsed,
            Status::Partial => return Ok(None),
        }
    };
    let length = known.length + length;
    let mut lines = Lines::new(memory.map(known.lines + new.len()));
    let mut reader = memory.reader(&input[..length]);
    reader.known(known.lines).for_each(|header| lines.put(header));
    lines.put_all(&mut reader, new)?;
    Ok(Some((known.start, lines, length)))
}

fn malformed(error: httparse::Error) -> Fault {
    Fault::Malformed(match error {
        httparse::Error::TooManyHeaders => "it has too many headers",
        httparse::Error::Version => "its version is none of ours",
        _ => "its head is none",
    })
}

/// Finds out where the answer ends (RFC 9112, 6.3), and lets its headers say nothing else.
fn finish(start: Start, lines: Lines, method: &Method) -> Result<Head, Fault> {
    let Start { status, reason, old } = start;
    let Lines { mut headers, closes, coded } = lines;
    let mut keep = !(old || closes);
    let length = length(&mut headers)?;
    let bodiless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || method == Method::HEAD;
    if status == StatusCode::NO_CONTENT || status.is_informational() {
        headers.remove(header::CONTENT_LENGTH);
    }
    let body = match length {
        _ if bodiless => Decoder::EMPTY,
        _ if coded && old => return Err(Fault::Malformed("it has a coding in HTTP/1.0")),
        _ if coded => {
            // Two that say where it ends: the one that counts is not believed for what comes behind it.
            keep &= headers.remove(header::CONTENT_LENGTH).is_none();
            let last = tokens(&headers, &header::TRANSFER_ENCODING).last();
            match last.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
                true if tokens(&headers, &header::TRANSFER_ENCODING).count() == 1 => {
                    Decoder::chunked()
                }
                true => return Err(Fault::Malformed("it has a coding that nobody asked for")),
                false => Decoder::until_closed(),
            }
        }
        Some(length) => Decoder::of_length(length),
        None => Decoder::until_closed(),
    };
    keep &= !body.ends_by_closing();
    Ok(Head { status, reason, headers, body, keep })
}

/// The one length that the headers tell, in one line from now on.
fn length(headers: &mut HeaderMap) -> Result<Option<u64>, Fault> {
    let broken = Fault::Malformed("its length is none");
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    let (Some(first), second) = (lines.next(), lines.next()) else { return Ok(None) };
    if second.is_none()
        && let Some(length) = first.to_str().ok().and_then(decimal)
    {
        return Ok(Some(length));
    }
    let mut told = headers
        .get_all(header::CONTENT_LENGTH)
        .iter()
        .flat_map(|line| line.to_str().unwrap_or("").split(','))
        .map(|length| decimal(length.trim_matches([' ', '\t'])));
    let Some(length) = told.next().flatten() else { return Err(broken) };
    if told.any(|other| other != Some(length)) {
        return Err(broken);
    }
    headers.insert(header::CONTENT_LENGTH, length.into());
    Ok(Some(length))
}

fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, method: Method) -> Result<Option<Head>, Fault> {
        read(&mut text.as_bytes().into(), &method, &mut Memory::default())
    }

    fn head(lines: &str) -> Head {
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\nbody");
        let mut input = BytesMut::from(&*text);
        let head = read(&mut input, &Method::GET, &mut Memory::default())
            .expect("readable")
            .expect("whole");
        assert_eq!(input, "body");
        head
    }

    #[test]
    fn the_end_of_an_answer_is_told_in_one_way() {
        for (lines, body, keep) in [
            ("", Decoder::until_closed(), false),
            ("Content-Length: 4\r\n", Decoder::of_length(4), true),
            ("Content-Length: 4, 4\r\nContent-Length: 4\r\n", Decoder::of_length(4), true),
            ("Content-Length: 4\r\nConnection: x, Close\r\n", Decoder::of_length(4), false),
            ("Content-Length: 4\r\nConnection: Close\r\n", Decoder::of_length(4), false),
            ("Content-Length: 4\r\nConnection: Keep-Alive\r\n", Decoder::of_length(4), true),
            ("Transfer-Encoding: Chunked\r\n", Decoder::chunked(), true),
            ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", Decoder::chunked(), false),
            ("Transfer-Encoding: gzip\r\n", Decoder::until_closed(), false),
        ] {
            let head = head(lines);
            assert_eq!((&head.body, head.keep), (&body, keep), "{lines}");
            let told = head.headers.get_all(header::CONTENT_LENGTH).iter().count();
            assert_eq!(told, usize::from(body == Decoder::of_length(4)), "{lines}");
        }
    }

    #[test]
    fn what_connection_names_is_not_forgotten_behind_a_close() {
        let head = head("Connection: close\r\nConnection: x-secret\r\nX-Secret: 1\r\n");
        assert_eq!(head.headers[header::CONNECTION], "x-secret");
        assert!(!head.keep);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for lines in [
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 4,\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n",
        ] {
            assert!(matches!(of(lines, Method::GET), Err(Fault::Malformed(_))), "{lines}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(LONGEST));
        assert!(matches!(of(&long, Method::GET), Err(Fault::Malformed(_))));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(LINES + 1));
        assert!(matches!(of(&many, Method::GET), Err(Fault::Malformed(_))));
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        for (status, method, length) in
            [(204, Method::GET, false), (304, Method::GET, true), (200, Method::HEAD, true)]
        {
            let text = format!("HTTP/1.1 {status} So\r\nContent-Length: 10\r\n\r\n");
            let head = of(&text, method).expect("readable").expect("whole");
            assert_eq!((&head.body, head.keep), (&Decoder::EMPTY, true), "{status}");
            assert_eq!(head.headers.contains_key(header::CONTENT_LENGTH), length, "{status}");
            assert_eq!(head.reason.expect("an own one").as_bytes(), b"So");
        }
        let old = of("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", Method::GET);
        assert!(!old.expect("readable").expect("whole").keep);
        let early = of("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", Method::GET);
        assert!(early.expect("readable").expect("whole").is_interim());
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: \u{e9}\r\n\r\n";
        for end in 0..text.len() {
            let mut input = BytesMut::from(&text.as_bytes()[..end]);
            assert!(
                read(&mut input, &Method::GET, &mut Memory::default())
                    .expect("no mistake")
                    .is_none(),
                "{end}"
            );
            assert_eq!(input.len(), end);
        }
        assert_eq!(head("X: \u{e9}\r\n").headers["x"].as_bytes(), "\u{e9}".as_bytes());
    }

    #[test]
    fn what_was_read_before_changes_nothing() {
        let mut memory = Memory::default();
        let long = format!("Vary: {}\r\nContent-Length: 1\r\n", "b".repeat(3000));
        let many: String = (0..20).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let heads = [
            "Content-Type: a/b\r\nContent-Length: 1\r\n",
            "Content-Type: a/b\r\nConnection: keep-alive\r\nContent-Length: 22\r\n",
            "Content-Type: a/b\r\nConnection: x, close\r\nContent-Length: 22\r\n",
            "Content-Type: a/b\nContent-Length: 22\n",
            "Content-Type:\r\nContent-Length: 22 \r\n",
            "Content-Type: a/b\r\n folded\r\n",
            "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n",
            "content-type: a/b\r\nContent-Length: 22\r\n",
            "Content-Length: 22\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
            "Content-Length: 3\r\nSet-Cookie: a=1\r\nSet-Cookie: a=1\r\nX: \u{e9}\r\n",
            &long,
            &many,
            "",
        ];
        let starts = ["HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 Gone\n", "\r\nHTTP/1.1 204 \r\n"];
        let texts: Vec<String> = starts
            .iter()
            .flat_map(|start| heads.iter().map(move |lines| format!("{start}{lines}\r\n")))
            .collect();
        for text in texts.iter().flat_map(|one| texts.iter().flat_map(move |two| [one, two])) {
            for end in [text.len() / 2, text.len() - 2, text.len()] {
                let text = &text[..end];
                let again = read(&mut text.as_bytes().into(), &Method::GET, &mut memory);
                match (of(text, Method::GET), again) {
                    (Ok(None), Ok(None)) | (Err(_), Err(_)) => {}
                    (Ok(Some(fresh)), Ok(Some(again))) => {
                        assert_eq!(format!("{again:?}"), format!("{fresh:?}"));
                        memory.keep_map(again.headers);
                    }
                    (fresh, again) => panic!("{again:?}, but {fresh:?} for {text:?}"),
                }
            }
        }
    }

    #[test]
    fn known_lines_count_for_how_many_there_may_be() {
        let mut memory = Memory::default();
        for (lines, whole) in [(LINES, true), (LINES + 1, false), (LINES, true)] {
            let text = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(lines));
            let read = read(&mut text.as_bytes().into(), &Method::GET, &mut memory);
            assert_eq!(read.is_ok(), whole, "{lines}");
        }
    }
}
