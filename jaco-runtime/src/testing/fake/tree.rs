//! The files of a container in memory. Pure.

use std::{collections::BTreeMap, io::Read as _};

use crate::container::{PathInfo, PathKind, RuntimeError};

/// Links in a row that are followed.
const LINKS: usize = 8;

/// Files by absolute path without `.`, `..` and trailing slashes. Every file has its directories.
#[derive(Debug, Clone)]
pub(super) struct Tree(BTreeMap<String, Entry>);

#[derive(Debug, Clone)]
struct Entry {
    mode: u32,
    /// User and group.
    owner: (u32, u32),
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Directory,
    File(Vec<u8>),
    Link(String),
}

/// `path` as seen from `base`, without what leads nowhere.
fn normal(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let from = if path.starts_with('/') { "" } else { base };
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent })
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().filter(|n| !n.is_empty()).unwrap_or("/")
}

fn missing(path: &str) -> RuntimeError {
    RuntimeError::NoSuchPath { path: path.to_owned() }
}

impl Default for Tree {
    fn default() -> Self {
        let directory = || Entry { mode: 0o755, owner: (0, 0), content: Content::Directory };
        Self(["/", "/tmp"].map(|path| (path.to_owned(), directory())).into())
    }
}

impl Tree {
    /// The path without links, those of its last part only when asked for.
    fn resolve(&self, path: &str, follow_last: bool) -> Option<String> {
        let mut path = normal("/", path);
        'again: for _ in 0..LINKS {
            let ends: Vec<usize> =
                path.char_indices().filter(|(i, c)| *i > 0 && *c == '/').map(|(i, _)| i).collect();
            for end in ends.into_iter().chain([path.len()]) {
                let (head, tail) = path.split_at(end);
                let last = tail.is_empty();
                if let Some(Entry { content: Content::Link(to), .. }) = self.0.get(head)
                    && (!last || follow_last)
                {
                    path = format!("{}{tail}", normal(parent(head), to));
                    continue 'again;
                }
            }
            return Some(path);
        }
        None
    }

    fn entry(&self, path: &str, follow_last: bool) -> Result<(String, &Entry), RuntimeError> {
        let found = self.resolve(path, follow_last).and_then(|p| Some((self.0.get(&p)?, p)));
        found.map(|(entry, p)| (p, entry)).ok_or_else(|| missing(path))
    }

    /// What is at a path.
    pub(super) fn info(&self, path: &str) -> Result<PathInfo, RuntimeError> {
        let (at, entry) = self.entry(path, false)?;
        let (kind, size) = match &entry.content {
            Content::Directory => (PathKind::Directory, 0),
            Content::File(bytes) => (PathKind::File, bytes.len() as u64),
            Content::Link(to) => {
                let target = self.resolve(&at, true).unwrap_or_else(|| to.clone());
                (PathKind::Link(target), 0)
            }
        };
        Ok(PathInfo { name: name(&at).to_owned(), kind, size, mode: entry.mode, modified: None })
    }

    /// The content of a file.
    pub(super) fn read(&self, path: &str) -> Option<Vec<u8>> {
        match &self.entry(path, true).ok()?.1.content {
            Content::File(bytes) => Some(bytes.clone()),
            Content::Directory | Content::Link(_) => None,
        }
    }

    /// Writes a file in a directory that exists.
    pub(super) fn write(
        &mut self,
        path: &str,
        bytes: &[u8],
        append: bool,
    ) -> Result<(), RuntimeError> {
        let at = self.resolve(path, true).ok_or_else(|| missing(path))?;
        self.directory(parent(&at))?;
        let fresh = || Entry { mode: 0o644, owner: (0, 0), content: Content::File(Vec::new()) };
        match &mut self.0.entry(at).or_insert_with(fresh).content {
            Content::File(old) => {
                if !append {
                    old.clear();
                }
                old.extend_from_slice(bytes);
                Ok(())
            }
            _ => Err(no_file(path)),
        }
    }

    /// Puts a file in place with its user, group and mode, and makes its directories.
    pub(super) fn put(&mut self, path: &str, bytes: &[u8], (uid, gid, mode): (u32, u32, u32)) {
        let path = normal("/", path);
        self.make_directory(parent(&path));
        let content = Content::File(bytes.to_vec());
        self.0.insert(path, Entry { mode, owner: (uid, gid), content });
    }

    /// Makes a directory and those above it.
    pub(super) fn make_directory(&mut self, path: &str) {
        let path = normal("/", path);
        let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(i, _)| i);
        for end in ends.chain([path.len()]).collect::<Vec<_>>() {
            let directory = Entry { mode: 0o755, owner: (0, 0), content: Content::Directory };
            self.0.entry(path[..end].to_owned()).or_insert(directory);
        }
    }

    /// The path of a directory that exists, links followed.
    fn directory(&self, path: &str) -> Result<String, RuntimeError> {
        match self.entry(path, true)? {
            (at, Entry { content: Content::Directory, .. }) => Ok(at),
            _ => {
                let message = format!("{path} is no directory");
                Err(RuntimeError::Refused { status: 400, message })
            }
        }
    }

    /// What is at a path with everything below it, as a tar archive.
    pub(super) fn pack(&self, path: &str) -> Result<Vec<u8>, RuntimeError> {
        let (at, _) = self.entry(path, false)?;
        let mut tar = tar::Builder::new(Vec::new());
        let below = format!("{}/", at.trim_end_matches('/'));
        let wanted = self.0.iter().filter(|(p, _)| **p == at || p.starts_with(&below));
        for (path, entry) in wanted {
            let relative = path.strip_prefix(parent(&at)).unwrap_or(path);
            let relative = relative.trim_start_matches('/');
            let relative = if relative.is_empty() { "./" } else { relative };
            append(&mut tar, relative, entry).map_err(in_memory)?;
        }
        tar.into_inner().map_err(in_memory)
    }

    /// Unpacks a tar archive in a directory that exists.
    pub(super) fn unpack(&mut self, path: &str, bytes: &[u8]) -> Result<(), RuntimeError> {
        let base = self.directory(path)?;
        let broken = |e: std::io::Error| RuntimeError::Refused {
            status: 400,
            message: format!("no tar archive: {e}"),
        };
        let mut archive = tar::Archive::new(bytes);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let relative = entry.path().map_err(broken)?.to_string_lossy().into_owned();
            let at = normal(&base, relative.trim_start_matches('/'));
            let mode = entry.header().mode().map_err(broken)? & 0o777;
            let content = match entry.header().entry_type() {
                tar::EntryType::Directory => {
                    self.make_directory(&at);
                    if let Some(made) = self.0.get_mut(&at) {
                        made.mode = mode;
                    }
                    continue;
                }
                tar::EntryType::Symlink => {
                    let to = entry.link_name().map_err(broken)?.unwrap_or_default();
                    Content::Link(to.to_string_lossy().into_owned())
                }
                _ => {
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes).map_err(broken)?;
                    Content::File(bytes)
                }
            };
            if matches!(self.0.get(&at), Some(Entry { content: Content::Directory, .. })) {
                let message = format!("cannot overwrite directory {at} with a file");
                return Err(RuntimeError::Refused { status: 400, message });
            }
            self.make_directory(parent(&at));
            let owner = (id(entry.header().uid()), id(entry.header().gid()));
            self.0.insert(at, Entry { mode, owner, content });
        }
        Ok(())
    }
}

fn id(read: std::io::Result<u64>) -> u32 {
    read.ok().and_then(|id| id.try_into().ok()).unwrap_or(0)
}

fn no_file(path: &str) -> RuntimeError {
    RuntimeError::Refused { status: 400, message: format!("{path} is no file") }
}

/// Nothing that is written to memory fails, but for a name no archive can hold.
fn in_memory(error: std::io::Error) -> RuntimeError {
    RuntimeError::Refused { status: 500, message: error.to_string() }
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    path: &str,
    entry: &Entry,
) -> Result<(), std::io::Error> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(entry.owner.0.into());
    header.set_gid(entry.owner.1.into());
    header.set_size(0);
    match &entry.content {
        Content::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, format!("{}/", path.trim_end_matches('/')), &[][..])
        }
        Content::File(bytes) => {
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path, bytes.as_slice())
        }
        Content::Link(to) => {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, path, to)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks_elsewhere_with_links_and_modes() {
        let mut tree = Tree::default();
        tree.make_directory("/srv/www/deep");
        tree.write("/srv/www/deep/page", b"hello", false).unwrap();
        tree.0.insert(
            "/srv/www/home".into(),
            Entry { mode: 0o777, owner: (0, 0), content: Content::Link("deep/page".into()) },
        );
        let tar = tree.pack("/srv/www").unwrap();
        tree.unpack("/tmp", &tar).unwrap();
        assert_eq!(tree.read("/tmp/www/home").unwrap(), b"hello");
        assert_eq!(
            tree.info("/tmp/www/home").unwrap().kind,
            PathKind::Link("/tmp/www/deep/page".into())
        );
        assert!(matches!(tree.info("/nope"), Err(RuntimeError::NoSuchPath { .. })));
        assert!(tree.unpack("/srv/www/home", &tar).is_err(), "a file is no directory");
    }
}
