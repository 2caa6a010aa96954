//! Commands: a list of words, or one text that is split like a shell would.

use super::{Node, Report, string_list};
use crate::manifest::yaml::Value;

/// The words of a command. An empty text is an empty command.
pub(in crate::manifest) fn command(node: &Node, report: &mut Report<'_>) -> Option<Vec<String>> {
    if let Value::List(_) = node.value {
        return string_list(node, report);
    }
    let Some(text) = node.as_text() else {
        let message = format!("{} must be a text or a list, not {}", report.subject(), node.kind());
        report.error(node.mark, message);
        return None;
    };
    match split(text) {
        Ok(words) => Some(words),
        Err(problem) => {
            let hint = "close it, or write the command as a list";
            report.error_hint(node.mark, format!("{} {problem}", report.subject()), hint);
            None
        }
    }
}

/// Splits like a shell: quotes, backslashes, no expansion.
fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("has a single quote that is not closed")? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                let open = "has a double quote that is not closed";
                loop {
                    match chars.next().ok_or(open)? {
                        '"' => break,
                        '\\' => match chars.next().ok_or(open)? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            '\n' => {}
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => match chars.next().ok_or("ends in a backslash")? {
                '\n' => {}
                c => word.get_or_insert_default().push(c),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_split_like_a_shell_does() {
        for (text, words) in [
            ("a b  c", vec!["a", "b", "c"]),
            (r#"sh -c "echo \"$X\" \n""#, vec!["sh", "-c", r#"echo "$X" \n"#]),
            ("'a b'c ''", vec!["a bc", ""]),
            (r"a\ b \\", vec!["a b", r"\"]),
            ("  ", vec![]),
            ("# not a comment", vec!["#", "not", "a", "comment"]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
        for text in ["'a", "\"a", "a\\", "\"a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
