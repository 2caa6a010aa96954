//! Problems of a manifest, with their place and the way out.

use serde::{Deserialize, Serialize};

use crate::error::ErrorCode;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The manifest is refused.
    Error,
    /// It is accepted; something in it has no effect or is probably not meant.
    Warning,
}

/// One problem of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind of problem.
    pub code: ErrorCode,
    /// The file, as it was named to us.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// How many characters are marked; at least 1. A mark never goes beyond its line.
    pub length: u32,
    /// The line of the file, for the caret; empty when it is not to be shown.
    pub source: String,
    /// Where in the document, for example `services.web.ports[0]`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A problem as programs read it.
#[derive(Serialize, Deserialize)]
struct Written {
    file: String,
    span: Marked,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    path: String,
    code: ErrorCode,
    severity: Severity,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    source: String,
}

/// A place on one line of a file.
#[derive(Serialize, Deserialize)]
struct Marked {
    line: u32,
    column: u32,
    length: u32,
}

impl From<Diagnostic> for Written {
    fn from(d: Diagnostic) -> Self {
        Self {
            file: d.file,
            span: Marked { line: d.line, column: d.column, length: d.length },
            path: d.path,
            code: d.code,
            severity: d.severity,
            message: d.message,
            hint: d.hint,
            source: d.source,
        }
    }
}
impl From<Written> for Diagnostic {
    fn from(w: Written) -> Self {
        Self {
            severity: w.severity,
            code: w.code,
            file: w.file,
            line: w.span.line,
            column: w.span.column,
            length: w.span.length,
            source: w.source,
            path: w.path,
            message: w.message,
            hint: w.hint,
        }
    }
}
