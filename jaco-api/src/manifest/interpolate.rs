//! Variables in texts: `$V ${V} ${V:-d} ${V-d} ${V:?m} ${V?m} ${V:+a} ${V+a} $$`, nested.
//!
//! Pure text work; `fold` applies it to every value of the tree, exactly once, on the client.

use std::collections::BTreeSet;

/// Deepest nesting of defaults.
const DEEPEST: usize = 32;

/// Where variables come from.
pub(super) trait Variables {
    /// The value of a variable; `None` when it is not set.
    fn value(&self, name: &str) -> Option<&str>;
}

impl Variables for std::collections::BTreeMap<String, String> {
    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// Why a text could not be interpolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// The bytes of the text it is about.
    pub(super) start: usize,
    /// The byte after them.
    pub(super) end: usize,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: Option<String>,
    /// The required variable that is missing, when that is what is wrong.
    pub(super) missing: Option<String>,
}

/// What came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Interpolated {
    pub(super) text: String,
    /// Variables that are not set and stand for nothing.
    pub(super) unset: BTreeSet<String>,
}

struct Scan<'t, 'v> {
    text: &'t str,
    at: usize,
    variables: &'v dyn Variables,
    most: usize,
    out: Interpolated,
}

/// Replaces the variables of `text`; the result has at most `most` bytes.
pub(super) fn interpolate(
    text: &str,
    variables: &dyn Variables,
    most: usize,
) -> Result<Interpolated, Problem> {
    let mut scan = Scan { text, at: 0, variables, most, out: Interpolated::default() };
    let out = scan.until(None, 0, true)?;
    scan.out.text = out;
    Ok(scan.out)
}

/// Whether a byte may begin or continue a name.
fn in_name(byte: u8, first: bool) -> bool {
    byte == b'_' || byte.is_ascii_alphabetic() || (!first && byte.is_ascii_digit())
}

impl Scan<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn problem<T>(&self, start: usize, message: impl Into<String>) -> Result<T, Problem> {
        let end = self.at.max(start + 1).min(self.text.len().max(start + 1));
        let hint = "a dollar sign that is meant as such is written `$$`".to_owned();
        Err(Problem { start, end, message: message.into(), hint: Some(hint), missing: None })
    }

    /// Text up to the end, or up to the `}` that closes a default. A branch that is not `used`
    /// is read only for its end: what is unset or required there does not matter.
    fn until(&mut self, close: Option<usize>, depth: usize, used: bool) -> Result<String, Problem> {
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let stop = rest.find(|c| c == '$' || (close.is_some() && c == '}'));
            let plain = &rest[..stop.unwrap_or(rest.len())];
            out.push_str(plain);
            self.at += plain.len();
            match (self.peek(), close) {
                (None, None) => return Ok(out),
                (None, Some(start)) => return self.problem(start, "`${` is not closed by `}`"),
                (Some(b'}'), Some(_)) => return Ok(out),
                _ => out.push_str(&self.variable(depth, used)?),
            }
            if out.len() > self.most {
                return self.problem(0, "the values of the variables are too long together");
            }
        }
    }

    /// At a dollar sign.
    fn variable(&mut self, depth: usize, used: bool) -> Result<String, Problem> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'$') => {
                self.at += 1;
                Ok("$".to_owned())
            }
            Some(b'{') => {
                self.at += 1;
                self.braced(start, depth, used)
            }
            Some(b) if in_name(b, true) => {
                let name = self.name();
                Ok(self.plain(&name, used))
            }
            _ => self.problem(start, "a `$` that begins no variable"),
        }
    }

    fn name(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|b| in_name(b, self.at == start)) {
            self.at += 1;
        }
        self.text[start..self.at].to_owned()
    }

    fn plain(&mut self, name: &str, used: bool) -> String {
        match self.variables.value(name) {
            Some(value) => value.to_owned(),
            None => {
                if used {
                    self.out.unset.insert(name.to_owned());
                }
                String::new()
            }
        }
    }

    /// After `${`.
    fn braced(&mut self, start: usize, depth: usize, used: bool) -> Result<String, Problem> {
        if depth >= DEEPEST {
            return self.problem(start, "defaults are nested too deep");
        }
        let name = self.name();
        if name.is_empty() {
            return self.problem(start, "`${` is not followed by a name");
        }
        let colon = self.peek() == Some(b':');
        self.at += usize::from(colon);
        let operator = self.peek();
        let value = self.variables.value(&name);
        // With a colon an empty value counts as unset.
        let set = value.is_some_and(|v| !colon || !v.is_empty());
        let value = value.unwrap_or_default().to_owned();
        match operator {
            Some(b'}') if !colon => {
                self.at += 1;
                return Ok(self.plain(&name, used));
            }
            Some(b'-' | b'+' | b'?') => self.at += 1,
            None => return self.problem(start, "`${` is not closed by `}`"),
            _ => {
                self.at += self.text[self.at..].chars().next().map_or(0, char::len_utf8);
                let message = format!("unknown operator after `${{{name}`");
                let mut problem = self.problem::<String>(start, message);
                if let Err(p) = &mut problem {
                    p.hint = Some(format!(
                        "a default is written `${{{name}:-default}}`; there are :- - :? ? :+ +"
                    ));
                }
                return problem;
            }
        }
        let wants_rest = match operator {
            Some(b'+') => set,
            _ => !set,
        };
        let rest = self.until(Some(start), depth + 1, used && wants_rest)?;
        self.at += 1;
        match operator {
            Some(b'-') => Ok(if set { value } else { rest }),
            Some(b'+') => Ok(if set { rest } else { String::new() }),
            _ if set || !used => Ok(value),
            _ => self.required(start, &name, &rest, colon),
        }
    }

    fn required<T>(
        &self,
        start: usize,
        name: &str,
        reason: &str,
        colon: bool,
    ) -> Result<T, Problem> {
        let state = if colon { "not set or empty" } else { "not set" };
        // A message is one line.
        let reason = reason.replace(char::is_control, " ");
        let message = match reason.is_empty() {
            true => format!("the required variable `{name}` is {state}"),
            false => format!("the required variable `{name}` is {state}: {reason}"),
        };
        let hint = Some("set it in the file that `environment` of jaco.yaml names".to_owned());
        Err(Problem { start, end: self.at, message, hint, missing: Some(name.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn run(text: &str) -> Result<String, Problem> {
        let variables = BTreeMap::from([
            ("A".to_owned(), "one".to_owned()),
            ("EMPTY".to_owned(), String::new()),
            ("DOLLAR".to_owned(), "$A".to_owned()),
        ]);
        interpolate(text, &variables, 1 << 20).map(|i| i.text)
    }

    #[test]
    fn every_operator_of_compose() {
        for (text, expected) in [
            ("$A ${A}!", "one one!"),
            ("$A_b|${EMPTY}|$NOPE|", "|||"),
            ("${A:-x} ${A-x} ${EMPTY:-x} ${EMPTY-x} ${NOPE:-x} ${NOPE-x}", "one one x  x x"),
            ("${A:+x} ${A+x} ${EMPTY:+x} ${EMPTY+x} ${NOPE:+x} ${NOPE+x}", "x x  x  "),
            ("${A:?m} ${A?m} ${EMPTY?m}", "one one "),
            ("${NOPE:-${EMPTY:-${A}}}", "one"),
            ("${NOPE:-a$$b}", "a$b"),
            ("$$A $${A} $$$A", "$A ${A} $one"),
            ("${DOLLAR}", "$A"),
            ("${NOPE-}", ""),
            ("${A:-${NOPE:?unused}}", "one"),
            ("ünï ${A} ${NOPE:-ö}", "ünï one ö"),
            ("} {", "} {"),
            ("${NOPE:-a b:c/d?e}", "a b:c/d?e"),
            ("${NOPE:-${NOPE2:-x}}/${EMPTY:-${NOPE-y}}", "x/y"),
            ("${A:+${A}-${NOPE:-z}}", "one-z"),
            ("${NOPE:-$A}$$${A}", "one$one"),
            ("psql -U $$USER -d $${DB:-x}", "psql -U $USER -d ${DB:-x}"),
            ("${a_1:-l}${_:-u}", "lu"),
        ] {
            assert_eq!(run(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, start, message) in [
            ("a ${NOPE:?set it}", 2, "the required variable `NOPE` is not set or empty: set it"),
            ("${NOPE?a\nb}", 0, "the required variable `NOPE` is not set: a b"),
            ("${NOPE?}", 0, "the required variable `NOPE` is not set"),
            ("x ${A", 2, "`${` is not closed by `}`"),
            ("${NOPE:-a", 0, "`${` is not closed by `}`"),
            ("${}", 0, "`${` is not followed by a name"),
            ("5$ ", 1, "a `$` that begins no variable"),
            ("$", 0, "a `$` that begins no variable"),
            ("$1", 0, "a `$` that begins no variable"),
            ("${A!x}", 0, "unknown operator after `${A`"),
            ("${A:}", 0, "unknown operator after `${A`"),
            ("${A:", 0, "`${` is not closed by `}`"),
        ] {
            let problem = run(text).unwrap_err();
            assert_eq!((problem.start, problem.message.as_str()), (start, message), "{text}");
        }
        assert!(run(&"${A:-".repeat(40)).is_err());
    }

    #[test]
    fn unset_variables_are_named_once_and_only_where_they_count() {
        let variables = BTreeMap::<String, String>::new();
        let out = interpolate("$X ${X} ${Y:-${Z}} ${W:+${V}}", &variables, 100).unwrap();
        assert_eq!(out.unset.into_iter().collect::<Vec<_>>(), ["X", "Z"]);
    }

    #[test]
    fn the_result_is_bounded() {
        let variables = BTreeMap::from([("A".to_owned(), "x".repeat(1000))]);
        assert!(interpolate(&"$A".repeat(100), &variables, 5000).is_err());
    }
}
