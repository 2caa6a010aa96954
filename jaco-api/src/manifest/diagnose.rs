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
    /// How many characters are marked; at least 1.
    pub length: u32,
    /// The line of the file, for the caret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Where in the document, for example `services.web.ports[0]`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
