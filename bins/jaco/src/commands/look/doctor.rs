//! `jaco doctor`: nodes prove their data planes, and say what is broken.

use clap::Args;
use jaco_api::model::{DoctorReport, Finding, FindingOutcome, NodeName};
use jaco_client::Client;

use crate::{
    commands::complete,
    error::Error,
    output::{
        Output, style,
        table::{Field, Table},
    },
};

/// Arguments of `jaco doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The node; every node unless said.
    #[arg(value_name = "NODE", add = complete::nodes())]
    pub node: Option<NodeName>,
    /// Look only, and change nothing.
    #[arg(long)]
    pub no_repair: bool,
}

/// Asks and prints.
///
/// # Errors
/// When a check failed, or nobody could be asked. A node that does not answer is a check that failed.
pub async fn run(args: &DoctorArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let reports = client.diagnose(args.node.as_ref(), !args.no_repair).await?;
    out.result(&reports, |out| print(&reports, out))?;
    let sick = || reports.iter().filter(|report| report.failures() > 0);
    let failures = sick().map(DoctorReport::failures).sum();
    if failures == 0 {
        return Ok(());
    }
    Err(Error::Unsound { failures, nodes: sick().map(|report| report.node.clone()).collect() })
}

fn print(reports: &[DoctorReport], out: &mut Output) -> Result<(), Error> {
    for (i, report) in reports.iter().enumerate() {
        if i > 0 {
            out.line("")?;
        }
        out.line(&format!("Node {}", report.node))?;
        let mut table = Table::new(&["CHECK", "SUBJECT", "OUTCOME"]);
        for Finding { check, subject, outcome } in &report.findings {
            let word = Field::state(word(outcome).to_owned());
            table.row([check.as_str().into(), subject.as_str().into(), word]);
        }
        let text = table.render(out);
        out.text(&text)?;
        for finding in &report.findings {
            explain(finding, out)?;
        }
    }
    Ok(())
}

fn word(outcome: &FindingOutcome) -> &'static str {
    match outcome {
        FindingOutcome::Ok => "OK",
        FindingOutcome::Repaired { .. } => "REPAIRED",
        FindingOutcome::Failed { .. } => "FAILED",
        FindingOutcome::Skipped { .. } => "SKIPPED",
    }
}

/// What is behind a finding that is not simply good.
fn explain(finding: &Finding, out: &mut Output) -> Result<(), Error> {
    let (color, texts) = match &finding.outcome {
        FindingOutcome::Ok => return Ok(()),
        FindingOutcome::Repaired { cause } => (style::WARNING, vec![("was: ", cause)]),
        FindingOutcome::Failed { cause, fix } => {
            (style::ERROR, vec![("cause: ", cause), ("fix:   ", fix)])
        }
        FindingOutcome::Skipped { why } => (style::HINT, vec![("why: ", why)]),
    };
    let outcome = style::paint(color, word(&finding.outcome), out.color);
    out.line(format!("{outcome} {} {}", finding.check, finding.subject).trim_end())?;
    for (name, text) in texts {
        // What another program said must not move the cursor.
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        out.line(&format!("  {name}{text}"))?;
    }
    Ok(())
}
