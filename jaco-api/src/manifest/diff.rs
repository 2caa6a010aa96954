//! What an apply would change, and documents without their secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::model::{
    Change, ContainerSpec, Difference, FileSource, Healthcheck, ManifestDocument, Mode,
    MountSource, Password, RouteSpec, ServiceSchedule, UpdateOrder,
};

/// What stands for a secret.
const MASK: &str = "•••";

type Fields = BTreeMap<String, String>;
type Changes = BTreeMap<String, (Option<String>, Option<String>)>;

/// What lies between two documents: services, networks, volumes, routes, certificates, in this order.
///
/// Without `old` everything is new. Values that may be secret are shown as `•••` unless
/// `show_secrets`; passwords of visitors always are.
#[must_use]
pub fn diff(
    old: Option<&ManifestDocument>,
    new: &ManifestDocument,
    show_secrets: bool,
) -> Vec<Difference> {
    let none = ManifestDocument {
        deployment: new.deployment.clone(),
        services: BTreeMap::new(),
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        routes: Vec::new(),
        acme_email: None,
    };
    let old = old.unwrap_or(&none);
    let mut out = Vec::new();
    compare(&mut out, "service ", &old.services, &new.services, show_secrets, service_effect);
    compare(&mut out, "network ", &old.networks, &new.networks, show_secrets, |_, _| None);
    compare(&mut out, "volume ", &old.volumes, &new.volumes, show_secrets, |_, new| {
        new.is_none().then(|| "the volume and its data are kept".to_owned())
    });
    compare(&mut out, "route ", &routes(old), &routes(new), show_secrets, |_, _| None);
    compare(&mut out, "", &contact(old), &contact(new), show_secrets, |_, _| None);
    out
}

/// The document with `•••` in place of the passwords of visitors.
#[must_use]
pub fn mask_passwords(document: &ManifestDocument) -> ManifestDocument {
    let mut document = document.clone();
    for route in &mut document.routes {
        hide(route.options.basic_auth.values_mut().map(|password| &mut password.0));
    }
    document
}

/// The document with `•••` in place of every value that may be secret: environment, arguments,
/// contents of secrets and configs, options of drivers, passwords.
#[must_use]
pub fn mask(document: &ManifestDocument) -> ManifestDocument {
    let mut document = mask_passwords(document);
    for (_, spec) in document.services.values_mut() {
        mask_spec(spec);
    }
    for volume in document.volumes.values_mut() {
        hide(volume.driver_opts.values_mut());
    }
    document
}

fn mask_spec(spec: &mut ContainerSpec) {
    hide(spec.environment.values_mut().flatten());
    // The first word is the program.
    for words in [&mut spec.command, &mut spec.entrypoint].into_iter().flatten() {
        hide(words.iter_mut().skip(1));
    }
    if let Some(Healthcheck::Check { test, .. }) = &mut spec.healthcheck {
        hide(test.iter_mut().skip(1));
    }
    for hook in spec.post_start.iter_mut().chain(&mut spec.pre_stop) {
        hide(hook.command.iter_mut().skip(1));
        hide(hook.environment.values_mut());
    }
    if let Some(logging) = &mut spec.logging {
        hide(logging.options.values_mut());
    }
    for file in &mut spec.files {
        if let FileSource::Content(content) = &mut file.source {
            *content = MASK.into();
        }
    }
    for mount in &mut spec.mounts {
        if let MountSource::Volume { driver_opts, .. } = &mut mount.source {
            hide(driver_opts.values_mut());
        }
    }
    for attachment in &mut spec.networks {
        hide(attachment.driver_opts.values_mut());
    }
}

fn hide<'t>(texts: impl Iterator<Item = &'t mut String>) {
    for text in texts {
        MASK.clone_into(text);
    }
}

/// Routes by what identifies them.
fn routes(document: &ManifestDocument) -> BTreeMap<String, &RouteSpec<Password>> {
    let domain =
        |r: &RouteSpec<Password>| if r.domain.is_empty() { "*" } else { &r.domain }.to_owned();
    document.routes.iter().map(|r| (format!("{}{}", domain(r), r.path), r)).collect()
}

/// What certificates are obtained with, under the name that it is told by.
fn contact(document: &ManifestDocument) -> BTreeMap<&str, BTreeMap<&str, &String>> {
    let email = document.acme_email.iter();
    email.map(|email| ("certificates", BTreeMap::from([("acme_email", email)]))).collect()
}

fn compare<K: Ord + ToString, V: Serialize>(
    out: &mut Vec<Difference>,
    kind: &str,
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    show_secrets: bool,
    effect: impl Fn(Option<&V>, Option<&V>) -> Option<String>,
) {
    let keys: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let (before, after) = (old.get(key), new.get(key));
        let fields = changes(&fields(before), &fields(after), show_secrets);
        let effect = effect(before, after);
        let change = match (before, after) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ if fields.is_empty() && effect.is_none() => continue,
            _ => Change::Changed,
        };
        let subject = format!("{kind}{}", key.to_string());
        out.push(Difference { change, subject, fields, effect });
    }
}

fn changes(old: &Fields, new: &Fields, show_secrets: bool) -> Changes {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|k| old.get(*k) != new.get(*k))
        .map(|key| {
            let shown = |v: Option<&String>| {
                v.map(|v| {
                    if password(key) || !show_secrets && secret(key) {
                        MASK.to_owned()
                    } else {
                        v.clone()
                    }
                })
            };
            (key.clone(), (shown(old.get(key)), shown(new.get(key))))
        })
        .collect()
}

/// Whether a field is the password of a visitor: that is never shown.
fn password(field: &str) -> bool {
    field.starts_with("basic_auth.")
}

/// Whether the value of a field may be secret.
fn secret(field: &str) -> bool {
    let first = field.split(['.', '[']).next().unwrap_or(field);
    matches!(first, "environment" | "command" | "entrypoint")
        || (matches!(first, "post_start" | "pre_stop")
            && (field.contains("].environment.") || field.contains("].command")))
        || field.starts_with("healthcheck.test")
        || field.starts_with("logging.options")
        || field.contains("driver_opts")
        || field.contains(".source.content")
}

/// Every field of a value with its text, by path. A service is a pair: its halves are merged.
fn fields<V: Serialize>(value: Option<&V>) -> Fields {
    let mut out = Fields::new();
    match value.and_then(|v| serde_json::to_value(v).ok()) {
        Some(Value::Array(halves)) => {
            for half in &halves {
                flatten(&mut out, "", half);
            }
        }
        Some(value) => flatten(&mut out, "", &value),
        None => {}
    }
    if out.get("placement").is_some_and(|p| p == "global") {
        out.remove("replicas");
    }
    // What repeats another field or is derived from one.
    out.retain(|k, _| {
        let derived = matches!(
            k.as_str(),
            "stateful" | "volumes" | "files" | "networks" | "networks_beside" | "beside.lead"
        );
        !k.starts_with("references.") && !derived
    });
    out
}

fn flatten(out: &mut Fields, path: &str, value: &Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(out, &path, value);
            }
        }
        Value::Array(items) if path == "ports" => {
            let text = items.iter().map(port).collect::<Vec<_>>().join(", ");
            out.insert(path.to_owned(), text);
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                flatten(out, &format!("{path}[{}]", label(item, index)), item);
            }
        }
        Value::Array(items) => {
            let text = items.iter().map(shown).collect::<Vec<_>>().join(", ");
            out.insert(path.to_owned(), format!("[{text}]"));
        }
        // A variable that is unset on purpose.
        Value::Null if path.starts_with("environment.") => {
            out.insert(path.to_owned(), "(unset)".to_owned());
        }
        Value::Null => {}
        other => drop(out.insert(path.to_owned(), shown(other))),
    }
}

/// A published port as Compose writes it, and the header that its connections begin with.
fn port(item: &Value) -> String {
    let part = |key| item.get(key).map_or_else(|| "*".to_owned(), shown);
    let header = item.get("proxy_protocol").map(|version| format!(" (PROXY {})", shown(version)));
    let header = header.unwrap_or_default();
    format!("{}:{}/{}{header}", part("published"), part("target"), part("protocol"))
}

/// What distinguishes an item of a list from its neighbours.
fn label(item: &Value, index: usize) -> String {
    ["target", "network"]
        .iter()
        .find_map(|k| item.get(*k).and_then(Value::as_str))
        .map_or_else(|| index.to_string(), str::to_owned)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

type Service = (ServiceSchedule, ContainerSpec);

/// What a change of a service means for its replicas.
fn service_effect(old: Option<&Service>, new: Option<&Service>) -> Option<String> {
    match (old, new) {
        (None, None) => None,
        (_, Some((schedule, _))) if schedule.cron.is_some() => timed_effect(old, new),
        (None, Some((schedule, _))) => Some(match schedule.mode {
            Mode::Job => format!("{} started as a job", replicas(schedule)),
            Mode::Service => format!("{} started", replicas(schedule)),
        }),
        (Some((schedule, _)), None) => Some(format!("{} removed", replicas(schedule))),
        (Some((before, old)), Some((after, new))) => {
            let replaced = old.digest() != new.digest();
            if !replaced && before == after {
                return None;
            }
            let mut parts = Vec::new();
            if replaced {
                parts.push(replacement(before, after, old, new));
            }
            parts.extend(scaling(before, after));
            if parts.is_empty() {
                parts.push("nothing is restarted".to_owned());
            }
            Some(parts.join("; "))
        }
    }
}

/// The same for a service that runs at times: what runs goes on to its end.
fn timed_effect(old: Option<&Service>, new: Option<&Service>) -> Option<String> {
    let (after, spec) = new?;
    let cron = after.cron.as_ref()?;
    let times = format!("runs at {} ({})", cron.expression, cron.timezone);
    let Some((before, old)) = old else { return Some(times) };
    let Some(former) = &before.cron else {
        return Some(format!("{} removed; then {times}", replicas(before)));
    };
    if before == after && old.digest() == spec.digest() {
        return None;
    }
    let mut parts = Vec::new();
    if old.digest() != spec.digest() {
        parts.push("from the next run on".to_owned());
    }
    match (before.replicas, after.replicas) {
        (1.., 0) => parts.push("suspended".to_owned()),
        (0, 1..) => parts.push("resumed".to_owned()),
        _ => {}
    }
    if !former.ticks_like(cron) {
        parts.push(times);
    }
    Some(if parts.is_empty() { "nothing is restarted".to_owned() } else { parts.join("; ") })
}

fn replacement(
    before: &ServiceSchedule,
    after: &ServiceSchedule,
    old: &ContainerSpec,
    new: &ContainerSpec,
) -> String {
    let order = match after.update.order {
        UpdateOrder::StartFirst if !after.is_global() => "start-first",
        _ => "stop-first",
    };
    let count = if after.is_global() || before.is_global() {
        replicas(before)
    } else {
        counted(before.replicas.min(after.replicas))
    };
    let mut text = format!("{count} replaced, {order}");
    let mut rest = (old.clone(), new.clone());
    rest.0.references.clear();
    rest.1.references.clear();
    if rest.0 == rest.1 {
        let changed: Vec<String> = new
            .references
            .iter()
            .filter(|(k, v)| old.references.get(*k) != Some(*v))
            .map(|(k, _)| k.replacen(':', " ", 1))
            .collect();
        text.push_str(&format!(", because of {}", changed.join(", ")));
    }
    text
}

fn scaling(before: &ServiceSchedule, after: &ServiceSchedule) -> Option<String> {
    if before.is_global() != after.is_global() {
        return Some(format!("then {}", replicas(after)));
    }
    if after.is_global() || before.replicas == after.replicas {
        return None;
    }
    Some(if after.replicas > before.replicas {
        format!("{} added", counted(after.replicas - before.replicas))
    } else {
        format!("{} removed", counted(before.replicas - after.replicas))
    })
}

fn replicas(schedule: &ServiceSchedule) -> String {
    if schedule.is_global() {
        "one replica on every node".to_owned()
    } else {
        counted(schedule.replicas)
    }
}

fn counted(n: u32) -> String {
    match n {
        0 => "no replica".to_owned(),
        1 => "1 replica".to_owned(),
        n => format!("{n} replicas"),
    }
}
