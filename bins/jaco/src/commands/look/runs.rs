//! `jaco get schedules` and `jaco get runs`: services that run at times.

use std::collections::BTreeSet;

use clap::Args;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{
        Concurrency, DeploymentName, DeploymentStatus, RunState, RunStatus, ServiceName, Timestamp,
    },
};
use jaco_client::{Client, StatusQuery, StatusView};
use serde::Serialize;

use crate::{
    commands::{complete, target::Target},
    error::Error,
    output::{
        Output,
        style::{span, upper},
        table::{Field, Table},
    },
};

/// Arguments of both.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Only this deployment's, or those of this service of it.
    #[arg(value_name = "DEPLOYMENT[/SERVICE]", add = complete::targets())]
    pub target: Option<Target>,
}

/// A run with what it is a run of.
#[derive(Debug, Serialize)]
pub struct RunRow<'a> {
    /// The deployment.
    pub deployment: &'a DeploymentName,
    /// The service.
    pub service: &'a ServiceName,
    /// The run.
    #[serde(flatten)]
    pub run: &'a RunStatus,
}

/// A schedule with what it is the schedule of.
#[derive(Debug, Serialize)]
pub struct ScheduleRow<'a> {
    /// The deployment.
    pub deployment: &'a DeploymentName,
    /// The service.
    pub service: &'a ServiceName,
    /// The cron expression.
    pub expression: &'a str,
    /// The time zone it is meant in.
    pub timezone: &'a str,
    /// What happens at a tick while a run has not ended.
    pub concurrency: Concurrency,
    /// The next tick; absent while it is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// The newest run that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<&'a RunStatus>,
}

/// The runs of these deployments, the newest of each service first.
pub fn rows<'a>(
    deployments: impl Iterator<Item = &'a DeploymentStatus>,
    service: Option<&ServiceName>,
) -> Vec<RunRow<'a>> {
    let mut rows = Vec::new();
    for d in deployments {
        for s in d.services.iter().filter(|s| service.is_none_or(|name| s.name == *name)) {
            let runs = s.cron.iter().flat_map(|cron| &cron.runs);
            rows.extend(runs.map(|run| RunRow { deployment: &d.name, service: &s.name, run }));
        }
    }
    rows
}

/// A table of runs.
#[must_use]
pub fn table(rows: &[RunRow<'_>], now: Timestamp) -> Table {
    let mut table =
        Table::new(&["SERVICE", "TICK", "STATE", "NODE", "TOOK", "EXIT", "REPLICA", "REASON"]);
    for RunRow { deployment, service, run } in rows {
        table.row([
            format!("{deployment}/{service}").into(),
            second(run.tick).into(),
            Field::state(upper(&run.state)),
            run.node.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            took(run, now).into(),
            run.exit_code.map(|code| code.to_string()).unwrap_or_default().into(),
            run.replica.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            run.reason.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

/// How long a run has taken, or takes so far.
fn took(run: &RunStatus, now: Timestamp) -> String {
    let until = match run.state {
        RunState::Running => Some(now),
        _ => run.ended_at,
    };
    match (run.started_at, until) {
        (Some(from), Some(until)) => span(until.since(from)),
        _ => String::new(),
    }
}

/// A tick, which is a whole second.
fn second(time: Timestamp) -> String {
    time.to_string().replace(".000Z", "Z")
}

/// Runs `jaco get runs`.
///
/// # Errors
/// `deployment_not_found`, `service_not_found`.
pub async fn runs(args: &RunsArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let view = view(args, client).await?;
    let rows = rows(view.deployments(), args.service());
    out.result(&rows, |out| {
        let text = table(&rows, out.now()).render(out);
        out.text(&text)
    })
}

/// Runs `jaco get schedules`.
///
/// # Errors
/// `deployment_not_found`, `service_not_found`.
pub async fn schedules(args: &RunsArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let view = view(args, client).await?;
    let service = args.service();
    let mut rows = Vec::new();
    for d in view.deployments() {
        for s in d.services.iter().filter(|s| service.is_none_or(|name| s.name == *name)) {
            rows.extend(s.cron.as_ref().map(|cron| ScheduleRow {
                deployment: &d.name,
                service: &s.name,
                expression: &cron.expression,
                timezone: &cron.timezone,
                concurrency: cron.concurrency,
                next: cron.next,
                last: cron.runs.first(),
            }));
        }
    }
    out.result(&rows, |out| {
        let text = schedule_table(&rows).render(out);
        out.text(&text)
    })
}

fn schedule_table(rows: &[ScheduleRow<'_>]) -> Table {
    let mut table =
        Table::new(&["SERVICE", "SCHEDULE", "TIMEZONE", "CONCURRENCY", "NEXT", "LAST", "STATE"]);
    for row in rows {
        table.row([
            format!("{}/{}", row.deployment, row.service).into(),
            row.expression.into(),
            row.timezone.into(),
            upper(&row.concurrency).into(),
            row.next.map_or_else(|| "SUSPENDED".to_owned(), second).into(),
            row.last.map(|run| second(run.tick)).unwrap_or_default().into(),
            row.last.map_or_else(|| "".into(), |run| Field::state(upper(&run.state))),
        ]);
    }
    table
}

impl RunsArgs {
    fn service(&self) -> Option<&ServiceName> {
        self.target.as_ref().and_then(|t| t.service.as_ref())
    }
}

/// The deployments that are asked for; a target that is named must be there.
async fn view(args: &RunsArgs, client: &Client) -> Result<StatusView, Error> {
    let deployment = args.target.as_ref().map(|t| t.deployment.clone());
    let view = client.status(&StatusQuery { deployment, ..StatusQuery::default() }).await?;
    let Some(Target { deployment, service }) = &args.target else { return Ok(view) };
    let missing =
        |code, what: String| Err(jaco_client::Error::Api(ApiError::new(code, what)).into());
    let Some(found) = view.deployment(deployment) else {
        let what = format!("there is no deployment {deployment}");
        return missing(ErrorCode::DeploymentNotFound, what);
    };
    let known: BTreeSet<_> = found.services.iter().map(|s| &s.name).collect();
    match service {
        Some(service) if !known.contains(service) => {
            let what = format!("deployment {deployment} has no service {service}");
            missing(ErrorCode::ServiceNotFound, what)
        }
        _ => Ok(view),
    }
}
