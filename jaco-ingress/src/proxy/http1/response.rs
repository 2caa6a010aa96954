//! The head of an answer: pure.

use std::mem::MaybeUninit;

use bytes::{Buf as _, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use httparse::{Header, ParserConfig, Response, Status};
use hyper::ext::ReasonPhrase;

use super::{Fault, decoder::Decoder, memory::Memory};
use crate::proxy::headers::{has_token, tokens};

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
    let mut lines = [const { MaybeUninit::<Header<'_>>::uninit() }; LINES];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, input, &mut lines)
        .map_err(|error| {
            Fault::Malformed(match error {
                httparse::Error::TooManyHeaders => "it has too many headers",
                httparse::Error::Version => "its version is none of ours",
                _ => "its head is none",
            })
        })?;
    let length = match parsed {
        Status::Complete(length) if length <= LONGEST => length,
        Status::Partial if input.len() <= LONGEST => return Ok(None),
        _ => return Err(Fault::Malformed("its head is too long")),
    };
    let status = StatusCode::from_u16(response.code.unwrap_or(0))
        .map_err(|_| Fault::Malformed("its status is none"))?;
    let reason = response
        .reason
        .filter(|reason| !reason.is_empty() && Some(*reason) != status.canonical_reason())
        .and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok());
    let (headers, closes) = owned(&response, &input[..length], memory)?;
    let old = response.version == Some(0);
    input.advance(length);
    let keep = !(old || closes);
    finish(Head { status, reason, headers, body: Decoder::EMPTY, keep }, method, old).map(Some)
}

/// The headers, and whether the replica closes the connection: what `Connection` commonly says is for us alone, and most
/// answers have it.
fn owned(
    response: &Response<'_, '_>,
    head: &[u8],
    memory: &mut Memory,
) -> Result<(HeaderMap, bool), Fault> {
    let mut headers = memory.map(response.headers.len());
    let mut closes = false;
    let mut reader = memory.reader(head);
    for line in &*response.headers {
        if line.name.eq_ignore_ascii_case("connection") {
            let close = line.value.eq_ignore_ascii_case(b"close");
            closes |= close;
            if close || line.value.eq_ignore_ascii_case(b"keep-alive") {
                continue;
            }
        }
        let (name, value) =
            reader.read(line).ok_or(Fault::Malformed("one of its headers is none"))?;
        headers.append(name, value);
    }
    closes |= headers.contains_key(header::CONNECTION)
        && has_token(&headers, &header::CONNECTION, "close");
    Ok((headers, closes))
}

/// Finds out where the answer ends (RFC 9112, 6.3), and lets its headers say nothing else.
fn finish(mut head: Head, method: &Method, old: bool) -> Result<Head, Fault> {
    let headers = &mut head.headers;
    let length = length(headers)?;
    let coded = headers.contains_key(header::TRANSFER_ENCODING);
    let bodiless = head.status.is_informational()
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || method == Method::HEAD;
    if head.status == StatusCode::NO_CONTENT || head.status.is_informational() {
        headers.remove(header::CONTENT_LENGTH);
    }
    head.body = match length {
        _ if bodiless => Decoder::EMPTY,
        _ if coded && old => return Err(Fault::Malformed("it has a coding in HTTP/1.0")),
        _ if coded => {
            // Two that say where it ends: the one that counts is not believed for what comes behind it.
            head.keep &= headers.remove(header::CONTENT_LENGTH).is_none();
            let last = tokens(headers, &header::TRANSFER_ENCODING).last();
            match last.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
                true if tokens(headers, &header::TRANSFER_ENCODING).count() == 1 => {
                    Decoder::chunked()
                }
                true => return Err(Fault::Malformed("it has a coding that nobody asked for")),
                false => Decoder::until_closed(),
            }
        }
        Some(length) => Decoder::of_length(length),
        None => Decoder::until_closed(),
    };
    head.keep &= !head.body.ends_by_closing();
    Ok(head)
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
            "content-type: a/b\r\nContent-Length: 22\r\n",
            "Content-Length: 22\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
            "Content-Length: 3\r\nSet-Cookie: a=1\r\nSet-Cookie: a=1\r\nX: \u{e9}\r\n",
            &long,
            &many,
            "",
        ];
        for lines in heads.iter().flat_map(|one| heads.iter().flat_map(move |two| [one, two])) {
            let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
            let fresh = of(&text, Method::GET).expect("readable").expect("whole");
            let again = read(&mut text.as_bytes().into(), &Method::GET, &mut memory);
            let again = again.expect("readable").expect("whole");
            assert_eq!(again.headers, fresh.headers);
            assert_eq!((again.body, again.keep), (fresh.body, fresh.keep));
            memory.keep_map(again.headers);
        }
    }
}
