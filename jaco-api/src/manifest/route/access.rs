//! Who may come to a route: by address, by name and password.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::{IpNet, Ipv4Net};

use crate::{
    manifest::{
        report::{Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::Password,
};

/// Most blocks of a list.
const MOST_BLOCKS: usize = 1000;
/// Most users of a route.
const MOST_USERS: usize = 1000;
/// Longest name or password.
const LONGEST: usize = 255;

/// How hashed passwords begin in the files of other servers.
const HASHES: [&str; 8] = ["$2a$", "$2b$", "$2y$", "$apr1$", "$5$", "$6$", "$argon2", "{SHA}"];

/// Addresses and blocks of addresses: one, or a list.
pub(super) fn blocks(node: &Node, report: &mut Report<'_>) -> Vec<IpNet> {
    let mut blocks = Vec::new();
    let mut seen = BTreeSet::new();
    let mut one = |item: &Node, report: &mut Report<'_>| {
        let Some(block) = block(item, report) else { return };
        if !seen.insert(block) {
            return report.error(item.mark, format!("`{block}` is there twice"));
        }
        blocks.push(block);
    };
    match &node.value {
        Value::List(items) if items.is_empty() => {
            // Nobody, or everybody? It is not guessed at.
            let message = format!("{} is empty", report.subject());
            report.error_hint(node.mark, message, "leave it out, or name addresses");
        }
        Value::List(_) => values::items(node, report, one),
        _ => one(node, report),
    }
    values::at_most(&mut blocks, MOST_BLOCKS, node, report);
    blocks
}

fn block(node: &Node, report: &mut Report<'_>) -> Option<IpNet> {
    let text = values::text(node, report)?.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical().into());
    }
    match text.parse::<IpNet>().map(canonical) {
        Ok(block) if block == block.trunc() => Some(block),
        Ok(block) => {
            let message = format!("`{block}` is no block: its address has bits behind the length");
            let hint = format!("write `{}`, or `{}` alone", block.trunc(), block.addr());
            report.error_hint(node.mark, message, hint);
            None
        }
        Err(_) => values::wrong(node, "an address or a block such as 10.0.0.0/8", report),
    }
}

/// Visitors by IPv4 are known by that address alone: a block of such addresses within IPv6 means them.
fn canonical(block: IpNet) -> IpNet {
    let IpNet::V6(v6) = block else { return block };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let v4 = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    v4.map_or(block, IpNet::V4)
}

/// Names and passwords. No message holds a password.
pub(super) fn users(node: &Node, report: &mut Report<'_>) -> BTreeMap<String, Password> {
    let mut users = BTreeMap::new();
    let Value::Map(entries) = &node.value else {
        let message = format!("{} must be a mapping, not {}", report.subject(), node.kind());
        report.error_hint(node.mark, message, "write `{<name>: <password>}`");
        return users;
    };
    if entries.is_empty() {
        let message = format!("{} names nobody", report.subject());
        report.error_hint(node.mark, message, "leave it out to let everybody in");
    }
    if entries.len() > MOST_USERS {
        let message = format!("{} names more than {MOST_USERS}", report.subject());
        report.error(node.mark, message);
        return users;
    }
    for entry in entries {
        report.within(&entry.key, |report| {
            let user = &entry.key;
            if user.is_empty() || user.len() > LONGEST || user.chars().any(char::is_control) {
                let message =
                    format!("a name has 1 to {LONGEST} characters and no control characters");
                return report.error(entry.mark, message);
            }
            if user.contains(':') {
                let message = format!("a name cannot hold a colon, which ends it: `{}`", cut(user));
                return report.error(entry.mark, message);
            }
            if let Some(password) = password(&entry.value, report) {
                users.insert(user.clone(), password);
            }
        });
    }
    users
}

fn password(node: &Node, report: &mut Report<'_>) -> Option<Password> {
    if node.is_null() || node.as_text() == Some("") {
        let message = format!("{} has no password", report.subject());
        report.error(node.mark, message);
        return None;
    }
    let text = values::text(node, report)?;
    if text.len() > LONGEST || text.chars().any(char::is_control) {
        let message = format!(
            "the password of {} has at most {LONGEST} characters and no control characters",
            report.subject()
        );
        report.error(node.mark, message);
        return None;
    }
    if HASHES.iter().any(|prefix| text.starts_with(prefix)) {
        let message = format!("the password of {} is a hash", report.subject());
        let hint = "write the password itself: the cluster keeps it sealed and shows it to nobody";
        report.error_hint(node.mark, message, hint);
        return None;
    }
    Some(Password(text.to_owned()))
}
