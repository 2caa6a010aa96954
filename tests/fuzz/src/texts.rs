//! Small readers of text: YAML, dotenv, variables, single values.

use std::{collections::BTreeMap, fmt::Write as _};

use jaco_api::manifest::fuzzing;

fn variables() -> BTreeMap<String, String> {
    [("A", "one"), ("B", "$A"), ("EMPTY", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

/// A tree survives being written as JSON.
pub(crate) fn yaml(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let (json, problems) = fuzzing::yaml("file", text);
    problems.iter().for_each(|problem| crate::manifest::place(problem, text));
    assert!(json.is_some() || !problems.is_empty(), "nothing is said");
    let Some(json) = json else { return };
    let (again, problems) = fuzzing::yaml("sent", &json);
    assert_eq!(problems, [], "{json}");
    assert_eq!(again.as_deref(), Some(json.as_str()));
    serde_json::from_str::<serde_json::Value>(&json).expect("what is sent is JSON");
}

/// Entries survive being written with quotes.
pub(crate) fn dotenv(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let lines = text.lines().count() + 1;
    if let Err((line, message)) = fuzzing::dotenv(text, &variables(), true) {
        assert!((1..=lines).contains(&line) && !message.is_empty());
    }
    match fuzzing::dotenv(text, &variables(), false) {
        Err((line, message)) => {
            assert!((1..=lines).contains(&line), "line {line} of {lines}");
            assert!(!message.is_empty() && !message.contains('\n'));
        }
        Ok(entries) => {
            let written = write_dotenv(&entries);
            // Values that name others grow, and with their escapes beyond what is read.
            if written.len() > 1 << 20 {
                return;
            }
            let again = fuzzing::dotenv(&written, &BTreeMap::new(), false);
            assert_eq!(again.as_ref(), Ok(&entries), "{written}");
        }
    }
}

fn write_dotenv(entries: &BTreeMap<String, Option<String>>) -> String {
    let mut out = String::new();
    for (name, value) in entries {
        let _ = match value {
            None => writeln!(out, "{name}"),
            Some(value) => {
                let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
                writeln!(out, "{name}=\"{escaped}\"")
            }
        };
    }
    out
}

/// What has no variable is a text; what is escaped comes back; a problem has its place in the text.
pub(crate) fn interpolation(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let most = 1 << 16;
    match fuzzing::interpolate(text, &variables(), most) {
        Ok(filled) => {
            assert!(filled.len() <= most + text.len().max(8));
            assert!(text.contains('$') || filled == text);
        }
        Err((range, message)) => {
            assert!(text.get(range.start..).is_some(), "{range:?}");
            assert!(text.get(range.clone()).is_some(), "{range:?}");
            assert!(!range.is_empty() && !message.is_empty());
        }
    }
    if text.len() <= most {
        let escaped = text.replace('$', "$$");
        assert_eq!(fuzzing::interpolate(&escaped, &variables(), most).as_deref(), Ok(text));
    }
}

/// Single values survive being written in their one spelling.
pub(crate) fn values(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    if let Some(span) = fuzzing::duration(text) {
        assert_eq!(fuzzing::duration(&format!("{}ms", span.0)), Some(span));
        assert_eq!(span.to_string().parse(), Ok(span));
    }
    if let Some(bytes) = fuzzing::bytes(text) {
        assert_eq!(fuzzing::bytes(&bytes.to_string()), Some(bytes));
    }
    if let Ok((first, last)) = fuzzing::ports(text) {
        assert!(0 < first && first <= last);
        assert_eq!(fuzzing::ports(&format!("{first}-{last}")), Ok((first, last)));
    }
    if let Ok(constraint) = fuzzing::constraint(text) {
        assert_eq!(fuzzing::constraint(&constraint).as_ref(), Ok(&constraint));
    }
    if let Some(words) = fuzzing::command(text) {
        let quoted: Vec<String> =
            words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        assert_eq!(fuzzing::command(&quoted.join(" ")), Some(words));
    }
}
