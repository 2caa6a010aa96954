//! `jaco status`: deployments, replicas, routes and certificates, once or redrawn with every change.

use std::ops::ControlFlow;

use clap::Args;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{CertificateSummary, DeploymentStatus, ReplicaStatus},
};
use jaco_client::{Client, StatusQuery, StatusView};
use serde::Serialize;

use super::{certs, routes, routes::RouteRow, rows, runs};
use crate::{
    commands::{complete, target::Target},
    error::Error,
    output::{Output, table::Table},
};

/// Arguments of `jaco status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only this deployment, or this service of it.
    #[arg(value_name = "DEPLOYMENT[/SERVICE]", add = complete::targets())]
    pub target: Option<Target>,
    /// Go on, and show every change.
    #[arg(short, long)]
    pub watch: bool,
    /// Show what the leader has committed by now, not what the answering node has applied.
    #[arg(long)]
    pub consistent: bool,
}

#[derive(Serialize)]
struct Snapshot<'a> {
    deployments: Vec<&'a DeploymentStatus>,
    replicas: Vec<&'a ReplicaStatus>,
    routes: Vec<RouteRow<'a>>,
    certificates: Vec<&'a CertificateSummary>,
    index: u64,
    stale: bool,
}

/// Asks and prints.
///
/// # Errors
/// `deployment_not_found`, `service_not_found`.
pub async fn run(args: &StatusArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let query = StatusQuery {
        deployment: args.target.as_ref().map(|t| t.deployment.clone()),
        service: args.target.as_ref().and_then(|t| t.service.clone()),
        consistent: args.consistent,
    };
    if !args.watch {
        let view = client.status(&query).await?;
        known(args, &view)?;
        if view.is_stale() {
            out.warn("the answering node hears no leader: this may be old");
        }
        return out.result(&snapshot(&view), |out| print(args, &view, out));
    }
    client
        .follow(&query, |view| {
            let drawn = draw(args, view, out);
            if drawn.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(drawn) }
        })
        .await?
}

/// A target that is named must be there.
fn known(args: &StatusArgs, view: &StatusView) -> Result<(), Error> {
    let Some(target) = &args.target else { return Ok(()) };
    let missing =
        |code, what: String| Err(jaco_client::Error::Api(ApiError::new(code, what)).into());
    let Some(deployment) = view.deployment(&target.deployment) else {
        return missing(
            ErrorCode::DeploymentNotFound,
            format!("there is no deployment {}", target.deployment),
        );
    };
    match &target.service {
        Some(service) if !deployment.services.iter().any(|s| s.name == *service) => missing(
            ErrorCode::ServiceNotFound,
            format!("deployment {} has no service {service}", target.deployment),
        ),
        _ => Ok(()),
    }
}

fn snapshot(view: &StatusView) -> Snapshot<'_> {
    Snapshot {
        deployments: view.deployments().collect(),
        replicas: view.replicas().collect(),
        routes: routes::rows(view),
        certificates: view.certificates().collect(),
        index: view.index(),
        stale: view.is_stale(),
    }
}

/// One picture of a watch: in place on a terminal, one document after the other elsewhere.
fn draw(args: &StatusArgs, view: &StatusView, out: &mut Output) -> Result<(), Error> {
    let in_place = out.terminal.is_some();
    out.item(&snapshot(view), |out| {
        if in_place {
            out.text("\u{1b}[H\u{1b}[2J")?;
        }
        if view.is_stale() {
            out.line("(no leader: this may be old)")?;
        }
        print(args, view, out)?;
        if in_place { Ok(()) } else { out.line("") }
    })
}

fn print(args: &StatusArgs, view: &StatusView, out: &mut Output) -> Result<(), Error> {
    let service = args.target.as_ref().and_then(|t| t.service.as_ref());
    let now = out.now();
    let mut sections = vec![("Deployments", rows::deployment_table(view.deployments(), now))];
    if args.target.is_some() {
        let services = view
            .deployments()
            .flat_map(|d| &d.services)
            .filter(|s| service.is_none_or(|name| s.name == *name));
        sections.push(("Services", rows::service_table(services)));
    }
    if args.target.is_some() {
        let runs = runs::rows(view.deployments(), service);
        sections.push(("Runs", runs::table(&runs, now)));
    }
    sections.push(("Replicas", rows::replica_table(rows::replicas_of(view, service), now)));
    sections.push(("Routes", routes::table(&routes::rows(view))));
    sections.push(("Certs", certs::table(view.certificates(), now)));
    if view.deployments().len() == 0 {
        out.say("No deployments. `jaco apply jaco.yaml` makes one.");
    }
    let mut first = true;
    for (title, table) in sections {
        // Empty sections say nothing, except the first one.
        if table.is_empty() && !first {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.line("")?;
        }
        section(title, table, out)?;
    }
    Ok(())
}

fn section(title: &'static str, table: Table, out: &mut Output) -> Result<(), Error> {
    let text = table.titled(title).render(out);
    out.text(&text)
}
