//! Routes: `jaco get routes`, and `jaco get route`, which asks every node what it really serves.

use jaco_api::model::{
    CertificatePhase, DeploymentName, Hidden, NodeRoutes, RouteDetail, RouteMatch, RouteSpec,
    ServedDomain, TlsMode,
};
use jaco_client::{Client, StatusQuery, StatusView};
use serde::Serialize;

use super::{certs, route_options};
use crate::{
    error::Error,
    output::{
        Output,
        style::upper,
        table::{Field, Table},
    },
};

/// A route with the deployment it belongs to, and who answers.
#[derive(Debug, Serialize)]
pub struct RouteRow<'a> {
    /// The deployment.
    pub deployment: &'a DeploymentName,
    /// The route.
    #[serde(flatten)]
    pub route: &'a RouteSpec<Hidden>,
    /// How many replicas of its service do their work.
    pub healthy: u32,
    /// How many it is to have.
    pub backends: u32,
    /// How far the certificate is that it is secured with; absent when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificatePhase>,
}

/// Routes of every deployment of the view.
#[must_use]
pub fn rows(view: &StatusView) -> Vec<RouteRow<'_>> {
    let of_deployment = view.deployments().flat_map(|d| {
        d.routes.iter().map(|route| {
            let service = d.services.iter().find(|s| s.name == route.service);
            let certificate = match &route.tls {
                TlsMode::Auto => view.certificate(&route.domain),
                TlsMode::Imported(name) => view.certificate(name),
                TlsMode::Off => None,
            };
            RouteRow {
                deployment: &d.name,
                route,
                healthy: service.map_or(0, |s| s.running),
                backends: service.map_or(0, |s| s.desired),
                certificate: certificate.map(|c| c.phase),
            }
        })
    });
    of_deployment.collect()
}

/// A table of routes.
#[must_use]
pub fn table(rows: &[RouteRow<'_>]) -> Table {
    let mut table =
        Table::new(&["DOMAIN", "PATH", "SERVICE", "TLS", "BACKENDS", "CERT", "OPTIONS"]);
    for row in rows {
        let route = row.route;
        table.row([
            shown(&route.domain).into(),
            route.path.as_str().into(),
            leads_to(row.deployment, route).into(),
            tls(&route.tls).into(),
            format!("{}/{}", row.healthy, row.backends).into(),
            Field::state(row.certificate.map_or_else(|| "-".to_owned(), |phase| upper(&phase))),
            route_options::told(&route.options).into(),
        ]);
    }
    table
}

/// A domain as people write it.
fn shown(domain: &str) -> &str {
    if domain.is_empty() { "*" } else { domain }
}

fn leads_to(deployment: &DeploymentName, route: &RouteSpec<Hidden>) -> String {
    format!("{deployment}/{}:{}", route.service, route.port)
}

fn tls(mode: &TlsMode) -> String {
    match mode {
        TlsMode::Auto => "AUTO".to_owned(),
        TlsMode::Off => "OFF".to_owned(),
        TlsMode::Imported(name) => format!("IMPORTED {name}"),
    }
}

/// Every route.
///
/// # Errors
/// When no node answers.
pub async fn all(client: &Client, out: &mut Output) -> Result<(), Error> {
    let view = client.status(&StatusQuery::default()).await?;
    let rows = rows(&view);
    out.result(&rows, |out| {
        let table = table(&rows).render(out);
        out.text(&table)
    })
}

/// The routes of one domain, and what each node serves for it.
///
/// # Errors
/// `route_not_found`.
pub async fn one(domain: &str, client: &Client, out: &mut Output) -> Result<(), Error> {
    let asked = if domain == "*" { "" } else { domain };
    let detail = client.route(asked).await?;
    out.result(&detail, |out| print(&detail, out))
}

fn print(detail: &RouteDetail, out: &mut Output) -> Result<(), Error> {
    let (stored, now) = (&detail.stored, out.now());
    let mut pair = |name: &str, value: &str| match value {
        "" => Ok(()),
        _ => out.line(&format!("{:<14}{value}", format!("{name}:"))),
    };
    pair("Domain", shown(&stored.domain))?;
    match &stored.certificate {
        None => pair("Certificate", "none")?,
        Some(row) => {
            pair("Certificate", &upper(&row.phase))?;
            pair("Reason", &certs::reason(row, now))?;
            if let Some(served) = &row.certificate {
                pair("Issuer", &served.issuer)?;
                pair("Expires", &served.not_after.to_string())?;
                pair("Fingerprint", &served.fingerprint.to_string())?;
            }
        }
    }
    for (title, table) in [
        ("Routes", stored_table(detail)),
        ("Nodes", nodes(&detail.nodes)),
        ("Upstreams", upstreams(&detail.nodes)),
    ] {
        if !table.is_empty() {
            out.line("")?;
            let text = table.titled(title).render(out);
            out.text(&text)?;
        }
    }
    out.line("")?;
    out.line("# specification")?;
    out.yaml(&stored.routes)
}

fn stored_table(detail: &RouteDetail) -> Table {
    let mut table = Table::new(&["PATH", "SERVICE", "TLS", "OPTIONS"]);
    for stored in &detail.stored.routes {
        table.row([
            stored.route.path.as_str().into(),
            leads_to(&stored.deployment, &stored.route).into(),
            tls(&stored.route.tls).into(),
            route_options::told(&stored.route.options).into(),
        ]);
    }
    table
}

/// What each node says, and how it compares with what is stored.
fn nodes(nodes: &[NodeRoutes]) -> Table {
    let mut table =
        Table::new(&["NODE", "STATE", "HTTP", "HTTPS", "CERTIFICATE", "IN FLIGHT", "DIFFERS"]);
    for node in nodes {
        let served = node.served.as_ref();
        let in_flight = |served: &ServedDomain| {
            served.routes.iter().map(|route| route.in_flight).sum::<u64>().to_string()
        };
        let leaf = served.and_then(|served| served.leaf).map(|leaf| leaf.short());
        let state = match node.matches {
            RouteMatch::NotReached => "NOT REACHED".to_owned(),
            other => upper(&other),
        };
        table.row([
            node.node.as_str().into(),
            Field::state(state),
            served.map(|served| listener(served, "http")).unwrap_or_default().into(),
            served.map(|served| listener(served, "https")).unwrap_or_default().into(),
            leaf.unwrap_or_default().into(),
            served.map(in_flight).unwrap_or_default().into(),
            node.differences.join("; ").into(),
        ]);
    }
    table
}

fn listener(served: &ServedDomain, name: &str) -> &'static str {
    match served.listeners.iter().find(|listener| listener.name == name) {
        Some(listener) if listener.closed.is_none() => "open",
        Some(_) => "closed",
        None => "off",
    }
}

/// The replicas that each node sends visitors to.
fn upstreams(nodes: &[NodeRoutes]) -> Table {
    let mut table = Table::new(&["NODE", "PATH", "REPLICA", "ON", "ADDRESS", "STATE", "IN FLIGHT"]);
    for node in nodes {
        for route in node.served.iter().flat_map(|served| &served.routes) {
            for upstream in &route.upstreams {
                let state = match (upstream.draining, upstream.passed_over) {
                    (true, _) => "DRAINING",
                    (false, true) => "PASSED OVER",
                    (false, false) => "ACTIVE",
                };
                table.row([
                    node.node.as_str().into(),
                    route.path.as_str().into(),
                    upstream.replica.to_string().into(),
                    upstream.node.as_str().into(),
                    upstream.address.to_string().into(),
                    Field::state(state.to_owned()),
                    upstream.in_flight.to_string().into(),
                ]);
            }
        }
    }
    table
}
