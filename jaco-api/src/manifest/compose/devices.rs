//! Devices of the host, and those that a driver of the engine chooses.

use super::{ServiceDraft, toplevel::texts};
use crate::{
    manifest::{
        fields::{Schema, Supported, accepted},
        report::{Mark, Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::{Device, DeviceRequest},
};

/// Most devices of a service.
const MOST: usize = 256;

#[derive(Default)]
struct Long {
    source: Option<String>,
    target: Option<String>,
    permissions: Option<String>,
}

static DEVICE: Schema<Long> = Schema {
    what: "a device",
    at: &["services.*.devices"],
    extensions: true,
    attributes: &[
        accepted(
            "source",
            "Path on the host, or a name such as `vendor.com/class=name`.",
            |d, n, r| d.source = values::some_text(n, r),
        ),
        accepted("target", "Path in the container; without it the same.", |d, n, r| {
            d.target = values::some_text(n, r)
        }),
        accepted(
            "permissions",
            "Some of `r`, `w` and `m` (make the node); default all.",
            |d, n, r| d.permissions = values::some_text(n, r),
        ),
    ],
};

/// A device request with what was said of its number.
#[derive(Default)]
struct RequestDraft {
    request: DeviceRequest,
    count: Option<Mark>,
}

static REQUEST: Schema<RequestDraft> = Schema {
    what: "a device request",
    at: &["services.*.gpus", "services.*.deploy.resources.reservations.devices"],
    extensions: true,
    attributes: &[
        accepted(
            "capabilities",
            "What the devices must be able to do, all of it, as `[gpu, utility]`.",
            |d, n, r| {
                d.request.capabilities = values::string_list(n, r).unwrap_or_default();
            },
        ),
        accepted(
            "count",
            "How many, or `all`, which is the default. Excludes `device_ids`.",
            |d, n, r| {
                d.count = Some(n.mark);
                d.request.count = match n.as_text() {
                    Some("all") => -1,
                    _ => values::integer(n, -1..=1_000_000, r).unwrap_or_default(),
                };
            },
        ),
        accepted("device_ids", "These devices and no others.", |d, n, r| {
            d.request.device_ids = values::string_list(n, r).unwrap_or_default();
        }),
        accepted("driver", "Driver of the engine, as `nvidia` or `cdi`.", |d, n, r| {
            d.request.driver = values::some_text(n, r).unwrap_or_default();
        }),
        accepted(
            "options",
            "Options of the driver; a mapping or a list of `key=value`.",
            |d, n, r| d.request.options = texts(n, r),
        ),
    ],
};

/// Every key of a device and of a device request.
pub(super) fn describe() -> Vec<Supported> {
    DEVICE.describe().chain(REQUEST.describe()).collect()
}

/// Decodes `devices`.
pub(super) fn devices(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let mut cdi = Vec::new();
    values::items(node, report, |item, report| {
        let long = match &item.value {
            Value::Map(_) => {
                let mut long = Long::default();
                DEVICE.decode(item, &mut long, report);
                if item.get("source").is_none() {
                    report.error(item.mark, "the device has no `source`");
                }
                long
            }
            _ => match values::text(item, report) {
                Some(text) => short(text, item, report),
                None => return,
            },
        };
        match long.source {
            Some(name) if is_cdi(&name) && long.target.is_none() => cdi.push(name),
            Some(ref source) => draft.spec.devices.extend(device(source, &long, item, report)),
            None => {}
        }
    });
    if !cdi.is_empty() || !draft.spec.devices.is_empty() {
        draft.privileged_at.push(node.mark);
    }
    if !cdi.is_empty() {
        let (driver, device_ids) = (DeviceRequest::CDI.to_owned(), cdi);
        let request = DeviceRequest { driver, device_ids, ..DeviceRequest::default() };
        draft.spec.device_requests.push(request);
    }
    values::at_most(&mut draft.spec.devices, MOST, node, report);
    draft.spec.devices.sort_unstable();
    draft.spec.devices.dedup();
}

/// `source[:target[:permissions]]`, or a name of the Container Device Interface.
fn short(text: &str, node: &Node, report: &mut Report<'_>) -> Long {
    if is_cdi(text) {
        return Long { source: Some(text.to_owned()), ..Long::default() };
    }
    let mut parts = text.split(':').map(str::to_owned);
    let long = Long { source: parts.next(), target: parts.next(), permissions: parts.next() };
    if parts.next().is_some() {
        let hint = "write `source`, `source:target` or `source:target:rwm`";
        report.error_hint(node.mark, format!("`{}` has too many colons", cut(text)), hint);
        return Long::default();
    }
    // `/dev/x:rwm` says permissions and no path.
    match long.target {
        Some(t) if is_permissions(&t) && long.permissions.is_none() => {
            Long { target: None, permissions: Some(t), ..long }
        }
        target => Long { target, ..long },
    }
}

fn device(source: &str, long: &Long, node: &Node, report: &mut Report<'_>) -> Option<Device> {
    let target = long.target.as_deref().unwrap_or(source);
    for path in [source, target] {
        if !path.starts_with('/') {
            let message = format!("the path `{}` of a device is not absolute", cut(path));
            report.error_hint(node.mark, message, "write for example `/dev/snd`");
            return None;
        }
    }
    let permissions = long.permissions.as_deref().unwrap_or("rwm");
    if !is_permissions(permissions) {
        let message = format!("`{}` are no permissions of a device", cut(permissions));
        report.error_hint(node.mark, message, "write some of `r`, `w` and `m`");
        return None;
    }
    let [source, target, permissions] = [source, target, permissions].map(str::to_owned);
    Some(Device { source, target, permissions })
}

fn is_permissions(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|b| b"rwm".contains(&b))
}

/// Whether this is `vendor.com/class=name`.
fn is_cdi(text: &str) -> bool {
    let word = |w: &str| {
        w.starts_with(|c: char| c.is_ascii_alphanumeric())
            && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b))
    };
    let parts =
        text.split_once('/').and_then(|(vendor, rest)| Some((vendor, rest.split_once('=')?)));
    parts.is_some_and(|(vendor, (class, name))| word(vendor) && word(class) && word(name))
}

/// Decodes `device_cgroup_rules`: `c 1:3 mr`, `a *:* rwm`.
pub(super) fn cgroup_rules(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    draft.privileged_at.push(node.mark);
    let mut out = Vec::new();
    values::items(node, report, |item, report| {
        let Some(text) = values::text(item, report) else { return };
        if is_rule(text) {
            return out.push(text.to_owned());
        }
        let message = format!("`{}` is no rule of devices", cut(text));
        report.error_hint(item.mark, message, "write for example `c 189:* rmw`");
    });
    values::at_most(&mut out, MOST, node, report);
    draft.spec.device_cgroup_rules = out;
}

fn is_rule(text: &str) -> bool {
    let number = |n: &str| n == "*" || (!n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    match text.split(' ').collect::<Vec<_>>()[..] {
        [kind, numbers, permissions] => {
            ["a", "b", "c"].contains(&kind)
                && numbers
                    .split_once(':')
                    .is_some_and(|(major, minor)| number(major) && number(minor))
                && is_permissions(permissions)
        }
        _ => false,
    }
}

/// Decodes `gpus`: `all`, or requests whose capability is `gpu` when they name none.
pub(super) fn gpus(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let gpu = || vec!["gpu".to_owned()];
    if node.as_text() == Some("all") {
        let request = DeviceRequest { count: -1, capabilities: gpu(), ..DeviceRequest::default() };
        return draft.spec.device_requests.push(request);
    }
    let Value::List(_) = node.value else {
        values::wrong::<()>(node, "`all` or a list of requests", report);
        return;
    };
    for mut request in requests(node, report) {
        if request.capabilities.is_empty() && request.driver != DeviceRequest::CDI {
            request.capabilities = gpu();
        }
        draft.spec.device_requests.push(request);
    }
}

/// Decodes `deploy.resources.reservations.devices`.
pub(super) fn reserved(node: &Node, report: &mut Report<'_>) -> Vec<DeviceRequest> {
    let mut out = requests(node, report);
    if let Value::List(items) = &node.value {
        let lacks = |i: &&Node| matches!(i.value, Value::Map(_)) && i.get("capabilities").is_none();
        for item in items.iter().filter(lacks) {
            let hint = "write for example `capabilities: [gpu]`";
            report.error_hint(item.mark, "the device request has no `capabilities`", hint);
        }
    }
    values::at_most(&mut out, MOST, node, report);
    out
}

fn requests(node: &Node, report: &mut Report<'_>) -> Vec<DeviceRequest> {
    let mut out = Vec::new();
    values::items(node, report, |item, report| {
        let mut draft = RequestDraft::default();
        REQUEST.decode(item, &mut draft, report);
        let mut request = draft.request;
        match draft.count {
            Some(mark) if !request.device_ids.is_empty() => {
                let message = "`count` and `device_ids` exclude each other";
                report.error_hint(mark, message, "keep the one that says what you want");
            }
            // Nothing said of the number asks for all of them.
            None if request.device_ids.is_empty() => request.count = -1,
            _ => {}
        }
        request.capabilities.sort_unstable();
        out.push(request);
    });
    out
}
