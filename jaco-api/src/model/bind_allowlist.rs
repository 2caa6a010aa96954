//! Which directories of the hosts any deployment may mount.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Directories of the hosts that services may mount without rights that equal access to the host. Text
/// form: paths with commas between them.
///
/// It is about paths as they are written: nobody looks whether a host has a symbolic link there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindAllowlist(Vec<String>);

/// What belongs to the system or leads to its programs, keys or sockets: it is host access whatever the
/// list says.
const SYSTEM: [&str; 17] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/lib/jaco",
    "/var/run",
];

/// Most paths of a list.
const MOST: usize = 64;

/// A text that is no list of directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", InvalidBindAllowlist::EXPECTED)]
pub struct InvalidBindAllowlist;

impl InvalidBindAllowlist {
    /// What a list is.
    pub const EXPECTED: &str = "at most 64 absolute paths without `..`, with commas between them; none is `/` or belongs to \
         the system (/etc, /usr, /run, /var/run, /proc, /dev, …)";
}

impl BindAllowlist {
    /// Whether a path of a host may be mounted by anybody.
    ///
    /// It lies at or below a directory of the list; it neither belongs to the system nor holds what does;
    /// it names no socket, behind which anything may listen.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        let Some(path) = normal(path) else { return false };
        let system = SYSTEM.iter().any(|s| lies_in(&path, s) || lies_in(s, &path));
        !system && !path.ends_with(".sock") && self.0.iter().any(|allowed| lies_in(&path, allowed))
    }
}

/// Whether `path` is `directory` or below it, on the borders of names.
fn lies_in(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An absolute path without empty names and `.`; `None` for `/`, and where `..` leads who knows where.
fn normal(path: &str) -> Option<String> {
    let names = path.strip_prefix('/')?.split('/').filter(|name| !matches!(*name, "" | "."));
    let mut out = String::new();
    for name in names {
        if name == ".." {
            return None;
        }
        out.push('/');
        out.push_str(name);
    }
    (!out.is_empty()).then_some(out)
}

impl FromStr for BindAllowlist {
    type Err = InvalidBindAllowlist;
    fn from_str(text: &str) -> Result<Self, InvalidBindAllowlist> {
        let mut paths = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let path = normal(part).ok_or(InvalidBindAllowlist)?;
            // A space at the end would be lost when the list is read again.
            let fits =
                path.len() <= 1024 && path.trim_end() == path && !path.contains(char::is_control);
            if !fits || SYSTEM.iter().any(|system| lies_in(&path, system)) {
                return Err(InvalidBindAllowlist);
            }
            paths.push(path);
        }
        paths.sort_unstable();
        paths.dedup();
        if paths.len() > MOST { Err(InvalidBindAllowlist) } else { Ok(Self(paths)) }
    }
}

impl fmt::Display for BindAllowlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}
impl Serialize for BindAllowlist {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for BindAllowlist {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> BindAllowlist {
        text.parse().unwrap()
    }

    #[test]
    fn paths_are_covered_on_the_borders_of_names() {
        let allowed = list("/srv/data, /mnt//nfs/./x/");
        assert_eq!(allowed.to_string(), "/mnt/nfs/x,/srv/data");
        for path in ["/srv/data", "/srv/data/", "/srv//data/./a", "/mnt/nfs/x/y/z", "/srv/data/..a"]
        {
            assert!(allowed.covers(path), "{path}");
        }
        for path in ["/srv", "/srv/dat", "/srv/database", "/", "", "srv/data", "/mnt/nfs", "/etc"] {
            assert!(!allowed.covers(path), "{path}");
        }
    }

    #[test]
    fn a_way_up_is_never_covered() {
        let allowed = list("/srv/data");
        for path in ["/srv/data/../../etc", "/srv/data/..", "/srv/../srv/data"] {
            assert!(!allowed.covers(path), "{path}");
        }
    }

    #[test]
    fn what_belongs_to_the_system_and_what_holds_it_is_never_covered() {
        let allowed = list("/var,/srv");
        assert!(allowed.covers("/var/data") && allowed.covers("/var/lib/app"));
        for path in [
            "/var",
            "/var/lib",
            "/var/run",
            "/var/run/docker.sock",
            "/var/lib/docker/volumes",
            "/var/lib/jaco/node",
            "/srv/engine/docker.sock",
        ] {
            assert!(!allowed.covers(path), "{path}");
        }
    }

    #[test]
    fn the_empty_list_covers_nothing() {
        assert_eq!(list(""), BindAllowlist::default());
        assert_eq!(list(" , "), BindAllowlist::default());
        assert!(!BindAllowlist::default().covers("/srv"));
    }

    #[test]
    fn a_list_that_would_give_the_host_away_is_refused() {
        for text in [
            "/",
            "//",
            "/.",
            "srv",
            "/srv,data",
            "/srv/../etc",
            "/etc",
            "/usr/share",
            "/proc",
            "/srv /",
        ] {
            assert_eq!(text.parse::<BindAllowlist>(), Err(InvalidBindAllowlist), "{text}");
        }
        let many: Vec<String> = (0..=MOST).map(|n| format!("/srv/{n}")).collect();
        assert!(many.join(",").parse::<BindAllowlist>().is_err());
    }
}
