//! Certificates of domains: `jaco get certs`, `jaco cert list`, and their rows elsewhere.

use jaco_api::model::{CertificatePhase, CertificateSummary, Timestamp};
use jaco_client::Client;

use crate::{
    error::Error,
    output::{
        Output,
        style::{span, upper},
        table::{Field, Table},
    },
};

/// Asks and prints.
///
/// # Errors
/// When no node answers.
pub async fn run(client: &Client, out: &mut Output) -> Result<(), Error> {
    let certs = client.certs(None).await?;
    out.result(&certs, |out| {
        let table = table(&certs, out.now()).render(out);
        out.text(&table)
    })
}

/// A table of certificates: every one that is not simply there has a reason.
pub fn table<'a>(rows: impl IntoIterator<Item = &'a CertificateSummary>, now: Timestamp) -> Table {
    let mut table =
        Table::new(&["DOMAIN", "PHASE", "SOURCE", "EXPIRES", "NEXT", "DEPLOYMENTS", "REASON"]);
    for c in rows {
        let deployments: Vec<_> = c.deployments.iter().map(ToString::to_string).collect();
        table.row([
            c.domain.as_str().into(),
            Field::state(upper(&c.phase)),
            c.certificate.as_ref().map(|c| upper(&c.source)).unwrap_or_default().into(),
            c.certificate.as_ref().map(|c| c.not_after.to_string()).unwrap_or_default().into(),
            next(c, now).into(),
            deployments.join(",").into(),
            reason(c, now).into(),
        ]);
    }
    table
}

/// When something is done about it again, as seen from now.
fn next(c: &CertificateSummary, now: Timestamp) -> String {
    match c.next_at {
        None => String::new(),
        Some(at) if at <= now => "now".to_owned(),
        Some(at) => format!("in {}", span(at.since(now))),
    }
}

/// Why a certificate is not simply there, or not for long.
#[must_use]
pub fn reason(c: &CertificateSummary, now: Timestamp) -> String {
    let over = c.certificate.as_ref().is_some_and(|served| served.not_after <= now);
    match (&c.reason, c.phase) {
        (Some(reason), _) => reason.clone(),
        (None, CertificatePhase::Imported) if over => {
            format!("it is over: `jaco cert import {}` puts another one in its place", c.domain)
        }
        (None, _) if over => "it is over".to_owned(),
        (None, _) => String::new(),
    }
}
