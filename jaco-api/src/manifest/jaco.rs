//! `jaco.yaml`: a closed schema; an unknown key anywhere is an error.

use std::collections::BTreeSet;

use super::{
    compose, cron,
    fields::{Schema, Supported, accepted, planned},
    report::{Mark, Report, cut},
    values,
    yaml::{Node, Value},
};
use crate::model::{CronSchedule, DeploymentName, NodeName, TlsMode};

/// A decoded `jaco.yaml`.
#[derive(Default)]
pub(super) struct JacoDraft {
    pub(super) deployment: Option<DeploymentName>,
    /// The dotenv file that fills variables, on the client.
    pub(super) environment: Option<(String, Mark)>,
    pub(super) services: Vec<OverrideDraft>,
    pub(super) routes: Vec<RouteDraft>,
    pub(super) acme_off: bool,
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

/// A route before its service is looked up.
#[derive(Default)]
pub(super) struct RouteDraft {
    pub(super) mark: Mark,
    pub(super) domain: Option<(String, Mark)>,
    pub(super) service: Option<(String, Mark)>,
    pub(super) port: Option<u16>,
    pub(super) path: Option<String>,
    pub(super) tls: Option<(TlsMode, Mark)>,
    /// A part could not be read: what depends on it is not checked.
    pub(super) broken: bool,
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
            values::items(n, r, |item, r| {
                let mut route = RouteDraft { mark: item.mark, ..RouteDraft::default() };
                ROUTE.decode(item, &mut route, r);
                route.broken |= !matches!(item.value, Value::Map(_));
                for key in ["service", "port"] {
                    if ROUTE.lacks(item, key) {
                        r.error(item.mark, format!("the route has no `{key}`"));
                    }
                }
                j.routes.push(route);
            });
        }),
        accepted(
            "acme",
            "`off`: routes without `tls` are plain HTTP. Default `on`: certificates are obtained.",
            |j, n, r| {
                let words = [("on", false), ("off", true), ("true", false), ("false", true)];
                j.acme_off = values::one_of(n, &words, r).unwrap_or_default();
            },
        ),
        planned("acme_email", "Address that certificates are obtained with."),
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

static ROUTE: Schema<RouteDraft> = Schema {
    what: "a route",
    at: &["routes"],
    extensions: false,
    attributes: &[
        accepted("domain", "The domain. Without it, or with `*`: every domain.", |o, n, r| {
            o.domain = domain(n, r).map(|d| (d, n.mark));
            o.broken |= o.domain.is_none();
        }),
        accepted("service", "The service of the compose file. Needed.", |o, n, r| {
            o.service = values::some_text(n, r).map(|s| (s, n.mark))
        }),
        accepted("port", "Port in the container. Needed.", |o, n, r| {
            o.port = values::integer(n, 1..=65_535, r).and_then(|p| u16::try_from(p).ok());
        }),
        accepted(
            "path",
            "Prefix of the path on segment borders; default `/`. The longest prefix wins.",
            |o, n, r| {
                o.path = path(n, r);
                o.broken |= o.path.is_none();
            },
        ),
        accepted(
            "tls",
            "`auto` (a certificate is obtained), `off`, or the name of an imported certificate.",
            |o, n, r| o.tls = tls(n, r).map(|t| (t, n.mark)),
        ),
        planned("strip_path", "Takes the prefix away before the request goes on."),
        planned("redirect_to", "Answers with a redirect."),
        planned("headers", "Headers that are set."),
        planned("timeout", "Most time until the service answers."),
        planned("max_body", "Largest body of a request."),
        planned("sticky", "Keeps visitors on one replica."),
        planned("basic_auth", "Asks for a name and a password."),
        planned("rate_limit", "Most requests of one visitor."),
        planned("allow", "Addresses that may come."),
        planned("deny", "Addresses that may not come."),
        planned("compress", "Compresses answers."),
    ],
};

/// Every key of `jaco.yaml`.
pub(super) fn describe() -> Vec<Supported> {
    let services = SERVICE.describe().chain(cron::describe());
    JACO.describe().chain(services).chain(ROUTE.describe()).collect()
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

/// A domain in lower case; empty and `*` match every domain.
fn domain(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let text = values::text(node, report)?;
    let domain = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if domain.is_empty() || domain == "*" {
        return Some(String::new());
    }
    if let Some(scheme) = domain.find("://") {
        let rest = &domain[scheme + 3..];
        let host = rest.split(['/', ':']).next().unwrap_or(rest);
        let message = format!("`{}` is an address, not a domain", cut(text));
        report.error_hint(node.mark, message, format!("write `{}`", cut(host)));
        return None;
    }
    let labels = domain.strip_prefix("*.").unwrap_or(&domain);
    let fits = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    if domain.len() > 253 || !labels.split('.').all(fits) {
        return values::wrong(node, "a domain such as shop.example", report);
    }
    Some(domain)
}

/// A path prefix without a slash at its end.
fn path(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let path = values::text(node, report)?;
    let fits = path.starts_with('/')
        && path.len() <= 1024
        && !path.contains("//")
        && !path.split('/').any(|s| s == "." || s == "..")
        && path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\".contains(&b));
    if !fits {
        return values::wrong(node, "a path that begins with `/`, such as /api", report);
    }
    let trimmed = path.trim_end_matches('/');
    Some(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

fn tls(node: &Node, report: &mut Report<'_>) -> Option<TlsMode> {
    let text = values::text(node, report)?;
    let name = |t: &str| {
        (1..=253).contains(&t.len())
            && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-*".contains(&b))
    };
    match text {
        "auto" => Some(TlsMode::Auto),
        "off" | "false" => Some(TlsMode::Off),
        other if name(other) => Some(TlsMode::Imported(other.to_owned())),
        _ => values::wrong(node, "auto, off or the name of an imported certificate", report),
    }
}
