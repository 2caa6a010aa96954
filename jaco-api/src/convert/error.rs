//! Errors and diagnostics, carried as `google.rpc.Status` with `ErrorInfo` (AIP-193).

use std::collections::HashMap;

use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb::{ErrorInfo, Status as RpcStatus};

use super::{InvalidMessage, parse};
use crate::{
    error::{ApiError, DOMAIN, ErrorCode},
    manifest::{Diagnostic, Severity},
    pb,
};

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const DIAGNOSTICS: &str = "type.googleapis.com/jaco.v1.Diagnostics";

/// Most bytes of diagnostics in a status: it travels in HTTP/2 trailers, which peers bound at 16 KiB.
const DIAGNOSTICS_LIMIT: usize = 6 * 1024;

impl From<Diagnostic> for pb::Diagnostic {
    fn from(d: Diagnostic) -> Self {
        Self {
            warning: d.severity == Severity::Warning,
            code: d.code.as_str().to_owned(),
            file: d.file,
            line: d.line,
            column: d.column,
            length: d.length,
            source: d.source,
            path: d.path,
            message: d.message,
            hint: d.hint,
        }
    }
}
impl TryFrom<pb::Diagnostic> for Diagnostic {
    type Error = InvalidMessage;
    fn try_from(d: pb::Diagnostic) -> Result<Self, InvalidMessage> {
        Ok(Self {
            severity: if d.warning { Severity::Warning } else { Severity::Error },
            code: parse("code", &d.code)?,
            file: d.file,
            line: d.line,
            column: d.column,
            length: d.length,
            source: d.source,
            path: d.path,
            message: d.message,
            hint: d.hint,
        })
    }
}

/// As many diagnostics as fit into a status, and how many did not.
fn fitting(diagnostics: Vec<Diagnostic>) -> (pb::Diagnostics, usize) {
    let total = diagnostics.len();
    let mut size = 0;
    let items: Vec<pb::Diagnostic> = diagnostics
        .into_iter()
        .map(pb::Diagnostic::from)
        .take_while(|d| {
            size += d.encoded_len();
            size <= DIAGNOSTICS_LIMIT
        })
        .collect();
    let left = total - items.len();
    (pb::Diagnostics { items }, left)
}

impl From<ApiError> for Status {
    fn from(e: ApiError) -> Self {
        let (diagnostics, left) = fitting(e.diagnostics);
        let mut metadata: HashMap<String, String> = e.details.into_iter().collect();
        if left > 0 {
            metadata.insert("more_problems".to_owned(), left.to_string());
        }
        let info =
            ErrorInfo { reason: e.code.as_str().to_owned(), domain: DOMAIN.to_owned(), metadata };
        let any = |type_url: &str, value| Any { type_url: type_url.to_owned(), value };
        let mut details = vec![any(ERROR_INFO, info.encode_to_vec())];
        if !diagnostics.items.is_empty() {
            details.push(any(DIAGNOSTICS, diagnostics.encode_to_vec()));
        }
        let code = e.code.grpc();
        let status = RpcStatus { code: code as i32, message: e.message.clone(), details };
        Self::with_details(code, e.message, status.encode_to_vec().into())
    }
}

impl From<Status> for ApiError {
    /// A status without our `ErrorInfo` is classified by its gRPC code.
    fn from(status: Status) -> Self {
        let fallback = || Self::new(code_of(status.code()), status.message());
        let Ok(rpc) = RpcStatus::decode(status.details()) else { return fallback() };
        let mut error = None;
        let mut diagnostics = Vec::new();
        for any in &rpc.details {
            match any.type_url.as_str() {
                ERROR_INFO => {
                    let Ok(info) = ErrorInfo::decode(&*any.value) else { continue };
                    if info.domain == DOMAIN {
                        error = info.reason.parse::<ErrorCode>().ok().map(|code| Self {
                            code,
                            message: status.message().to_owned(),
                            details: info.metadata.into_iter().collect(),
                            diagnostics: Vec::new(),
                        });
                    }
                }
                DIAGNOSTICS => {
                    let Ok(list) = pb::Diagnostics::decode(&*any.value) else { continue };
                    diagnostics.extend(list.items.into_iter().filter_map(|d| d.try_into().ok()));
                }
                _ => {}
            }
        }
        let mut error = error.unwrap_or_else(fallback);
        error.diagnostics = diagnostics;
        error
    }
}

fn code_of(code: Code) -> ErrorCode {
    match code {
        Code::Unauthenticated => ErrorCode::TokenInvalid,
        Code::PermissionDenied => ErrorCode::PermissionDenied,
        Code::InvalidArgument | Code::OutOfRange => ErrorCode::ValidationFailed,
        Code::Unavailable => ErrorCode::NoLeader,
        Code::Unimplemented => ErrorCode::VersionMismatch,
        Code::Aborted => ErrorCode::Conflict,
        Code::ResourceExhausted => ErrorCode::RateLimited,
        _ => ErrorCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for code in ErrorCode::ALL {
            let sent = ApiError::new(*code, "because").with("service", "web");
            let status = Status::from(sent.clone());
            assert_eq!(status.code(), code.grpc());
            assert_eq!(ApiError::from(status), sent);
        }
    }

    #[test]
    fn diagnostics_are_cut_to_what_a_trailer_may_hold() {
        let problem = Diagnostic {
            severity: Severity::Error,
            code: ErrorCode::ValidationFailed,
            file: "compose.yml".into(),
            line: 1,
            column: 1,
            length: 1,
            source: "x".repeat(100),
            path: "services.web".into(),
            message: "is wrong".into(),
            hint: None,
        };
        let mut sent = ApiError::new(ErrorCode::ValidationFailed, "100 problems");
        sent.diagnostics = vec![problem; 100];
        let status = Status::from(sent);
        assert!(status.details().len() < 8 * 1024);
        let got = ApiError::from(status);
        let more: usize = got.details["more_problems"].parse().unwrap();
        assert_eq!(got.diagnostics.len() + more, 100);
        assert!(got.diagnostics.len() > 10);
    }
}
