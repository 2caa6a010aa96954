//! Log entries and outcomes as bytes: versioned protobuf (`log.proto`).
//!
//! An entry is read in full or not at all: a command or field that this version does not know is an
//! error that stops the node, because skipping it would make its state differ from the others'.

mod certificate;
mod command;
mod parts;
mod steps;

use jaco_api::{
    convert::InvalidMessage,
    model::{NodeId, Timestamp},
    pb,
};
use prost::Message as _;

use super::{Command, Envelope, Outcome};
use crate::state::row::{Row, from_json, json, required};

/// Why bytes are no log entry or outcome of this version.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not protobuf.
    #[error("a log entry cannot be read")]
    Malformed(#[from] prost::DecodeError),
    /// A newer version of JACO wrote a command this one does not have.
    #[error(
        "the log holds command {number}, which this version of JACO does not know: upgrade this node"
    )]
    UnknownCommand {
        /// Its field number in `LogEntry`; 0 when the entry holds no command at all.
        number: u32,
    },
    /// A newer version of JACO wrote a field this one does not have.
    #[error("a log entry holds a field that this version of JACO does not know: upgrade this node")]
    UnknownField,
    /// A value in it breaks a rule of the model.
    #[error("a log entry holds an invalid value")]
    Invalid(#[from] InvalidMessage),
}

/// A log entry as bytes.
#[must_use]
pub fn encode(envelope: &Envelope) -> Vec<u8> {
    pb::LogEntry {
        at: envelope.at.0,
        actor: Some(envelope.actor.clone().into()),
        request_id: envelope.request_id.clone(),
        command: Some(envelope.command.write()),
    }
    .encode_to_vec()
}

/// Reads [`encode`].
///
/// # Errors
/// [`DecodeError`]; the entry must then not be skipped.
pub fn decode(bytes: &[u8]) -> Result<Envelope, DecodeError> {
    let m = pb::LogEntry::decode(bytes)?;
    let len = m.encoded_len();
    let Some(command) = m.command else {
        return Err(DecodeError::UnknownCommand { number: command_number(bytes) });
    };
    if len != bytes.len() {
        return Err(DecodeError::UnknownField);
    }
    Ok(Envelope {
        at: Timestamp(m.at),
        actor: required("actor", m.actor)?.try_into()?,
        request_id: m.request_id,
        command: Command::read(command)?,
    })
}

/// The first field number of an entry that is a command's.
fn command_number(mut bytes: &[u8]) -> u32 {
    use prost::encoding::{DecodeContext, decode_key, skip_field};
    while let Ok((number, wire)) = decode_key(&mut bytes) {
        if number >= 16 {
            return number;
        }
        if skip_field(wire, number, &mut bytes, DecodeContext::default()).is_err() {
            break;
        }
    }
    0
}

/// An outcome as bytes.
#[must_use]
pub fn encode_outcome(outcome: &Outcome) -> Vec<u8> {
    use pb::log_outcome::{
        Admitted, Deleted, Done, KeyReserved, Outcome as Wire, RevisionInForce, RolledBack,
    };
    let wire = match outcome {
        Outcome::Done => Wire::Done(Done {}),
        Outcome::Revision { number, changed } => {
            Wire::Revision(RevisionInForce { number: *number, changed: *changed })
        }
        Outcome::RolledBack { restored, number } => {
            Wire::RolledBack(RolledBack { restored: *restored, number: *number })
        }
        Outcome::Deleted { volumes } => Wire::Deleted(Deleted { volumes: volumes.clone() }),
        Outcome::Admitted { node } => Wire::Admitted(Admitted { node: node.0 }),
        Outcome::KeyReserved { key_id } => Wire::KeyReserved(KeyReserved { key_id: *key_id }),
        Outcome::Rejected(error) => Wire::Rejected(json(error)),
    };
    pb::LogOutcome { outcome: Some(wire) }.encode_to_vec()
}

/// Reads [`encode_outcome`].
///
/// # Errors
/// [`DecodeError`] when the bytes are none, or of a newer version.
pub fn decode_outcome(bytes: &[u8]) -> Result<Outcome, DecodeError> {
    use pb::log_outcome::Outcome as Wire;
    let m = pb::LogOutcome::decode(bytes)?;
    if m.encoded_len() != bytes.len() {
        return Err(DecodeError::UnknownField);
    }
    Ok(match required("outcome", m.outcome)? {
        Wire::Done(_) => Outcome::Done,
        Wire::Revision(r) => Outcome::Revision { number: r.number, changed: r.changed },
        Wire::RolledBack(r) => Outcome::RolledBack { restored: r.restored, number: r.number },
        Wire::Deleted(d) => Outcome::Deleted { volumes: d.volumes },
        Wire::Admitted(a) => Outcome::Admitted { node: NodeId(a.node) },
        Wire::KeyReserved(k) => Outcome::KeyReserved { key_id: k.key_id },
        Wire::Rejected(bytes) => Outcome::Rejected(from_json("rejected", &bytes)?),
    })
}
