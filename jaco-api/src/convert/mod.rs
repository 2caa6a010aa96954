//! Protobuf to model and back, one file per group of model files. `TryFrom` is the parse: a message
//! that breaks a rule of the model is refused with the field that breaks it.

mod audit;
mod certificate;
mod cluster;
mod cron;
mod deployment;
mod doctor;
mod enums;
mod error;
mod exec;
mod file;
mod mesh;
mod replica;
mod route;
mod serving;
mod token;
mod usage;

use std::fmt;

use crate::{
    error::{ApiError, ErrorCode},
    model::{InvalidName, Timestamp},
};

/// A message that does not fit the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field {field}: {problem}")]
pub struct InvalidMessage {
    /// The field, as named in the `.proto` file.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl InvalidMessage {
    /// A refusal of one field.
    pub fn new(field: &'static str, problem: impl fmt::Display) -> Self {
        Self { field, problem: problem.to_string() }
    }
}

impl From<InvalidMessage> for ApiError {
    fn from(e: InvalidMessage) -> Self {
        Self::new(ErrorCode::ValidationFailed, e.to_string())
    }
}

impl From<InvalidName> for ApiError {
    fn from(e: InvalidName) -> Self {
        Self::new(ErrorCode::ValidationFailed, e.to_string())
    }
}

/// Parses one text field of a message into a name, address or number of the model.
///
/// # Errors
/// [`InvalidMessage`] with the field's name.
pub fn parse<T: std::str::FromStr<Err: fmt::Display>>(
    field: &'static str,
    text: &str,
) -> Result<T, InvalidMessage> {
    text.parse().map_err(|e| InvalidMessage::new(field, e))
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, InvalidMessage> {
    value.ok_or_else(|| InvalidMessage::new(field, "is missing"))
}

fn millis(t: Option<Timestamp>) -> Option<u64> {
    t.map(|t| t.0)
}
