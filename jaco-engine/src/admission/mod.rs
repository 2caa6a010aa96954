//! Who may, and does it make sense: (state, caller, request) to command.
//!
//! In: the newest state, what is known of the connection, the request. Out: a
//! [`Command`](crate::command::Command), or the [`ApiError`](jaco_api::error::ApiError) the caller is
//! told. Nothing here waits, reads a clock, or writes; what must be decided atomically (revision
//! numbers, conflicts with other changes) is left to the command's `apply`.

mod attempts;
mod authenticate;
mod certificate;
mod deploy;
mod effects;
mod file;
mod method;
mod node;
mod permit;
mod route;
mod setting;
mod token;

pub use attempts::Attempts;
pub use authenticate::{Peer, authenticate, bearer, member};
pub use certificate::{import_certificate, remove_certificate, renew_certificate};
pub use deploy::{Admitted, apply, delete, document_of, hold, restart, rollback, scale};
pub use effects::describe;
pub use file::{delete_file, set_file};
pub use method::{Need, Rule, rule};
pub use node::{diagnose, label, make_available, obstacles};
use permit::permit_unlimited;
pub use permit::{covers, permit_change, permit_role};
pub use setting::set;
pub use token::{Wish, issue, revoke};
