//! What a node finds when it proves its data plane.

use super::{InvalidMessage, parse};
use crate::{
    model::{self, FindingOutcome},
    pb,
};

impl From<model::Finding> for pb::Finding {
    fn from(finding: model::Finding) -> Self {
        let outcome: pb::FindingOutcome;
        let (mut cause, mut fix) = (String::new(), String::new());
        match finding.outcome {
            FindingOutcome::Ok => outcome = pb::FindingOutcome::Ok,
            FindingOutcome::Repaired { cause: was } => {
                outcome = pb::FindingOutcome::Repaired;
                cause = was;
            }
            FindingOutcome::Failed { cause: is, fix: todo } => {
                outcome = pb::FindingOutcome::Failed;
                (cause, fix) = (is, todo);
            }
            FindingOutcome::Skipped { why } => {
                outcome = pb::FindingOutcome::Skipped;
                cause = why;
            }
        }
        Self {
            check: finding.check.to_string(),
            subject: finding.subject,
            outcome: outcome.into(),
            cause,
            fix,
        }
    }
}

impl TryFrom<pb::Finding> for model::Finding {
    type Error = InvalidMessage;
    fn try_from(finding: pb::Finding) -> Result<Self, InvalidMessage> {
        let outcome = finding.outcome();
        let (cause, fix) = (finding.cause, finding.fix);
        Ok(Self {
            check: parse("check", &finding.check)?,
            subject: finding.subject,
            outcome: match outcome {
                pb::FindingOutcome::Ok => FindingOutcome::Ok,
                pb::FindingOutcome::Repaired => FindingOutcome::Repaired { cause },
                pb::FindingOutcome::Failed => FindingOutcome::Failed { cause, fix },
                pb::FindingOutcome::Skipped => FindingOutcome::Skipped { why: cause },
                pb::FindingOutcome::Unspecified => {
                    return Err(InvalidMessage::new("outcome", "is not specified"));
                }
            },
        })
    }
}

impl From<model::DoctorReport> for pb::DoctorReport {
    fn from(report: model::DoctorReport) -> Self {
        Self {
            node: report.node.to_string(),
            made_at: report.made_at.0,
            findings: report.findings.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::DoctorReport> for model::DoctorReport {
    type Error = InvalidMessage;
    fn try_from(report: pb::DoctorReport) -> Result<Self, InvalidMessage> {
        Ok(Self {
            node: parse("node", &report.node)?,
            made_at: model::Timestamp(report.made_at),
            findings: report
                .findings
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Check, DoctorReport, Finding, Timestamp};

    #[test]
    fn every_outcome_round_trips_and_none_is_guessed() {
        let mut repaired = Finding::ok(Check::Rules, "");
        repaired.outcome = FindingOutcome::Repaired { cause: "a rule was missing".into() };
        let findings = vec![
            Finding::ok(Check::Bridge, "shop/default"),
            repaired,
            Finding::failed(Check::Mesh, "node-b", "no handshake", "open the port"),
            Finding::skipped(Check::Probe, "node-b", "there is no mesh"),
        ];
        let report = DoctorReport::new("node-a".parse().unwrap(), Timestamp(9), findings);
        let message = pb::DoctorReport::from(report.clone());
        assert_eq!(DoctorReport::try_from(message.clone()).unwrap(), report);
        let mut vague = message.clone();
        vague.findings[0].outcome = 0;
        assert_eq!(DoctorReport::try_from(vague).unwrap_err().field, "outcome");
        let mut unknown = message;
        unknown.findings[0].check = "weather".into();
        assert_eq!(DoctorReport::try_from(unknown).unwrap_err().field, "check");
    }
}
