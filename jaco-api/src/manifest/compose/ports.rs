//! Published and exposed ports.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    error::ErrorCode,
    manifest::{
        fields::{Schema, accepted, ignored},
        report::{Mark, Report, cut},
        values::{self, PortRange, port_range},
        yaml::{Node, Value},
    },
    model::{Protocol, ProxyProtocol, PublishedPort},
};

/// One entry of `ports`.
#[derive(Default)]
pub(super) struct Entry {
    host_ip: Option<(String, Mark)>,
    published: Option<(PortRange, Mark)>,
    target: Option<PortRange>,
    protocol: Protocol,
    proxy_protocol: Option<(ProxyProtocol, Mark)>,
    broken: bool,
}

pub(super) static LONG: Schema<Entry> = Schema {
    what: "a port",
    at: &["services.*.ports"],
    extensions: true,
    attributes: &[
        accepted("target", "Port in the container, or a range.", |e, n, r| {
            e.target = range(e, n, r)
        }),
        accepted(
            "published",
            "Port every node opens, or a range; without it the cluster chooses one.",
            |e, n, r| e.published = range(e, n, r).map(|p| (p, n.mark)),
        ),
        accepted("protocol", "`tcp` (the default) or `udp`.", |e, n, r| {
            let words = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
            e.protocol = values::one_of(n, &words, r).unwrap_or_default();
        }),
        accepted(
            "host_ip",
            "`0.0.0.0` or `::`: ports are open on every node. One for the loopback address is left out with a warning.",
            |e, n, r| {
                e.host_ip = values::some_text(n, r).map(|ip| (ip, n.mark));
            },
        ),
        accepted(
            "mode",
            "`ingress`. `host` is accepted with a notice: a published port is open on every node.",
            |_, n, r| {
                if values::one_of(n, &[("ingress", false), ("host", true)], r) == Some(true) {
                    r.notice(n.mark, "mode: host", "a published port is open on every node");
                }
            },
        ),
        ignored("name", "A name for people.", "ports are known by their number"),
        ignored(
            "app_protocol",
            "What is spoken on the port.",
            "published ports carry TCP or UDP as it comes",
        ),
        accepted(
            "x-jaco-proxy-protocol",
            "`v1` or `v2`: each connection to a replica begins with a header of the PROXY protocol, which tells the visitor's address. TCP only.",
            |e, n, r| {
                let words = [("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)];
                let version = values::one_of(n, &words, r);
                e.proxy_protocol = version.map(|version| (version, n.mark));
            },
        ),
    ],
};

/// Decodes `ports`.
pub(super) fn decode(node: &Node, report: &mut Report<'_>) -> Vec<(PublishedPort, Mark)> {
    let mut out = Vec::new();
    values::items(node, report, |item, report| {
        let mut entry = Entry::default();
        match &item.value {
            Value::Map(_) => LONG.decode(item, &mut entry, report),
            _ => short(&mut entry, item, report),
        }
        if !entry.broken {
            expand(&entry, item.mark, report, &mut out);
        }
    });
    out.sort();
    out
}

impl Ord for Mark {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |mark: &Self| (mark.file, mark.line, mark.column);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Mark {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn range(entry: &mut Entry, node: &Node, report: &mut Report<'_>) -> Option<PortRange> {
    let text = values::text(node, report).unwrap_or_default();
    match port_range(text) {
        Ok(range) => Some(range),
        Err(problem) => {
            entry.broken = true;
            if !text.is_empty() {
                report.error(node.mark, problem);
            }
            None
        }
    }
}

/// `[[ip:][published]:]target[/protocol]`.
fn short(entry: &mut Entry, node: &Node, report: &mut Report<'_>) {
    let Some(text) = values::text(node, report) else {
        entry.broken = true;
        return;
    };
    let result = parse_short(entry, text, node.mark);
    if let Err(problem) = result {
        entry.broken = true;
        let hint = "write `published:target`, for example \"8080:80\"";
        report.error_hint(node.mark, problem, hint);
    }
}

fn parse_short(entry: &mut Entry, text: &str, mark: Mark) -> Result<(), String> {
    let (text, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    entry.protocol = protocol_of(protocol)?;
    let (rest, target) = text.rsplit_once(':').map_or((None, text), |(r, t)| (Some(r), t));
    entry.target = Some(port_range(target)?);
    let Some(rest) = rest else { return Ok(()) };
    let (ip, published) = rest.rsplit_once(':').map_or((None, rest), |(i, p)| (Some(i), p));
    if !published.is_empty() {
        entry.published = Some((port_range(published)?, mark));
    }
    entry.host_ip = ip.map(|ip| (ip.trim_matches(['[', ']']).to_owned(), mark));
    Ok(())
}

fn protocol_of(text: &str) -> Result<Protocol, String> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        other => Err(format!("the protocol `{}` is neither tcp nor udp", cut(other))),
    }
}

/// One published port for each port of the entry.
fn expand(
    entry: &Entry,
    mark: Mark,
    report: &mut Report<'_>,
    out: &mut Vec<(PublishedPort, Mark)>,
) {
    if let Some((ip, at)) = &entry.host_ip
        && !everywhere(ip, *at, report)
    {
        return;
    }
    let Some(target) = entry.target else {
        return report.error(mark, "the port has no `target`");
    };
    if !report.take_ports(target.len()) {
        return report.error(mark, "the ranges of this file hold too many ports");
    }
    if let (Protocol::Udp, Some((_, at))) = (entry.protocol, entry.proxy_protocol) {
        let message = "the PROXY protocol is for TCP: datagrams have no beginning";
        return report.error_hint(at, message, "leave it out, or write `protocol: tcp`");
    }
    let port = |published, target| PublishedPort {
        published,
        target,
        protocol: entry.protocol,
        proxy_protocol: entry.proxy_protocol.map(|(version, _)| version),
    };
    let Some((published, at)) = entry.published else {
        out.extend((target.first..=target.last).map(|target| (port(None, target), mark)));
        return;
    };
    if [80, 443].iter().any(|p| (published.first..=published.last).contains(p)) {
        let message = "ports 80 and 443 of the hosts belong to the ingress";
        return report.coded(ErrorCode::ReservedPort, at, message, None);
    }
    if published.len() != target.len() {
        let message = format!(
            "{} published ports cannot lead to {} ports of the container",
            published.len(),
            target.len()
        );
        return report.error_hint(at, message, "both ranges must have the same length");
    }
    let pairs = (published.first..=published.last).zip(target.first..=target.last);
    out.extend(pairs.map(|(published, target)| (port(Some(published), target), at)));
}

/// Whether a port for this address of the host is published. Every node listens on a published
/// port, so a port for the host alone is left out rather than opened to the world.
fn everywhere(ip: &str, at: Mark, report: &mut Report<'_>) -> bool {
    let hint = "services reach each other without published ports, and a route needs none";
    match ip.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => return true,
        Ok(ip) if ip.is_loopback() => {
            let message = format!("the port is not published: `{ip}` is for the host alone");
            report.warn(at, message, Some(hint.to_owned()));
        }
        Ok(ip) => {
            let message = format!("a port cannot be published on one address (`{ip}`) only");
            report.error_hint(at, message, hint);
        }
        Err(_) => report.error(at, format!("`{}` is no IP address", cut(ip))),
    }
    false
}

/// Decodes `expose` to `80/tcp`.
pub(super) fn expose(node: &Node, report: &mut Report<'_>) -> Vec<String> {
    let mut out = BTreeSet::new();
    values::items(node, report, |item, report| {
        let Some(text) = values::text(item, report) else { return };
        let (ports, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
        let parsed = port_range(ports).and_then(|p| Ok((p, protocol_of(protocol)?)));
        match parsed {
            Err(problem) => report.error(item.mark, problem),
            Ok((range, _)) if !report.take_ports(range.len()) => {
                report.error(item.mark, "the ranges of this file hold too many ports");
            }
            Ok((range, protocol)) => out.extend((range.first..=range.last).map(|p| {
                let name = if protocol == Protocol::Tcp { "tcp" } else { "udp" };
                (p, format!("{p}/{name}"))
            })),
        }
    });
    out.into_iter().map(|(_, text)| text).collect()
}
