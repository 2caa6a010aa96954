//! Certificates of domains.

use super::{InvalidMessage, millis, parse};
use crate::{model, model::Timestamp, pb};

impl From<model::CertificateSummary> for pb::CertificateSummary {
    fn from(c: model::CertificateSummary) -> Self {
        Self {
            domain: c.domain,
            phase: pb::CertificatePhase::from(c.phase).into(),
            deployments: c.deployments.into_iter().map(Into::into).collect(),
            certificate: c.certificate.map(Into::into),
            next_at: millis(c.next_at),
            attempts: c.attempts,
            failures: c.failures,
            reason: c.reason,
        }
    }
}
impl TryFrom<pb::CertificateSummary> for model::CertificateSummary {
    type Error = InvalidMessage;
    fn try_from(c: pb::CertificateSummary) -> Result<Self, InvalidMessage> {
        let deployments = c.deployments.iter().map(|name| parse("deployments", name));
        Ok(Self {
            phase: c.phase().try_into()?,
            deployments: deployments.collect::<Result<_, _>>()?,
            domain: c.domain,
            certificate: c.certificate.map(TryInto::try_into).transpose()?,
            next_at: c.next_at.map(Timestamp),
            attempts: c.attempts,
            failures: c.failures,
            reason: c.reason,
        })
    }
}

impl From<model::ServedCertificate> for pb::ServedCertificate {
    fn from(c: model::ServedCertificate) -> Self {
        Self {
            source: pb::CertificateSource::from(c.source).into(),
            names: c.names,
            issuer: c.issuer,
            not_before: c.not_before.0,
            not_after: c.not_after.0,
            fingerprint: c.fingerprint.to_string(),
        }
    }
}
impl TryFrom<pb::ServedCertificate> for model::ServedCertificate {
    type Error = InvalidMessage;
    fn try_from(c: pb::ServedCertificate) -> Result<Self, InvalidMessage> {
        Ok(Self {
            source: c.source().try_into()?,
            names: c.names,
            issuer: c.issuer,
            not_before: Timestamp(c.not_before),
            not_after: Timestamp(c.not_after),
            fingerprint: parse("fingerprint", &c.fingerprint)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        CertificatePhase, CertificateSource, CertificateSummary, Digest, ServedCertificate,
    };

    #[test]
    fn a_certificate_is_read_as_it_was_written() {
        let served = ServedCertificate {
            source: CertificateSource::Acme,
            names: vec!["shop.example".to_owned()],
            issuer: "CN=Example CA".to_owned(),
            not_before: Timestamp(1),
            not_after: Timestamp(2),
            fingerprint: Digest::of(b"leaf"),
        };
        let summary = CertificateSummary {
            domain: "shop.example".to_owned(),
            phase: CertificatePhase::Renewing,
            deployments: vec!["shop".parse().unwrap()],
            certificate: Some(served),
            next_at: Some(Timestamp(3)),
            attempts: 4,
            failures: 1,
            reason: Some("too many requests".to_owned()),
        };
        let message = pb::CertificateSummary::from(summary.clone());
        assert_eq!(CertificateSummary::try_from(message.clone()).unwrap(), summary);
        let vague = pb::CertificateSummary { phase: 0, ..message };
        assert_eq!(CertificateSummary::try_from(vague).unwrap_err().field, "phase");
    }
}
