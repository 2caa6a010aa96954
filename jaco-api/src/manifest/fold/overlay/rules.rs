//! How two values of each attribute become one: the table of the specification's page on merging.

use crate::manifest::yaml::{Node, Value};

/// How two values of an attribute become one.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Mappings key by key, lists one after the other; anything else is replaced.
    Usual,
    /// The one that lies over it counts.
    Replace,
    /// As usual, with rules of their own for these keys.
    Keys(&'static [(&'static str, Rule)]),
    /// As usual, with this rule for every key.
    Each(&'static Rule),
    /// Mappings key by key; anything else is replaced.
    Either,
    /// As usual when both name the same driver, or one names none; else it is replaced.
    Logging,
    /// A mapping, or a list of `KEY=value`: by key.
    Pairs,
    /// A mapping, or a list of its keys: by key.
    Names,
    /// The same, of dependencies.
    Dependencies,
    /// One value or a list: one after the other, but of items with the same key only the last.
    Unique(fn(&Node) -> Option<String>),
}

/// The rule for a key.
pub(super) fn of(keys: &[(&str, Rule)], key: &str) -> Rule {
    keys.iter().find(|(name, _)| *name == key).map_or(Rule::Usual, |(_, rule)| *rule)
}

/// What is not here is merged as usual.
pub(super) const SERVICE: &[(&str, Rule)] = &[
    ("annotations", Rule::Pairs),
    ("build", Rule::Replace),
    ("cap_add", Rule::Unique(text)),
    ("cap_drop", Rule::Unique(text)),
    ("command", Rule::Replace),
    ("configs", Rule::Unique(file)),
    ("depends_on", Rule::Dependencies),
    ("deploy", Rule::Keys(&[("labels", Rule::Pairs)])),
    ("device_cgroup_rules", Rule::Unique(text)),
    ("devices", Rule::Unique(target)),
    ("dns", Rule::Unique(text)),
    ("dns_opt", Rule::Unique(text)),
    ("dns_search", Rule::Unique(text)),
    ("entrypoint", Rule::Replace),
    ("env_file", Rule::Unique(none)),
    ("environment", Rule::Pairs),
    ("expose", Rule::Unique(text)),
    ("external_links", Rule::Unique(text)),
    ("extra_hosts", Rule::Unique(text)),
    ("group_add", Rule::Unique(text)),
    ("healthcheck", Rule::Keys(&[("test", Rule::Replace)])),
    ("label_file", Rule::Unique(none)),
    ("labels", Rule::Pairs),
    ("links", Rule::Unique(text)),
    ("logging", Rule::Logging),
    ("networks", Rule::Names),
    ("ports", Rule::Unique(port)),
    ("profiles", Rule::Unique(text)),
    ("secrets", Rule::Unique(file)),
    ("security_opt", Rule::Unique(text)),
    ("sysctls", Rule::Pairs),
    ("tmpfs", Rule::Unique(path)),
    ("ulimits", Rule::Each(&Rule::Either)),
    ("volumes", Rule::Unique(target)),
    ("volumes_from", Rule::Unique(text)),
];

const NETWORK: &[(&str, Rule)] =
    &[("driver_opts", Rule::Usual), ("ipam", Rule::Replace), ("labels", Rule::Pairs)];
const VOLUME: &[(&str, Rule)] = &[("labels", Rule::Pairs)];

/// The same for a whole file.
pub(super) const FILE: &[(&str, Rule)] = &[
    ("services", Rule::Each(&Rule::Keys(SERVICE))),
    ("networks", Rule::Each(&Rule::Keys(NETWORK))),
    ("volumes", Rule::Each(&Rule::Keys(VOLUME))),
    ("secrets", Rule::Each(&Rule::Keys(VOLUME))),
    ("configs", Rule::Each(&Rule::Keys(VOLUME))),
];

fn none(_: &Node) -> Option<String> {
    None
}

fn text(item: &Node) -> Option<String> {
    item.as_text().map(str::to_owned)
}

/// A path with options after it.
fn path(item: &Node) -> Option<String> {
    Some(item.as_text()?.split(':').next()?.trim_end_matches('/').to_owned())
}

/// Where a volume or device is in the container.
fn target(item: &Node) -> Option<String> {
    let path = match &item.value {
        Value::Map(_) => item.get("target")?.as_text()?,
        _ => {
            let mut parts = item.as_text()?.split(':');
            let first = parts.next()?;
            parts.next().unwrap_or(first)
        }
    };
    Some(path.trim_end_matches('/').to_owned())
}

/// Where a secret or config is in the container, or its name.
fn file(item: &Node) -> Option<String> {
    let of = |key: &str| item.get(key).and_then(Node::as_text);
    item.as_text().or_else(|| of("target")).or_else(|| of("source")).map(str::to_owned)
}

/// Address, published port, port and protocol.
fn port(item: &Node) -> Option<String> {
    let (address, published, target, protocol) = match &item.value {
        Value::Map(_) => {
            let of = |key: &str| item.get(key).and_then(Node::as_text);
            (of("host_ip"), of("published"), of("target")?, of("protocol"))
        }
        _ => {
            let text = item.as_text()?;
            let (ports, protocol) =
                text.rsplit_once('/').map_or((text, None), |(p, proto)| (p, Some(proto)));
            let (rest, target) =
                ports.rsplit_once(':').map_or((None, ports), |(r, t)| (Some(r), t));
            let (address, published) = match rest.map(|r| r.rsplit_once(':').ok_or(r)) {
                None => (None, None),
                Some(Ok((address, published))) => (Some(address), Some(published)),
                Some(Err(published)) => (None, Some(published)),
            };
            (address, published.filter(|p| !p.is_empty()), target, protocol)
        }
    };
    let address = address.filter(|a| *a != "0.0.0.0").unwrap_or_default();
    let protocol = protocol.unwrap_or("tcp");
    Some(format!("{address}:{}:{target}/{protocol}", published.unwrap_or_default()))
}
