//! Problems as people read them.

use std::fmt::Write as _;

use super::{Diagnostic, Severity};

struct Palette {
    error: &'static str,
    warning: &'static str,
    frame: &'static str,
    bold: &'static str,
    reset: &'static str,
}

const COLOR: Palette = Palette {
    error: "\x1b[1;31m",
    warning: "\x1b[1;33m",
    frame: "\x1b[1;34m",
    bold: "\x1b[1m",
    reset: "\x1b[0m",
};
const PLAIN: Palette = Palette { error: "", warning: "", frame: "", bold: "", reset: "" };

/// The problems with file, line and column, the source line, a caret and the way out, separated
/// by empty lines. With `color`, as ANSI sequences.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], color: bool) -> String {
    let palette = if color { &COLOR } else { &PLAIN };
    let mut out = String::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        one(&mut out, diagnostic, palette);
    }
    out
}

fn one(out: &mut String, d: &Diagnostic, p: &Palette) {
    let (color, word) = match d.severity {
        Severity::Error => (p.error, format!("error[{}]", d.code)),
        Severity::Warning => (p.warning, "warning".to_owned()),
    };
    let (frame, reset, bold) = (p.frame, p.reset, p.bold);
    let message = printable(&d.message);
    let _ = writeln!(out, "{color}{word}{reset}{bold}: {message}{reset}");
    let number = d.line.to_string();
    let margin = " ".repeat(number.len());
    let file = printable(&d.file);
    let _ = writeln!(out, "{margin}{frame}-->{reset} {file}:{}:{}", d.line, d.column);
    if !d.source.is_empty() {
        let (line, before, marked) = quoted(d);
        let _ = writeln!(out, "{margin} {frame}|{reset}");
        let _ = writeln!(out, "{frame}{number} |{reset} {line}");
        let carets = "^".repeat(marked);
        let pad = " ".repeat(before);
        let _ = writeln!(out, "{margin} {frame}|{reset} {pad}{color}{carets}{reset}");
    }
    if !d.path.is_empty() {
        let _ = writeln!(out, "{margin} {frame}={reset} at: {}", printable(&d.path));
    }
    if let Some(hint) = &d.hint {
        let _ = writeln!(out, "{margin} {frame}={reset} {bold}hint{reset}: {}", printable(hint));
    }
}

/// The source line with tabs as four spaces, the width before the mark and the width of the mark.
fn quoted(d: &Diagnostic) -> (String, usize, usize) {
    let (from, length) = (d.column.max(1) as usize - 1, d.length.max(1) as usize);
    let mut line = String::new();
    let (mut before, mut marked) = (0, 0);
    for (index, c) in d.source.chars().enumerate() {
        let width = if c == '\t' { 4 } else { 1 };
        if index < from {
            before += width;
        } else if index < from.saturating_add(length) {
            marked += width;
        }
        match c {
            '\t' => line.push_str("    "),
            c if c.is_control() => line.push('\u{fffd}'),
            c => line.push(c),
        }
    }
    (line.trim_end().to_owned(), before, marked.max(1))
}

/// A text without anything that could steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
