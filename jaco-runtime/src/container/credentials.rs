//! Who the engine says it is when it fetches an image.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;

/// A login at a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Name of the user.
    pub username: String,
    /// Password or token.
    pub password: String,
}

/// Never shows the password.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Where credentials come from. Asked anew for every attempt, so that a changed login is used at
/// once.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// The login for an image; none means anonymous.
    async fn credential(&self, image: &str) -> Option<Credential>;
}

/// Every image is fetched anonymously.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCredentials;

#[async_trait]
impl Credentials for NoCredentials {
    async fn credential(&self, _image: &str) -> Option<Credential> {
        None
    }
}

/// The registry that an image without one comes from.
const DEFAULT_REGISTRY: &str = "docker.io";

/// Splits an image reference into registry host and repository path, as the engine does: the first
/// segment is a host when it has a dot or a port, or is `localhost`.
fn split(image: &str) -> (String, String) {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rfind('/').map_or(0, |i| i + 1);
    let name = name[last..].find(':').map_or(name, |colon| &name[..last + colon]);
    match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
            (canonical_host(host), path.to_owned())
        }
        Some(_) => (DEFAULT_REGISTRY.to_owned(), name.to_owned()),
        None => (DEFAULT_REGISTRY.to_owned(), format!("library/{name}")),
    }
}

fn canonical_host(host: &str) -> String {
    match host {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY.to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

/// The registry host, with port, that an image comes from.
#[must_use]
pub fn registry_host(image: &str) -> String {
    split(image).0
}

/// The entry for an image among logins keyed by `host[:port][/path]`: the longest key that is a
/// prefix of the reference on segment borders, else the only entry of its host, else none.
#[must_use]
pub fn longest_prefix<'a, T>(image: &str, entries: &'a BTreeMap<String, T>) -> Option<&'a T> {
    let (host, path) = split(image);
    let of_host = |key: &str| {
        let key = key.trim_end_matches('/');
        let (key_host, key_path) = key.split_once('/').unwrap_or((key, ""));
        (canonical_host(key_host) == host).then(|| key_path.to_owned())
    };
    let candidates: Vec<(String, &T)> =
        entries.iter().filter_map(|(k, v)| of_host(k).map(|p| (p, v))).collect();
    let covers = |prefix: &str| {
        prefix.is_empty()
            || path
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    candidates
        .iter()
        .filter(|(prefix, _)| covers(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .or_else(|| (candidates.len() == 1).then(|| &candidates[0]))
        .map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(image: &str, keys: &[&str]) -> Option<String> {
        let entries = keys.iter().map(|k| ((*k).to_owned(), (*k).to_owned())).collect();
        longest_prefix(image, &entries).cloned()
    }

    #[test]
    fn the_longest_prefix_on_segment_borders_wins() {
        let keys = ["ghcr.io/acme", "ghcr.io/acme/web", "ghcr.io"];
        for (image, expected) in [
            ("ghcr.io/acme/web/front:1", "ghcr.io/acme/web"),
            ("ghcr.io/acme/web@sha256:00", "ghcr.io/acme/web"),
            ("ghcr.io/acme/website", "ghcr.io/acme"),
            ("ghcr.io/acme2/web", "ghcr.io"),
        ] {
            assert_eq!(pick(image, &keys).as_deref(), Some(expected), "{image}");
        }
    }

    #[test]
    fn an_only_entry_of_the_host_serves_other_paths_but_never_other_hosts() {
        assert_eq!(pick("ghcr.io/else/x", &["ghcr.io/acme"]).as_deref(), Some("ghcr.io/acme"));
        assert_eq!(pick("ghcr.io/else/x", &["ghcr.io/acme", "ghcr.io/beta"]), None);
        assert_eq!(pick("evil-ghcr.io/acme/x", &["ghcr.io/acme"]), None);
        assert_eq!(pick("ghcr.io:5000/acme/x", &["ghcr.io/acme"]), None);
    }

    #[test]
    fn references_without_a_host_belong_to_the_default_registry() {
        for image in ["nginx", "nginx:1.27", "library/nginx", "acme/web:2"] {
            assert_eq!(registry_host(image), "docker.io", "{image}");
        }
        assert_eq!(registry_host("localhost/x"), "localhost");
        assert_eq!(registry_host("10.0.0.1:5000/x:1"), "10.0.0.1:5000");
        assert_eq!(
            pick("acme/web", &["index.docker.io/acme"]).as_deref(),
            Some("index.docker.io/acme")
        );
    }

    #[test]
    fn a_password_is_never_shown() {
        let c = Credential { username: "u".into(), password: "hunter2".into() };
        assert!(!format!("{c:?}").contains("hunter2"));
    }
}
