//! Dotenv files as Compose reads them.
//!
//! `KEY=value`, `export KEY=value`, `KEY: value`; single quotes are literal but for `\'`, double
//! quotes know escapes, both may span lines; a `#` after a space begins a comment; unquoted and double-quoted values are
//! interpolated from what is known before and from the file so far; `KEY` alone takes the value
//! of the surrounding variables, if there is one.

use std::collections::BTreeMap;

use super::interpolate::{Variables, interpolate};

/// Largest file.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Line in the file, from 1.
    pub(super) line: usize,
    /// What is wrong.
    pub(super) message: String,
}

/// The variables of a file; `None` for a name without a value.
pub(super) type Entries = BTreeMap<String, Option<String>>;

struct Known<'a> {
    outer: &'a dyn Variables,
    file: &'a Entries,
}

impl Variables for Known<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        // The surroundings win, as with Compose.
        self.outer.value(name).or_else(|| self.file.get(name)?.as_deref())
    }
}

/// Reads a file; `outer` is known before its first line.
pub(super) fn read(text: &str, outer: &dyn Variables) -> Result<Entries, Problem> {
    let mut out = Entries::new();
    let mut rest = bounded(text)?;
    let mut left = MOST_BYTES;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(out);
        }
        if rest.starts_with('#') {
            rest = after_line(rest);
            continue;
        }
        let line = line_of(text, rest);
        let fail = |message: String| Problem { line, message };
        let (name, value) = entry(rest).map_err(fail)?;
        let Some(value) = value else {
            rest = after_line(rest);
            out.insert(name.to_owned(), outer.value(name).map(str::to_owned));
            continue;
        };
        let (raw, tail, literal) = scalar(value).map_err(fail)?;
        rest = tail;
        let value = if literal {
            raw
        } else {
            let known = Known { outer, file: &out };
            interpolate(&raw, &known, left).map_err(|p| fail(p.message))?.text
        };
        left = left.saturating_sub(value.len());
        out.insert(name.to_owned(), Some(value));
    }
}

/// Reads a file of format `raw`: `KEY=value` lines, taken as they are.
pub(super) fn read_raw(text: &str) -> Result<Entries, Problem> {
    let mut out = Entries::new();
    for (index, line) in bounded(text)?.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line, None),
        };
        if !is_name(name) {
            let message = format!("`{}` is no name of a variable", super::report::cut(name));
            return Err(Problem { line: index + 1, message });
        }
        out.insert(name.to_owned(), value);
    }
    Ok(out)
}

fn bounded(text: &str) -> Result<&str, Problem> {
    if text.len() > MOST_BYTES {
        return Err(Problem { line: 1, message: "the file is larger than 1 MiB".to_owned() });
    }
    if text.contains('\0') {
        return Err(Problem { line: 1, message: "the file is no text".to_owned() });
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn line_of(text: &str, rest: &str) -> usize {
    text[..text.len() - rest.len()].matches('\n').count() + 1
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-[]".contains(&b))
        && !name.as_bytes()[0].is_ascii_digit()
}

/// The name and, after `=` or `:`, the text of the value.
fn entry(text: &str) -> Result<(&str, Option<&str>), String> {
    let text = match text.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
        _ => text,
    };
    let end = text.find(['=', ':', '\n']).unwrap_or(text.len());
    let mut name = text[..end].trim_end();
    let separated = matches!(text.as_bytes().get(end), Some(b'=' | b':'));
    if !separated {
        name = name.split(" #").next().unwrap_or(name).trim_end();
    }
    if !is_name(name) {
        return Err(format!("`{}` is no name of a variable", super::report::cut(name)));
    }
    Ok((name, separated.then(|| &text[end + 1..])))
}

/// The value, what follows it, and whether it is literal.
fn scalar(text: &str) -> Result<(String, &str, bool), String> {
    let given = text;
    let text = text.trim_start_matches([' ', '\t']);
    match text.chars().next() {
        Some('\'') => {
            let (value, rest) = single_quoted(&text[1..])?;
            Ok((value, tail(rest)?, true))
        }
        Some('"') => {
            let (value, rest) = double_quoted(&text[1..])?;
            Ok((value, tail(rest)?, false))
        }
        _ => {
            // What follows the `=` at once is part of the value, even a `#`.
            let (line, rest) = given.split_once('\n').unwrap_or((given, ""));
            let comment = line.match_indices('#').find(|(i, _)| line[..*i].ends_with([' ', '\t']));
            let value = comment.map_or(line, |(i, _)| &line[..i]);
            Ok((value.trim().to_owned(), rest, false))
        }
    }
}

/// After a closing quote only a comment may follow.
fn tail(text: &str) -> Result<&str, String> {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(rest);
    }
    Err(format!("`{}` follows the closing quote", super::report::cut(line)))
}

/// Everything stands for itself, but for a quote after a backslash.
fn single_quoted(text: &str) -> Result<(String, &str), String> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Ok((out, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, '\'')) => out.push('\''),
                Some((_, c)) => out.extend(['\\', c]),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err("a single quote is not closed".to_owned())
}

fn double_quoted(text: &str) -> Result<(String, &str), String> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, &text[at + 1..])),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('a') => out.push('\x07'),
                Some('b') => out.push('\x08'),
                Some('f') => out.push('\x0c'),
                Some('v') => out.push('\x0b'),
                Some('0') => out.push(octal(&mut chars).ok_or(NUL)?),
                Some(c @ ('"' | '\\')) => out.push(c),
                // Stays a dollar sign through the interpolation that follows.
                Some('$') => out.push_str("$$"),
                Some(c) => out.extend(['\\', c]),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err("a double quote is not closed".to_owned())
}

/// No program can be given such a variable.
const NUL: &str = "`\\0` is the character NUL, which no variable can hold";

/// The character of up to three octal digits after `\0`, unless it is NUL.
fn octal(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let mut code = 0;
    for _ in 0..3 {
        let next = chars.as_str().chars().next();
        let Some(digit) = next.and_then(|c| c.to_digit(8)).filter(|d| code * 8 + d < 256) else {
            break;
        };
        code = code * 8 + digit;
        chars.next();
    }
    char::from_u32(code).filter(|c| *c != '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outer() -> BTreeMap<String, String> {
        BTreeMap::from([("HOST".to_owned(), "h1".to_owned())])
    }

    fn value(text: &str) -> String {
        read(text, &outer()).unwrap()["A"].clone().unwrap()
    }

    #[test]
    fn values_are_read_as_compose_reads_them() {
        for (text, expected) in [
            ("A=1", "1"),
            ("export A=1\r\n", "1"),
            ("A: 1", "1"),
            ("A = 1 ", "1"),
            ("A=a # comment", "a"),
            ("A=a#b", "a#b"),
            ("A=# no comment", "# no comment"),
            ("A= # comment", ""),
            ("A=#s3cret", "#s3cret"),
            ("A=\t#comment", ""),
            ("A='it\\'s' # c", "it's"),
            ("A='a\\nb\\\\'", "a\\nb\\\\"),
            ("A='two\n$lines'", "two\n$lines"),
            ("A=\"tab\\tbell\\a\\v\\f\\b\"", "tab\tbell\x07\x0b\x0c\x08"),
            ("A=\"\\033[1m \\07\"", "\x1b[1m \x07"),
            ("A=\"it\\'s \\x\"", "it\\'s \\x"),
            ("A=\"${HOST:-${NOPE:-x}} # c\"", "h1 # c"),
            ("A=\"a\\\\b\"", "a\\b"),
            ("A=plain \"quotes\" inside", "plain \"quotes\" inside"),
            ("export\tA=1", "1"),
            ("A='a $HOST # b' # c", "a $HOST # b"),
            ("A=\"a\\nb $HOST\"", "a\nb h1"),
            ("A=\"\\$HOST\"", "$HOST"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=$HOST/${NOPE:-x}", "h1/x"),
            ("B=2\nA=$B", "2"),
            ("HOST=mine\nA=$HOST", "h1"),
            ("A=a=b:c", "a=b:c"),
            ("\u{feff}# c\n\nA=1", "1"),
            ("A=1\nA=2", "2"),
            ("A=$$x", "$x"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
        let out = read("A\nHOST\nC=", &outer()).unwrap();
        assert_eq!(out["A"], None);
        assert_eq!(out["HOST"].as_deref(), Some("h1"));
        assert_eq!(out["C"].as_deref(), Some(""));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line) in [
            ("A=1\nB='x", 2),
            ("A=\"x", 1),
            ("\n\na b=1", 3),
            ("=1", 1),
            ("A='x' y", 1),
            ("A=${", 1),
        ] {
            assert_eq!(read(text, &outer()).unwrap_err().line, line, "{text:?}");
        }
    }

    #[test]
    fn raw_files_are_taken_as_they_are() {
        let out = read_raw("# c\nA='$HOST' # x\n\nB").unwrap();
        assert_eq!(out["A"].as_deref(), Some("'$HOST' # x"));
        assert_eq!(out["B"], None);
    }
}
