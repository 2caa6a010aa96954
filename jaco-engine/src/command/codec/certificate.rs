//! The commands about certificates in full.

use jaco_api::{
    convert::{InvalidMessage, parse},
    pb,
};

use crate::{
    command::{AdvanceIssuance, KeepAccount, PublishChallenge, WithdrawChallenge},
    state::row::{Row, optional, required},
};

impl Row for AdvanceIssuance {
    type Message = pb::AdvanceIssuance;
    fn write(&self) -> pb::AdvanceIssuance {
        pb::AdvanceIssuance {
            row: Some(self.issuance.write()),
            certificate: self.certificate.as_ref().map(Row::write),
        }
    }
    fn read(m: pb::AdvanceIssuance) -> Result<Self, InvalidMessage> {
        Ok(Self {
            issuance: Row::read(required("row", m.row)?)?,
            certificate: optional(m.certificate)?,
        })
    }
}

impl Row for PublishChallenge {
    type Message = pb::PublishChallenge;
    fn write(&self) -> pb::PublishChallenge {
        pb::PublishChallenge {
            domain: self.domain.to_string(),
            attempt: self.attempt,
            challenge: Some(self.challenge.write()),
        }
    }
    fn read(m: pb::PublishChallenge) -> Result<Self, InvalidMessage> {
        Ok(Self {
            domain: parse("domain", &m.domain)?,
            attempt: m.attempt,
            challenge: Row::read(required("challenge", m.challenge)?)?,
        })
    }
}

impl Row for WithdrawChallenge {
    type Message = pb::WithdrawChallenge;
    fn write(&self) -> pb::WithdrawChallenge {
        pb::WithdrawChallenge {
            domain: self.domain.to_string(),
            challenge: Some(self.challenge.write()),
        }
    }
    fn read(m: pb::WithdrawChallenge) -> Result<Self, InvalidMessage> {
        Ok(Self {
            domain: parse("domain", &m.domain)?,
            challenge: Row::read(required("challenge", m.challenge)?)?,
        })
    }
}

impl Row for KeepAccount {
    type Message = pb::KeepAccount;
    fn write(&self) -> pb::KeepAccount {
        pb::KeepAccount {
            directory: self.directory.clone(),
            email: self.email.clone(),
            credentials: self.credentials.as_ref().map(Row::write),
        }
    }
    fn read(m: pb::KeepAccount) -> Result<Self, InvalidMessage> {
        Ok(Self { directory: m.directory, email: m.email, credentials: optional(m.credentials)? })
    }
}
