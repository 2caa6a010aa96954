//! Which starts of containers have had all their hooks, beyond the life of the daemon.
//!
//! One small file for each container in a directory of the agent's own: its name is the container's id,
//! its content the start. A daemon that is restarted reads them and runs no hook twice that has ended;
//! what was under way runs again. Without a directory it is known for as long as the agent lives.
//! Nothing of what hooks are or say is ever written here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jaco_api::model::Timestamp;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::memory::RunId;

/// The starts whose hooks have ended.
#[derive(Debug)]
pub(crate) struct Marks {
    directory: Option<Arc<Path>>,
    known: Mutex<BTreeMap<String, String>>,
}

/// A start, as it is written.
fn text_of(started_at: Option<Timestamp>) -> String {
    started_at.map(|at| at.to_string()).unwrap_or_default()
}

/// Whether an id can name a file.
fn is_name(id: &str) -> bool {
    !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl Marks {
    /// Below this directory of the agent, which is made when it is needed.
    pub(crate) fn at(directory: Option<PathBuf>) -> Self {
        let directory = directory.map(|directory| directory.join("hooks"));
        Self { directory: directory.map(Into::into), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what earlier agents wrote.
    pub(crate) fn load(&self) {
        let Some(directory) = self.directory.clone() else { return };
        match blocking(|| read(&directory)) {
            Ok(found) => *self.known() = found,
            Err(error) => tracing::warn!(%error, "cannot read which hooks have ended"),
        }
    }

    /// Whether all hooks of this start have ended.
    pub(crate) fn has(&self, run: &RunId) -> bool {
        self.known().get(&run.0).is_some_and(|start| *start == text_of(run.1))
    }

    /// All hooks of this start have ended. On disk when this returns.
    pub(crate) fn set(&self, run: &RunId) {
        let (id, start) = (run.0.clone(), text_of(run.1));
        self.known().insert(id.clone(), start.clone());
        let Some(directory) = self.directory.clone().filter(|_| is_name(&id)) else { return };
        if let Err(error) = blocking(|| write(&directory, &id, &start)) {
            tracing::warn!(%error, "the hooks of a container run again when the daemon is restarted");
        }
    }

    /// The containers that have marks.
    pub(crate) fn containers(&self) -> BTreeSet<String> {
        self.known().keys().cloned().collect()
    }

    /// Forgets containers.
    pub(crate) fn forget(&self, gone: BTreeSet<String>) {
        self.known().retain(|id, _| !gone.contains(id));
        let Some(directory) = self.directory.clone().filter(|_| !gone.is_empty()) else { return };
        let removed = blocking(|| {
            gone.iter().filter(|id| is_name(id)).try_for_each(|id| {
                match fs::remove_file(directory.join(id)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                }
            })
        });
        if let Err(error) = removed {
            tracing::warn!(%error, "marks of containers that are gone are left");
        }
    }
}

/// Does file work. Other tasks go on meanwhile where there are other threads; in a runtime of one thread
/// it is done in its turn, so that a simulation takes the same steps each time.
pub(super) fn blocking<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::block_in_place(work),
    }
}

fn read(directory: &Path) -> io::Result<BTreeMap<String, String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut known = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().filter(|id| is_name(id)).map(str::to_owned)
        else {
            continue;
        };
        known.insert(id, fs::read_to_string(entry.path())?);
    }
    Ok(known)
}

/// All or nothing, and not lost in a crash.
pub(super) fn write(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let draft = directory.join(format!("{name}.new"));
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, directory.join(name))?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn marks_outlive_the_agent_and_go_with_the_container() {
        let scratch = tempfile::tempdir().unwrap();
        let agent = scratch.path().join("agent");
        let directory = agent.join("hooks");
        let run = |id: &str, at: u64| (id.to_owned(), Some(Timestamp(at)));
        let marks = Marks::at(Some(agent.clone()));
        marks.load();
        assert!(!marks.has(&run("a1", 5)));
        marks.set(&run("a1", 5));
        marks.set(&run("b2", 6));
        marks.set(&run("b2", 7));

        let later = Marks::at(Some(agent));
        later.load();
        assert!(later.has(&run("a1", 5)) && later.has(&run("b2", 7)));
        // Of another start, another container.
        assert!(!later.has(&run("a1", 6)) && !later.has(&run("b2", 6)) && !later.has(&run("c", 5)));
        later.forget(["a1".to_owned()].into());
        assert!(!later.has(&run("a1", 5)));
        assert_eq!(read(&directory).unwrap().into_keys().collect::<Vec<_>>(), ["b2"]);
    }

    #[tokio::test]
    async fn what_cannot_be_kept_is_known_for_the_life_of_the_agent() {
        let run = ("../../etc/passwd".to_owned(), None);
        let scratch = tempfile::tempdir().unwrap();
        let marks = Marks::at(Some(scratch.path().to_owned()));
        marks.set(&run);
        assert!(marks.has(&run));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        let marks = Marks::at(None);
        marks.set(&run);
        assert!(marks.has(&run) && marks.containers().len() == 1);
    }
}
