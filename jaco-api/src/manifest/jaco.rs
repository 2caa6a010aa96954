//! `jaco.yaml`: a closed schema; an unknown key anywhere is an error.

use std::collections::BTreeSet;

use super::{
    compose, cron,
    fields::{Schema, Supported, accepted, planned},
    report::{Mark, Report, cut},
    route::{self, RouteDraft},
    values,
    yaml::Node,
};
use crate::model::{CronSchedule, DeploymentName, NodeName};

/// A decoded `jaco.yaml`.
#[derive(Default)]
pub(super) struct JacoDraft {
    pub(super) deployment: Option<DeploymentName>,
    /// The dotenv file that fills variables, on the client.
    pub(super) environment: Option<(String, Mark)>,
    pub(super) services: Vec<OverrideDraft>,
    pub(super) routes: Vec<RouteDraft>,
    pub(super) acme_off: bool,
    /// Address that certificates are obtained with.
    pub(super) acme_email: Option<String>,
}

/// What `jaco.yaml` says about a service.
#[derive(Default)]
pub(super) struct OverrideDraft {
    pub(super) name: Option<(String, Mark)>,
    pub(super) replicas: Option<(u32, Mark)>,
    pub(super) placement: Option<(Kind, Mark)>,
    pub(super) hosts: Option<(Vec<NodeName>, Mark)>,
    pub(super) constraints: Option<Vec<String>>,
    pub(super) networks: Option<Vec<(String, Mark)>>,
    pub(super) cron: Option<(CronSchedule, Mark)>,
}

/// A kind of placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Spread,
    Pack,
    Hosts,
    Global,
}

static JACO: Schema<JacoDraft> = Schema {
    what: "jaco.yaml",
    at: &[""],
    extensions: false,
    attributes: &[
        accepted(
            "deployment",
            "Name of the deployment, unique in the cluster: a DNS label of at most 40 characters. Needed.",
            |j, n, r| {
                let Some(text) = values::text(n, r) else { return };
                match DeploymentName::new(text) {
                    Ok(name) => j.deployment = Some(name),
                    Err(error) => r.error(n.mark, error.to_string()),
                }
            },
        ),
        accepted(
            "environment",
            "Dotenv file, relative to jaco.yaml, whose variables fill `${VAR}` in the compose file. The process environment never does.",
            |j, n, r| {
                j.environment = values::some_text(n, r).map(|p| (p, n.mark));
            },
        ),
        accepted("services", "What compose cannot say of services.", |j, n, r| {
            values::items(n, r, |item, r| {
                let mut service = OverrideDraft::default();
                SERVICE.decode(item, &mut service, r);
                if service.name.is_none() && SERVICE.lacks(item, "name") {
                    r.error(item.mark, "the service has no `name`");
                }
                j.services.push(service);
            });
        }),
        accepted("routes", "How visitors reach services.", |j, n, r| {
            values::items(n, r, |item, r| j.routes.push(route::route(item, r)));
        }),
        accepted(
            "acme",
            "`off`: routes without `tls` are plain HTTP. Default `on`: certificates are obtained.",
            |j, n, r| {
                let words = [("on", false), ("off", true), ("true", false), ("false", true)];
                j.acme_off = values::one_of(n, &words, r).unwrap_or_default();
            },
        ),
        accepted(
            "acme_email",
            "Address that a CA is told for the certificates of this deployment; default: the cluster's.",
            |j, n, r| j.acme_email = email(n, r),
        ),
    ],
};

static SERVICE: Schema<OverrideDraft> = Schema {
    what: "a service of jaco.yaml",
    at: &["services"],
    extensions: false,
    attributes: &[
        accepted(
            "name",
            "The service of the compose file. Naming one of a profile also switches it on. Needed.",
            |s, n, r| s.name = values::some_text(n, r).map(|t| (t, n.mark)),
        ),
        accepted(
            "replicas",
            "How many; wins over `deploy.replicas`. 0 keeps everything and runs nothing.",
            |s, n, r| s.replicas = compose::replicas(n, r),
        ),
        accepted(
            "placement",
            "`spread` evenly, `pack` on few hosts, only on `hosts`, or `global`: one on every eligible node.",
            |s, n, r| {
                let words = [
                    ("spread", Kind::Spread),
                    ("pack", Kind::Pack),
                    ("hosts", Kind::Hosts),
                    ("global", Kind::Global),
                ];
                s.placement = values::one_of(n, &words, r).map(|p| (p, n.mark));
            },
        ),
        accepted("hosts", "Names of nodes, for `placement: hosts`.", |s, n, r| {
            s.hosts = Some((hosts(n, r), n.mark))
        }),
        accepted(
            "constraints",
            "Replace `deploy.placement.constraints` of the compose file.",
            |s, n, r| s.constraints = Some(compose::constraints(n, r)),
        ),
        accepted("networks", "Replaces the networks of the compose file.", |s, n, r| {
            let mut out: Vec<(String, Mark)> = Vec::new();
            let mut names = BTreeSet::new();
            values::items(n, r, |item, r| {
                let Some(name) = values::text(item, r) else { return };
                if !names.insert(name.to_owned()) {
                    return r.error(item.mark, format!("`{}` is there twice", cut(name)));
                }
                out.push((name.to_owned(), item.mark));
            });
            s.networks = Some(out);
        }),
        accepted(
            "schedule",
            "When it runs, as a job: a cron expression such as `0 3 * * *`, or `{cron, timezone, concurrency, history, starting_deadline}`.",
            |s, n, r| s.cron = cron::schedule(n, r).map(|c| (c, n.mark)),
        ),
        planned("autoscale", "Between which numbers of replicas, and by what."),
    ],
};

/// Every key of `jaco.yaml`.
pub(super) fn describe() -> Vec<Supported> {
    let services = SERVICE.describe().chain(cron::describe());
    JACO.describe().chain(services).chain(route::describe()).collect()
}

/// Decodes `jaco.yaml` and reports every problem of it.
pub(super) fn decode(root: &Node, report: &mut Report<'_>) -> JacoDraft {
    let mut draft = JacoDraft::default();
    if root.is_null() {
        let hint = "it needs at least `deployment: <name>`";
        report.error_hint(root.mark, "jaco.yaml is empty", hint);
        return draft;
    }
    JACO.decode(root, &mut draft, report);
    if JACO.lacks(root, "deployment") {
        let hint = "add `deployment: <name>`";
        report.error_hint(root.mark, "jaco.yaml has no `deployment`", hint);
    }
    draft
}

fn hosts(node: &Node, report: &mut Report<'_>) -> Vec<NodeName> {
    let mut out: Vec<NodeName> = Vec::new();
    let mut names = BTreeSet::new();
    values::items(node, report, |item, report| {
        let Some(text) = values::text(item, report) else { return };
        match NodeName::new(text) {
            Ok(name) if !names.insert(name.clone()) => {
                report.error(item.mark, format!("the host `{name}` is there twice"));
            }
            Ok(name) => out.push(name),
            Err(error) => report.error(item.mark, error.to_string()),
        }
    });
    out
}

/// An address of mail, without what says that it is one.
fn email(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let text = values::text(node, report)?;
    if let Some(address) = text.strip_prefix("mailto:") {
        let message = format!("{} is the address alone", report.subject());
        report.error_hint(node.mark, message, format!("write `{}`", cut(address)));
        return None;
    }
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let mailbox = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let fits = |(name, domain): (&str, &str)| {
        (1..=64).contains(&name.len())
            && name.bytes().all(mailbox)
            && name.split('.').all(|part| !part.is_empty())
            && domain.contains('.')
            && domain.split('.').all(label)
    };
    if text.len() > 254 || !text.split_once('@').is_some_and(fits) {
        return values::wrong(node, "an address such as ops@shop.example", report);
    }
    Some(text.to_owned())
}
