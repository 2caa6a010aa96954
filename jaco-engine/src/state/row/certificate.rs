//! Certificates, what is under way to them, and accounts at CAs.

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{CertificateSource, Sealed, StoredCertificate, Timestamp},
    pb::{self, issuance_row, published_challenge as wire},
};
use jaco_ingress::{
    TxtRecord,
    acme::{
        challenge::Challenge,
        phase::{OrderRef, Row as PhaseRow, Window},
    },
};

use super::{Row, digest, enumeration, required};
use crate::state::{Issuance, Published};

impl Row for StoredCertificate {
    type Message = pb::CertificateRow;
    fn write(&self) -> pb::CertificateRow {
        let source = match self.source {
            CertificateSource::Acme => pb::CertificateSource::Acme,
            CertificateSource::Imported => pb::CertificateSource::Imported,
        };
        pb::CertificateRow {
            domain: self.domain.clone(),
            source: source.into(),
            chain: self.chain.to_string(),
            key: Some(self.key.write()),
            names: self.names.clone(),
            issuer: self.issuer.clone(),
            not_before: self.not_before.0,
            not_after: self.not_after.0,
            fingerprint: self.fingerprint.0.to_vec(),
            stored_at: self.stored_at.0,
        }
    }
    fn read(m: pb::CertificateRow) -> Result<Self, InvalidMessage> {
        let source = match enumeration("source", m.source)? {
            pb::CertificateSource::Acme => CertificateSource::Acme,
            pb::CertificateSource::Imported => CertificateSource::Imported,
            pb::CertificateSource::Unspecified => {
                return Err(InvalidMessage::new("source", "is missing"));
            }
        };
        Ok(Self {
            domain: m.domain,
            source,
            chain: m.chain.into(),
            key: Sealed::read(required("key", m.key)?)?,
            names: m.names,
            issuer: m.issuer,
            not_before: Timestamp(m.not_before),
            not_after: Timestamp(m.not_after),
            fingerprint: digest("fingerprint", &m.fingerprint)?,
            stored_at: Timestamp(m.stored_at),
        })
    }
}

impl Row for Issuance {
    type Message = pb::IssuanceRow;
    fn write(&self) -> pb::IssuanceRow {
        let row = &self.row;
        pb::IssuanceRow {
            domain: self.domain.to_string(),
            phase: row.phase.as_str().to_owned(),
            since: row.since.0,
            deadline: row.deadline.0,
            attempt: row.attempt,
            failures: row.failures,
            retry: row.retry.map(|attempt| attempt.as_str().to_owned()),
            order: row.order.as_ref().map(|order| issuance_row::OrderInProgress {
                directory: order.directory.clone(),
                url: order.url.clone(),
                sealed_key: order.sealed_key.clone(),
            }),
            window: row.window.map(|window| issuance_row::RenewalWindow {
                start: window.start.0,
                end: window.end.0,
            }),
            reason: row.reason.clone(),
            challenges: self.challenges.iter().map(Row::write).collect(),
            version: self.version,
        }
    }
    fn read(m: pb::IssuanceRow) -> Result<Self, InvalidMessage> {
        let order = |order: issuance_row::OrderInProgress| OrderRef {
            directory: order.directory,
            url: order.url,
            sealed_key: order.sealed_key,
        };
        let window = |window: issuance_row::RenewalWindow| Window {
            start: Timestamp(window.start),
            end: Timestamp(window.end),
        };
        Ok(Self {
            domain: parse("domain", &m.domain)?,
            row: PhaseRow {
                phase: parse("phase", &m.phase)?,
                since: Timestamp(m.since),
                deadline: Timestamp(m.deadline),
                attempt: m.attempt,
                failures: m.failures,
                retry: m.retry.map(|attempt| parse("retry", &attempt)).transpose()?,
                order: m.order.map(order),
                window: m.window.map(window),
                reason: m.reason,
            },
            challenges: m.challenges.into_iter().map(Row::read).collect::<Result<_, _>>()?,
            version: m.version,
        })
    }
}

impl Row for Published {
    type Message = pb::PublishedChallenge;
    fn write(&self) -> pb::PublishedChallenge {
        let (domain, answer) = match &self.challenge {
            Challenge::Http01 { domain, token, key_authorization } => {
                let http = wire::Http {
                    token: token.clone(),
                    key_authorization: key_authorization.clone(),
                };
                (domain, wire::Answer::Http(http))
            }
            Challenge::TlsAlpn01 { domain, digest } => {
                (domain, wire::Answer::TlsAlpn(digest.to_vec()))
            }
            Challenge::Dns01(record) => (&record.domain, wire::Answer::Dns(record.value.clone())),
        };
        pb::PublishedChallenge {
            domain: domain.to_string(),
            until: self.until.0,
            answer: Some(answer),
        }
    }
    fn read(m: pb::PublishedChallenge) -> Result<Self, InvalidMessage> {
        let domain = parse("domain", &m.domain)?;
        let challenge = match required("answer", m.answer)? {
            wire::Answer::Http(http) => Challenge::Http01 {
                domain,
                token: http.token,
                key_authorization: http.key_authorization,
            },
            wire::Answer::TlsAlpn(bytes) => {
                Challenge::TlsAlpn01 { domain, digest: digest("tls_alpn", &bytes)?.0 }
            }
            wire::Answer::Dns(value) => Challenge::Dns01(TxtRecord { domain, value }),
        };
        Ok(Self { challenge, until: Timestamp(m.until) })
    }
}

impl Row for ((String, String), Sealed) {
    type Message = pb::AcmeAccountRow;
    fn write(&self) -> pb::AcmeAccountRow {
        let ((directory, email), credentials) = self;
        pb::AcmeAccountRow {
            directory: directory.clone(),
            email: email.clone(),
            credentials: Some(credentials.write()),
        }
    }
    fn read(m: pb::AcmeAccountRow) -> Result<Self, InvalidMessage> {
        let credentials = Sealed::read(required("credentials", m.credentials)?)?;
        Ok(((m.directory, m.email), credentials))
    }
}
