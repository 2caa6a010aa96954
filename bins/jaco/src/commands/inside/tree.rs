//! Files of this machine as tar archives, and back. Blocking.
//!
//! An archive from a container is not trusted: nothing is written outside of where it is to go, and
//! never through a link that the archive brought along.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use crate::error::Error;

/// How much was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    /// Files, links and directories.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// What was copied, and what was left out because no archive can hold it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was copied.
    pub copied: Copied,
    /// Sockets, pipes and devices.
    pub skipped: Vec<PathBuf>,
}

fn local(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Local { operation, path, source }
}

/// Packs what is at `path` under the name `name`, an empty one for the contents of a directory
/// alone. Owners become root, as of files that an image brings.
///
/// # Errors
/// [`Error::Local`].
pub fn pack(path: &Path, name: &str, into: impl Write) -> Result<Outcome, Error> {
    let mut tar = tar::Builder::new(into);
    let mut outcome = Outcome::default();
    let meta = fs::symlink_metadata(path).map_err(local("read", path))?;
    add(&mut tar, path, Path::new(name), &meta, &mut outcome)?;
    tar.into_inner().and_then(|mut into| into.flush()).map_err(local("send", path))?;
    Ok(outcome)
}

fn add(
    tar: &mut tar::Builder<impl Write>,
    path: &Path,
    name: &Path,
    meta: &Metadata,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(meta);
    header.set_uid(0);
    header.set_gid(0);
    let kind = meta.file_type();
    if kind.is_dir() {
        // The contents of a directory alone have no entry for itself.
        if name.components().next().is_some() {
            header.set_size(0);
            let directory = format!("{}/", name.display());
            tar.append_data(&mut header, directory, io::empty()).map_err(local("send", path))?;
            outcome.copied.entries += 1;
        }
        let mut names = fs::read_dir(path)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(local("read", path))?;
        names.sort_by_key(fs::DirEntry::file_name);
        for entry in names {
            let (path, name) = (entry.path(), name.join(entry.file_name()));
            let meta = fs::symlink_metadata(&path).map_err(local("read", &path))?;
            add(tar, &path, &name, &meta, outcome)?;
        }
        return Ok(());
    }
    if kind.is_symlink() {
        let target = fs::read_link(path).map_err(local("read", path))?;
        header.set_size(0);
        tar.append_link(&mut header, name, target).map_err(local("send", path))?;
    } else if kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device()
    {
        outcome.skipped.push(path.to_owned());
        return Ok(());
    } else {
        let file = File::open(path).map_err(local("read", path))?;
        // One that shrinks meanwhile would leave the archive without its middle.
        let exactly = Exactly { inner: file, left: meta.size() };
        tar.append_data(&mut header, name, exactly).map_err(local("read", path))?;
        outcome.copied.bytes += meta.size();
    }
    outcome.copied.entries += 1;
    Ok(())
}

/// So many bytes, or an error.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Ok(0);
        }
        match self.inner.read(&mut into[..most])? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter meanwhile")),
            n => {
                self.left -= n as u64;
                Ok(n)
            }
        }
    }
}

/// Unpacks an archive whose top entry goes to `to`, whatever its name; of an archive of `/`, whose
/// entries have no common top, what is in it goes into `to`.
///
/// # Errors
/// [`Error::Local`]; [`Error::Copy`] when the archive is none, or leads elsewhere.
pub fn unpack(archive: impl Read, to: &Path, has_top: bool) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let broken = |source| Error::Local { operation: "read", path: "the archive".into(), source };
    let mut archive = tar::Archive::new(archive);
    // Directories get their times and permissions last: they may forbid writing.
    let mut directories = Vec::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        let relative = below(&name, has_top)?;
        let path = if relative.as_os_str().is_empty() { to.to_owned() } else { to.join(&relative) };
        reachable(to, &relative)?;
        let size = entry.header().size().map_err(broken)?;
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                if !path.is_dir() {
                    fs::create_dir(&path).map_err(local("create", &path))?;
                    let mode = entry.header().mode().map_err(broken)?;
                    directories.push((path, mode));
                }
            }
            tar::EntryType::Link => {
                let name = entry.link_name().map_err(broken)?.unwrap_or_default().into_owned();
                let original = below(&name, has_top)?;
                reachable(to, &original)?;
                make_room(&path)?;
                fs::hard_link(to.join(original), &path).map_err(local("create", &path))?;
            }
            tar::EntryType::Symlink => {
                make_room(&path)?;
                entry.unpack(&path).map_err(local("create", &path))?;
            }
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                make_room(&path)?;
                entry.unpack(&path).map_err(local("write", &path))?;
                outcome.copied.bytes += size;
            }
            _ => {
                outcome.skipped.push(path);
                continue;
            }
        }
        outcome.copied.entries += 1;
    }
    for (path, mode) in directories.into_iter().rev() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::Permissions::from_mode(mode & 0o777);
        fs::set_permissions(&path, mode).map_err(local("change", &path))?;
    }
    Ok(outcome)
}

/// The path of an entry without its top; never one that leads out.
fn below(name: &Path, has_top: bool) -> Result<PathBuf, Error> {
    let mut parts = Vec::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                let problem = "the archive leads out of where it is to go";
                return Err(Error::Copy { path: name.to_owned(), problem });
            }
        }
    }
    Ok(parts.into_iter().skip(usize::from(has_top)).collect())
}

/// Refuses to write through a link below `to`.
fn reachable(to: &Path, relative: &Path) -> Result<(), Error> {
    let mut path = to.to_owned();
    let parents = relative.parent().map(Path::components).into_iter().flatten();
    for part in parents {
        path.push(part);
        if path.is_symlink() {
            let problem = "the archive writes through a link";
            return Err(Error::Copy { path, problem });
        }
        // Some archives leave out entries for directories.
        if !path.is_dir() {
            fs::create_dir(&path).map_err(local("create", &path))?;
        }
    }
    Ok(())
}

/// Takes away a file or link that is to be replaced; a directory stays.
fn make_room(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {
            let problem = "is a directory, and a file is to go there";
            Err(Error::Copy { path: path.to_owned(), problem })
        }
        Ok(_) => fs::remove_file(path).map_err(local("replace", path)),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().join("app");
        fs::create_dir_all(app.join("sub")).unwrap();
        fs::write(app.join("run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(app.join("run"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::write(app.join("sub/long"), "x".repeat(100_000)).unwrap();
        symlink("sub/long", app.join("link")).unwrap();
        fs::set_permissions(app.join("sub"), fs::Permissions::from_mode(0o500)).unwrap();
        dir
    }

    fn packed(path: &Path, name: &str) -> (Vec<u8>, Outcome) {
        let mut tar = Vec::new();
        let outcome = pack(path, name, &mut tar).unwrap();
        (tar, outcome)
    }

    #[test]
    fn what_is_packed_unpacks_under_another_name() {
        let dir = tree();
        let (tar, outcome) = packed(&dir.path().join("app"), "app");
        assert_eq!(outcome.copied, Copied { entries: 5, bytes: 100_010 });
        let to = dir.path().join("copy");
        assert_eq!(unpack(&*tar, &to, true).unwrap().copied, outcome.copied);
        assert_eq!(fs::read(to.join("link")).unwrap().len(), 100_000);
        let mode = |path: &str| fs::metadata(to.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("run"), mode("sub")), (0o750, 0o500));
        assert!(to.join("link").is_symlink());
        // Once more, over what is there.
        unpack(&*tar, &to, true).unwrap();
        let owners = tar::Archive::new(&*tar).entries().unwrap().all(|e| {
            let e = e.unwrap();
            (e.header().uid().unwrap(), e.header().gid().unwrap()) == (0, 0)
        });
        assert!(owners, "files belong to root in a container");
    }

    #[test]
    fn the_contents_alone_have_no_top() {
        let dir = tree();
        let (tar, _) = packed(&dir.path().join("app"), "");
        let names: Vec<_> = tar::Archive::new(&*tar)
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["link", "run", "sub/", "sub/long"]);
        let to = dir.path().join("into");
        fs::create_dir(&to).unwrap();
        unpack(&*tar, &to, false).unwrap();
        assert!(to.join("sub/long").is_file());
    }

    fn archive(entries: &[(tar::EntryType, &str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (kind, name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(0);
            // Names as a hostile program writes them: the library itself refuses some.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            if kind.is_symlink() || kind.is_hard_link() {
                header.set_link_name_literal(content).unwrap();
                header.set_cksum();
                tar.append(&header, io::empty()).unwrap();
            } else {
                header.set_size(content.len() as u64);
                header.set_cksum();
                tar.append(&header, content.as_bytes()).unwrap();
            }
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn a_hostile_archive_writes_nothing_elsewhere() {
        use tar::EntryType::{Link, Regular, Symlink};
        let dir = tempfile::tempdir().unwrap();
        let (to, outside) = (dir.path().join("to"), dir.path().join("outside"));
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "mine").unwrap();
        let elsewhere = outside.display().to_string();
        let secret = outside.join("secret").display().to_string();
        for entries in [
            &[(Regular, "app/../../outside/new", "x")][..],
            &[(Symlink, "app/link", elsewhere.as_str()), (Regular, "app/link/new", "x")],
            &[(Link, "app/hard", "app/../../outside/secret"), (Regular, "app/hard", "x")],
        ] {
            let _ = fs::remove_dir_all(&to);
            fs::create_dir(&to).unwrap();
            let error = unpack(&*archive(entries), &to, true).unwrap_err();
            assert!(matches!(error, Error::Copy { .. }), "{entries:?}: {error:?}");
            assert!(!outside.join("new").exists(), "{entries:?}");
        }
        // A file in place of a link replaces the link, not what it leads to.
        let entries = [(Symlink, "app/s", secret.as_str()), (Regular, "app/s", "theirs")];
        unpack(&*archive(&entries), &to, true).unwrap();
        assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(to.join("s")).unwrap(), "theirs");
    }

    #[test]
    fn a_file_that_shrinks_breaks_the_archive_off() {
        let mut exactly = Exactly { inner: &b"abc"[..], left: 5 };
        let mut all = Vec::new();
        assert!(exactly.read_to_end(&mut all).is_err());
        let mut exactly = Exactly { inner: &b"abcdef"[..], left: 5 };
        all.clear();
        exactly.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abcde");
    }
}
