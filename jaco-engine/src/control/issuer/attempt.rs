//! One attempt at the certificate of a domain, from its row to the next one.

use std::time::Duration;

use jaco_api::model::{CertificateSource, StoredCertificate};
use jaco_ingress::{
    Certificate, Domain,
    acme::{
        AcmeClient, Obtained, OrderRequest,
        challenge::ChallengeKind,
        phase::{Attempt, Facts, Failure, FailureKind, Outcome, Row, Validity, step},
    },
};

use super::{Desk, local, recorder::Recorder};
use crate::{
    certificate::stored,
    command::AdvanceIssuance,
    state::{Issuance, State},
};

/// Pause before the end of an attempt is written again that did not get through.
const AGAIN: Duration = Duration::from_secs(1);

/// Makes the attempt of a domain's row and writes how it ended. What takes longer than the row allows ends without a
/// word: the row says what comes then.
pub(in crate::control) async fn make(desk: Desk, domain: Domain, number: u32) {
    let Some(present) = desk.row(&domain, number) else { return };
    let Some(attempt) = present.row.phase.attempt() else { return };
    tracing::info!(%domain, attempt = attempt.as_str(), number, "a certificate is being obtained");
    let patience = present.row.deadline.since(desk.clock.now());
    let late = desk.clock.sleep(patience);
    let ended = tokio::select! {
        ended = desk.obtain(&domain, &present.row, attempt) => ended,
        () = late => return,
    };
    match &ended {
        Ok(obtained) => {
            tracing::info!(%domain, until = %obtained.validity.not_after, "a certificate was obtained");
        }
        Err(failure) => {
            tracing::warn!(%domain, reason = failure.reason, "no certificate was obtained");
        }
    }
    desk.settle(&domain, number, attempt, ended).await;
}

impl Desk {
    async fn obtain(
        &self,
        domain: &Domain,
        row: &Row,
        attempt: Attempt,
    ) -> Result<Obtained, Failure> {
        let settings = self.issuer.settings();
        let directory = settings.directory_of(attempt);
        let directory = directory.ok_or_else(|| local("there is no dry run here".to_owned()))?;
        let challenge = self.issuer.way(domain, row.failures)?;
        let client = self.issuer.client(directory).map_err(|error| error.failure())?;
        let recorder = Recorder { desk: self, domain, attempt: row.attempt, directory };
        self.order(&client, &recorder, row, challenge, attempt).await
    }

    async fn order(
        &self,
        client: &AcmeClient,
        recorder: &Recorder<'_>,
        row: &Row,
        challenge: ChallengeKind,
        attempt: Attempt,
    ) -> Result<Obtained, Failure> {
        let domain = recorder.domain;
        let email = self.email(domain);
        let unreadable = || Failure {
            // An order without its key is of no use to anybody.
            kind: FailureKind::Refused,
            reason: "the key of the order cannot be opened".to_owned(),
            retry_after: None,
        };
        let resume =
            row.order.as_ref().map(|o| recorder.opened(o).ok_or_else(unreadable)).transpose()?;
        let state = self.state.newest();
        let replaced = state.certificates().find(domain).filter(|_| attempt == Attempt::Renewing);
        let replaces = replaced.map(|certificate| &*certificate.chain);
        let mut request = OrderRequest { domain, challenge, replaces, resume };
        for last in [false, true] {
            let credentials = self.account(client, &email).await?;
            match client.obtain(&credentials, request.clone(), recorder).await {
                Err(error) if error.account_is_gone() && !last => {
                    self.keep_account(client.directory(), &email, None).await?;
                    // What another account has ordered is not ours.
                    request.resume = None;
                }
                obtained => return obtained.map_err(|error| error.failure()),
            }
        }
        Err(local("the CA forgets accounts as they are made".to_owned()))
    }

    /// Writes how an attempt ended, unless it is over already.
    async fn settle(
        &self,
        domain: &Domain,
        number: u32,
        attempt: Attempt,
        ended: Result<Obtained, Failure>,
    ) {
        let (outcome, certificate) = match ended {
            Ok(Obtained { certificate, validity }) => {
                (Outcome::Obtained(validity), Some(certificate))
            }
            Err(failure) => (Outcome::Failed(failure), None),
        };
        let certificate = certificate.filter(|_| attempt != Attempt::Staging);
        while let Some(present) = self.row(domain, number) {
            let next = self.next(&present, number, &outcome, certificate.as_ref());
            match next {
                Some(next) => match self.advance(next).await {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%domain, %error, "the end of an attempt is written again");
                        self.clock.sleep(AGAIN).await;
                    }
                },
                None => return,
            }
        }
    }

    fn next(
        &self,
        present: &Issuance,
        number: u32,
        outcome: &Outcome,
        certificate: Option<&Certificate>,
    ) -> Option<AdvanceIssuance> {
        let (domain, now) = (&present.domain, self.clock.now());
        let facts = Facts {
            now,
            certificate: validity(&self.state.newest(), domain),
            window: None,
            outcome: Some((number, outcome)),
        };
        let row = step(&present.row, domain, &self.issuer.settings(), &facts).row;
        let issuance = Issuance { row, ..present.clone() };
        let certificate = match certificate {
            Some(certificate) => Some(self.issuer.stored(domain, certificate, now)?),
            None => None,
        };
        Some(AdvanceIssuance { issuance, certificate })
    }
}

impl super::Issuer {
    /// A certificate of a CA, as the state keeps it. None when it cannot be served any more.
    pub(in crate::control) fn stored(
        &self,
        domain: &Domain,
        certificate: &Certificate,
        now: jaco_api::model::Timestamp,
    ) -> Option<StoredCertificate> {
        let made = stored(domain, certificate, CertificateSource::Acme, &self.keyring, now);
        made.inspect_err(|error| tracing::warn!(%domain, %error, "a certificate cannot be served"))
            .ok()
    }
}

/// When the certificate is valid that is served for a domain.
pub(in crate::control) fn validity(state: &State, domain: &Domain) -> Option<Validity> {
    let found = state.certificates().find(domain)?;
    Some(Validity { not_before: found.not_before, not_after: found.not_after })
}
