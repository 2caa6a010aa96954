//! Secrets and configs of containers: files in the memory of the host, mounted one by one.
//!
//! Each container with files has a directory of its own in a tmpfs, so that nothing of them is ever
//! written to a disk and `docker inspect` shows paths alone. The directory goes with the container;
//! what a killed node left behind goes when the next one makes or removes a container.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    sync::Arc,
};

use jaco_api::model::AssignedFile;
use rustix::{
    fs::statfs,
    io::Errno,
    mount::{MountFlags, mount},
};
use tokio::sync::OnceCell;

use super::{DockerRuntime, error::Engine as _};
use crate::container::RuntimeError;

/// Where they are unless the node says otherwise.
const DIRECTORY: &str = "/run/jaco/files";
/// `f_type` of a tmpfs and of a ramfs (`statfs(2)`).
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
/// Most memory that all files of the node may take.
const MOST: &str = "256m";

/// The directory of a node's files. Clones share what is known of it.
#[derive(Debug, Clone)]
pub(super) struct MemoryFiles {
    directory: Arc<Path>,
    /// Set once it is in memory and nothing is left in it that no container uses.
    ready: Arc<OnceCell<()>>,
}

/// A file of the host and where a container finds it.
pub(super) type Binds = BTreeMap<PathBuf, String>;

impl Default for MemoryFiles {
    fn default() -> Self {
        Self::at(DIRECTORY.as_ref())
    }
}

impl MemoryFiles {
    pub(super) fn at(directory: &Path) -> Self {
        Self { directory: directory.into(), ready: Arc::default() }
    }

    /// Whether there is nothing of any container.
    fn is_empty(&self) -> bool {
        fs::read_dir(&self.directory).map_or(true, |mut entries| entries.next().is_none())
    }

    /// The directory of a container, when this file of the host is one of its files.
    fn home_of(&self, file: &str) -> Option<PathBuf> {
        let below = Path::new(file).strip_prefix(&self.directory).ok()?;
        Some(self.directory.join(below.components().next()?))
    }
}

impl DockerRuntime {
    /// Writes the files of a container that is to be made.
    pub(super) async fn provide_files(
        &self,
        container: &str,
        files: &[AssignedFile],
    ) -> Result<Binds, RuntimeError> {
        self.settle_files(!files.is_empty()).await?;
        if files.is_empty() {
            return Ok(Binds::new());
        }
        let home = self.files.directory.join(format!("{container}.{}", uuid::Uuid::new_v4()));
        let files = files.to_vec();
        blocking("write the files of a container", move || write_all(&home, &files)).await
    }

    /// Takes back what [`Self::provide_files`] wrote for a container that was not made.
    pub(super) fn withdraw_files(&self, binds: &Binds) {
        for home in binds.keys().filter_map(|file| file.parent()).take(1) {
            discard(home);
        }
    }

    /// Writes those files of a container anew that are gone.
    pub(super) async fn replace_files(
        &self,
        id: &str,
        files: &[AssignedFile],
    ) -> Result<(), RuntimeError> {
        self.settle_files(true).await?;
        let found = self.mounts_of(id).await?;
        let wanted = files.to_vec();
        blocking("write the files of a container", move || {
            for file in &wanted {
                let bind = found.iter().find(|(_, target)| **target == file.target);
                if let Some((path, _)) = bind.filter(|(path, _)| !path.exists()) {
                    write(path, file)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// The directories that go with a container.
    pub(super) async fn homes_of(&self, id: &str) -> Result<Vec<PathBuf>, RuntimeError> {
        self.settle_files(false).await?;
        if self.files.is_empty() {
            return Ok(Vec::new());
        }
        let mounts = self.mounts_of(id).await?;
        let mut homes: Vec<_> =
            mounts.keys().filter_map(|path| path.parent().map(Path::to_owned)).collect();
        homes.dedup();
        Ok(homes)
    }

    /// The container is gone: so are its files.
    pub(super) fn discard_files(&self, homes: &[PathBuf]) {
        homes.iter().for_each(|home| discard(home));
    }

    /// The files of ours that a container mounts.
    async fn mounts_of(&self, id: &str) -> Result<Binds, RuntimeError> {
        let inspect = self.client().await?.inspect_container(id, None).await;
        let mounts = inspect.engine(self, "inspect")?.mounts.unwrap_or_default();
        let own = mounts.into_iter().filter_map(|m| {
            let source = m.source.filter(|s| self.files.home_of(s).is_some())?;
            Some((PathBuf::from(source), m.destination?))
        });
        Ok(own.collect())
    }

    /// Makes sure, once, that the directory is in memory when it is needed, and that it holds nothing
    /// which no container uses.
    async fn settle_files(&self, needed: bool) -> Result<(), RuntimeError> {
        if !needed && self.files.is_empty() {
            return Ok(());
        }
        let settle = async {
            let directory = Arc::clone(&self.files.directory);
            blocking("keep files in memory", move || in_memory(&directory)).await?;
            let used = self.used_homes().await?;
            let directory = Arc::clone(&self.files.directory);
            blocking("look for files in memory", move || {
                for entry in fs::read_dir(&directory)? {
                    let home = entry?.path();
                    if !used.contains(&home) {
                        discard(&home);
                    }
                }
                Ok(())
            })
            .await
        };
        self.files.ready.get_or_try_init(|| settle).await.copied()
    }

    /// The directories that containers of the engine use, whoever made those.
    async fn used_homes(&self) -> Result<Vec<PathBuf>, RuntimeError> {
        let options = bollard::query_parameters::ListContainersOptionsBuilder::default().all(true);
        let all = self.client().await?.list_containers(Some(options.build())).await;
        let all = all.engine(self, "list")?;
        let mounts = all.into_iter().flat_map(|c| c.mounts.unwrap_or_default());
        Ok(mounts.filter_map(|m| self.files.home_of(m.source.as_deref()?)).collect())
    }
}

/// Runs file work where it holds up nothing else.
async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, RuntimeError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.flatten().map_err(|source| RuntimeError::Files { operation, source })
}

fn discard(home: &Path) {
    if let Err(error) = fs::remove_dir_all(home)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(home = %home.display(), %error, "files of a container are left in memory");
    }
}

/// Makes the directory, and a tmpfs of it unless it is in one already.
fn in_memory(directory: &Path) -> io::Result<()> {
    // Containers of other users look their files up by bind mounts, never through it.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let kind = statfs(directory)?.f_type;
    #[allow(clippy::unnecessary_cast, reason = "its width differs between platforms")]
    if IN_MEMORY.contains(&(kind as i64 & 0xffff_ffff)) {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = |swap: &str| std::ffi::CString::new(format!("mode=0700,size={MOST}{swap}"));
    // What is swapped out is on a disk; kernels before 6.4 cannot forbid it.
    let mounted = match mount("jaco", directory, "tmpfs", flags, options(",noswap")?.as_c_str()) {
        Err(Errno::INVAL) => mount("jaco", directory, "tmpfs", flags, options("")?.as_c_str()),
        other => other,
    };
    mounted.map_err(|errno| {
        let error = io::Error::from(errno);
        let place = directory.display();
        let message = format!("{place} is in no tmpfs and none can be mounted there: {error}");
        io::Error::new(error.kind(), message)
    })
}

fn write_all(home: &Path, files: &[AssignedFile]) -> io::Result<Binds> {
    let mut binds = Binds::new();
    let written = files.iter().enumerate().try_for_each(|(index, file)| {
        let path = home.join(index.to_string());
        write(&path, file)?;
        binds.insert(path, file.target.clone());
        Ok(())
    });
    if written.is_err() {
        discard(home);
    }
    written.map(|()| binds)
}

/// Nobody sees it before it has its owner and mode.
fn write(path: &Path, file: &AssignedFile) -> io::Result<()> {
    let home = path.parent().unwrap_or(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(home)?;
    let draft = path.with_extension("new");
    fs::write(&draft, &file.content.0)?;
    // In this order: who has given a file away may not change its mode any more.
    fs::set_permissions(&draft, fs::Permissions::from_mode(file.mode))?;
    chown(&draft, Some(file.uid), Some(file.gid))?;
    fs::rename(&draft, path)
}
