//! Writes a tree as JSON, which is YAML that needs no anchors, merge keys or interpolation.

use std::fmt::Write as _;

use super::{Node, Scalar, Value};

/// The tree as JSON. Reading it again gives an equal tree but for places and quoting.
pub(in crate::manifest) fn to_json(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node, 0);
    out.push('\n');
    out
}

fn write_node(out: &mut String, node: &Node, depth: usize) {
    match &node.value {
        Value::Scalar(scalar) => write_scalar(out, scalar),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_node(out, item, depth + 1);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (i, entry) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                // Lines stay short enough to be quoted in messages, without indenting everything.
                if depth < 3 {
                    out.push('\n');
                } else if i > 0 {
                    out.push(' ');
                }
                write_text(out, &entry.key);
                out.push_str(": ");
                write_node(out, &entry.value, depth + 1);
            }
            out.push('}');
        }
    }
}

fn write_scalar(out: &mut String, scalar: &Scalar) {
    if scalar.is_null() {
        out.push_str("null");
    } else if scalar.plain && is_json_literal(&scalar.text) {
        out.push_str(&scalar.text);
    } else {
        write_text(out, &scalar.text);
    }
}

fn is_json_literal(text: &str) -> bool {
    matches!(text, "true" | "false")
        || (text.len() < 16
            && text.bytes().all(|b| b.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'))
            && !text.is_empty())
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| needs_escape(*c)) {
        out.push_str(&rest[..at]);
        rest = &rest[at + c.len_utf8()..];
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    out.push_str(rest);
    out.push('"');
}

/// Whether a character cannot stand for itself: quotes, controls, further line breaks, byte order marks
/// and what is not a character.
fn needs_escape(c: char) -> bool {
    matches!(
        c,
        '"' | '\\'
            | '\0'..='\x1f'
            | '\x7f'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{ffff}'
    )
}
