//! What an attempt leaves in the log as it goes: its order, and what proves the domain.

use std::time::Duration;

use async_trait::async_trait;
use jaco_ingress::{
    Domain,
    acme::{
        Cause, PlacedOrder, Publisher,
        challenge::{CHALLENGE_LIFE, Challenge},
        phase::OrderRef,
    },
};
use prost::Message as _;
use zeroize::Zeroizing;

use super::Desk;
use crate::{
    command::{AdvanceIssuance, Command, PublishChallenge, WithdrawChallenge},
    seal,
    state::{Issuance, Published, row::Row as _},
};

/// Pause between two looks at what the nodes serve.
const LOOK: Duration = Duration::from_millis(100);
/// A node that is heard of and does not serve a challenge by then is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes in the name of one attempt.
pub(super) struct Recorder<'a> {
    pub(super) desk: &'a Desk,
    pub(super) domain: &'a Domain,
    pub(super) attempt: u32,
    /// The directory at which it is made.
    pub(super) directory: &'a str,
}

impl Recorder<'_> {
    /// The key of an order, as its row keeps it.
    fn sealed(&self, key: &str) -> Vec<u8> {
        let sealed = self.desk.issuer.keyring.seal(seal::CERTIFICATE, key.as_bytes());
        sealed.write().encode_to_vec()
    }

    /// The order of the row, to be gone on with. None when its key cannot be read.
    pub(super) fn opened(&self, order: &OrderRef) -> Option<PlacedOrder> {
        let sealed = jaco_api::pb::SealedValue::decode(order.sealed_key.as_slice()).ok()?;
        let sealed = jaco_api::model::Sealed::read(sealed).ok()?;
        let plain = self.desk.issuer.keyring.open(seal::CERTIFICATE, &sealed).ok()?;
        let key = Zeroizing::new(std::str::from_utf8(&plain).ok()?.to_owned());
        Some(PlacedOrder { url: order.url.clone(), key })
    }

    /// Waits until what is published is answered wherever the CA may ask.
    async fn answered(&self) {
        let Desk { state, clock, .. } = self.desk;
        let Some(published) = self.desk.row(self.domain, self.attempt) else { return };
        let until = clock.now().after(PATIENCE);
        while !self.desk.is_served(&state.newest(), published.version) {
            if clock.now() >= until {
                tracing::warn!(domain = %self.domain, "not every node answers the challenge yet");
                return;
            }
            clock.sleep(LOOK).await;
        }
    }
}

#[async_trait]
impl Publisher for Recorder<'_> {
    async fn keep(&self, order: &PlacedOrder) -> Result<(), Cause> {
        let order = OrderRef {
            directory: self.directory.to_owned(),
            url: order.url.clone(),
            sealed_key: self.sealed(&order.key),
        };
        loop {
            let present = self.desk.row(self.domain, self.attempt).ok_or("the attempt is over")?;
            let row = present.row.placed(self.attempt, order.clone());
            let row = row.ok_or("another order was placed in this attempt")?;
            let issuance = Issuance { row, ..Issuance::clone(&present) };
            if self.desk.advance(AdvanceIssuance { issuance, certificate: None }).await? {
                return Ok(());
            }
        }
    }

    async fn publish(&self, challenge: &Challenge) -> Result<(), Cause> {
        if let Challenge::Dns01(record) = challenge {
            let dns = self.desk.issuer.options.dns.as_ref().ok_or("there is no DNS provider")?;
            return Ok(dns.publish(record).await?);
        }
        let until = self.desk.clock.now().after(CHALLENGE_LIFE);
        let command = Command::PublishChallenge(PublishChallenge {
            domain: self.domain.clone(),
            attempt: self.attempt,
            challenge: Published { challenge: challenge.clone(), until },
        });
        self.desk.propose.propose(None, command).await?;
        self.answered().await;
        Ok(())
    }

    async fn withdraw(&self, challenge: &Challenge) {
        let withdrawn: Result<(), Cause> = match (challenge, &self.desk.issuer.options.dns) {
            (Challenge::Dns01(record), Some(dns)) => dns.withdraw(record).await.map_err(Into::into),
            (Challenge::Dns01(_), None) => Ok(()),
            _ => {
                let until = self.desk.clock.now();
                let challenge = Published { challenge: challenge.clone(), until };
                let domain = self.domain.clone();
                let command = Command::WithdrawChallenge(WithdrawChallenge { domain, challenge });
                self.desk.propose.propose(None, command).await.map(|_| ()).map_err(Into::into)
            }
        };
        if let Err(error) = withdrawn {
            tracing::warn!(domain = %self.domain, %error, "a challenge stays until it expires");
        }
    }
}
