//! Names, rights and limits of a container on its host.

use std::{collections::BTreeMap, net::IpAddr};

use super::{named, toplevel::texts};
use crate::{
    manifest::{
        fields::{Schema, accepted},
        privilege::is_dangerous,
        report::{Mark, Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::{Logging, Ulimit},
};

pub(super) static LOGGING: Schema<Logging> = Schema {
    what: "the logging of a service",
    at: &["services.*.logging"],
    extensions: true,
    attributes: &[
        accepted("driver", "Log driver of the engine, as `local`.", |l, n, r| {
            l.driver = values::some_text(n, r).unwrap_or_default()
        }),
        accepted("options", "Options of the driver, as `max-size: 10m`.", |l, n, r| {
            l.options = texts(n, r)
        }),
    ],
};

pub(super) static ULIMIT: Schema<(Option<i64>, Option<i64>)> = Schema {
    what: "a limit",
    at: &["services.*.ulimits.*"],
    extensions: true,
    attributes: &[
        accepted("soft", "Soft limit; -1 is unlimited.", |u, n, r| {
            u.0 = values::integer(n, -1..=i64::MAX, r)
        }),
        accepted("hard", "Hard limit; -1 is unlimited.", |u, n, r| {
            u.1 = values::integer(n, -1..=i64::MAX, r)
        }),
    ],
};

/// Decodes `logging`.
pub(super) fn logging(node: &Node, report: &mut Report<'_>) -> Option<Logging> {
    let mut logging = Logging { driver: String::new(), options: BTreeMap::new() };
    LOGGING.decode(node, &mut logging, report);
    (!logging.driver.is_empty() || !logging.options.is_empty()).then_some(logging)
}

/// Decodes `ulimits`.
pub(super) fn ulimits(node: &Node, report: &mut Report<'_>) -> BTreeMap<String, Ulimit> {
    let mut out = BTreeMap::new();
    named(node, report, |key, mark, value, report| {
        let (soft, hard) = if let Value::Map(_) = value.value {
            let mut limit = (None, None);
            ULIMIT.decode(value, &mut limit, report);
            let (Some(soft), Some(hard)) = limit else {
                if value.get("soft").is_none() || value.get("hard").is_none() {
                    report.error(mark, "a limit needs `soft` and `hard`");
                }
                return;
            };
            (soft, hard)
        } else {
            let Some(both) = values::integer(value, -1..=i64::MAX, report) else { return };
            (both, both)
        };
        if hard >= 0 && (soft < 0 || soft > hard) {
            return report.error(mark, "the soft limit is above the hard limit");
        }
        out.insert(key.to_owned(), Ulimit { soft, hard });
    });
    out
}

/// Decodes `extra_hosts`: `host=address` (or `host:address`) in a list, or a mapping.
pub(super) fn extra_hosts(node: &Node, report: &mut Report<'_>) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |host: &str, address: &str, at: &Node, report: &mut Report<'_>| {
        let address = address.trim().trim_start_matches('[').trim_end_matches(']');
        if address != "host-gateway" && address.parse::<IpAddr>().is_err() {
            return report.error(at.mark, format!("`{}` is no address", cut(address)));
        }
        out.entry(host.to_owned()).or_default().push(address.to_owned());
    };
    if let Value::List(_) = node.value {
        values::items(node, report, |item, report| {
            let Some(text) = values::text(item, report) else { return };
            match text.split_once('=').or_else(|| text.split_once(':')) {
                Some((host, address)) if !host.is_empty() => add(host, address, item, report),
                _ => drop(values::wrong::<()>(item, "of the form host=address", report)),
            }
        });
    } else {
        named(node, report, |host, _, value, report| {
            for address in values::string_or_list(value, report).unwrap_or_default() {
                add(host, &address, value, report);
            }
        });
    }
    out
}

/// Decodes `dns`.
pub(super) fn dns(node: &Node, report: &mut Report<'_>) -> Vec<IpAddr> {
    let mut out = Vec::new();
    let mut one = |item: &Node, report: &mut Report<'_>| {
        let Some(text) = values::text(item, report) else { return };
        match text.parse() {
            Ok(address) => out.push(address),
            Err(_) => report.error(item.mark, format!("`{}` is no IP address", cut(text))),
        }
    };
    match node.value {
        Value::List(_) => values::items(node, report, one),
        _ => one(node, report),
    }
    out
}

/// A host or domain name.
pub(super) fn name(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let name = values::some_text(node, report)?;
    let fits = name.len() <= 253
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        && !name.starts_with(['-', '.']);
    if fits { Some(name) } else { values::wrong(node, "a host name", report) }
}

/// Capabilities in upper case and without `CAP_`, as a set.
pub(super) fn capabilities(node: &Node, report: &mut Report<'_>) -> Vec<String> {
    let names = values::string_list(node, report).unwrap_or_default();
    let mut out: Vec<String> = names.iter().map(|name| capability(name)).collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// The first capability of a list that leads out of a container, or the list.
pub(super) fn dangerous(node: &Node) -> Mark {
    let Value::List(items) = &node.value else { return node.mark };
    let leads_out = |n: &&Node| n.as_text().is_some_and(|t| is_dangerous(&capability(t)));
    items.iter().find(leads_out).map_or(node.mark, |item| item.mark)
}

fn capability(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    upper.strip_prefix("CAP_").map(str::to_owned).unwrap_or(upper)
}
