//! The local socket: whoever may open it is an administrator of this node.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

/// Why the local socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon listens on it.
    #[error("another daemon listens on {}; `unix_socket` in jacod.yaml chooses another place", .0.display())]
    InUse(PathBuf),
    /// Something else is at its place.
    #[error("{} exists and is no socket; `unix_socket` in jacod.yaml chooses another place", .0.display())]
    NoSocket(PathBuf),
    /// The operating system refuses.
    #[error("cannot {operation} {} (`unix_socket` in jacod.yaml)", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The socket file; removed when dropped.
#[derive(Debug)]
pub struct UnixSocket {
    path: PathBuf,
    /// Device and inode of our file: another daemon's file at the same place stays.
    file: (u64, u64),
}

impl UnixSocket {
    /// Opens the socket with mode 0660 for the group. Without such a group it stays with the
    /// daemon's own group, with a warning: root can still use it.
    ///
    /// # Errors
    /// [`SocketError`].
    pub async fn bind(
        path: &Path,
        group: Option<&str>,
    ) -> Result<(Self, UnixListener), SocketError> {
        let failed =
            |operation| move |source| SocketError::Io { operation, path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed("create the directory of"))?;
        }
        clear(path).await?;
        // Made beside its place, so that nobody meets it with other permissions than its own.
        let aside = path.with_extension(format!("{}.new", std::process::id()));
        let _ = fs::remove_file(&aside);
        let listener = UnixListener::bind(&aside).map_err(failed("listen on"))?;
        let placed = fs::set_permissions(&aside, fs::Permissions::from_mode(0o660))
            .map_err(failed("set the mode of"))
            .and_then(|()| hand_over(&aside, group).map_err(failed("set the group of")))
            .and_then(|()| fs::rename(&aside, path).map_err(failed("place")))
            .and_then(|()| identity(path).map_err(failed("look at")));
        match placed {
            Ok(file) => Ok((Self { path: path.to_owned(), file }, listener)),
            Err(error) => {
                let _ = fs::remove_file(&aside);
                Err(error)
            }
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    fs::symlink_metadata(path).map(|m| (m.dev(), m.ino()))
}

/// Removes a socket that nobody listens on.
async fn clear(path: &Path) -> Result<(), SocketError> {
    let failed =
        |operation| move |source| SocketError::Io { operation, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed("look at")(e)),
        Ok(m) if !m.file_type().is_socket() => return Err(SocketError::NoSocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove the left-over"))
        }
        Err(e) => Err(failed("try")(e)),
    }
}

fn hand_over(path: &Path, group: Option<&str>) -> io::Result<()> {
    let Some(group) = group else { return Ok(()) };
    match group_id(&fs::read_to_string("/etc/group").unwrap_or_default(), group) {
        Some(gid) => chown(path, None, Some(gid)).or_else(|error| {
            tracing::warn!(group, %error, "the local socket cannot be given to its group");
            Ok(())
        }),
        None => {
            tracing::warn!(
                group,
                "there is no such group: the local socket stays with the daemon's own"
            );
            Ok(())
        }
    }
}

/// The number of a group in the text of `/etc/group`.
fn group_id(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_has_its_mode_and_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/jaco.sock");
        let (socket, listener) = UnixSocket::bind(&path, Some("no-such-group")).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(UnixSocket::bind(&path, None).await, Err(SocketError::InUse(_))));
        // A daemon that was killed leaves its socket behind.
        drop(listener);
        std::mem::forget(socket);
        let (socket, _listener) = UnixSocket::bind(&path, None).await.unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jaco.sock");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(UnixSocket::bind(&path, None).await, Err(SocketError::NoSocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let groups = "root:x:0:\njacob:x:7:\njaco:x:991:ada,bob\nbroken\n";
        assert_eq!(group_id(groups, "jaco"), Some(991));
        assert_eq!(group_id(groups, "jac"), None);
        assert_eq!(group_id(groups, "broken"), None);
    }
}
