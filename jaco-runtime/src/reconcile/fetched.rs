//! When this node fetched its images, beyond the life of the daemon.
//!
//! Engines do not tell: Docker's classic image store has no time for an image that was pulled, and none
//! counts a pull that found the same image at its registry. One small file in a directory of the
//! agent's own has a line for each image that is assigned here. Without a directory it is known for as
//! long as the agent lives.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jaco_api::model::Timestamp;

use super::marks::{blocking, write};
use crate::container::ImageRef;

/// The file's name.
const FILE: &str = "images";

type Times = BTreeMap<ImageRef, Timestamp>;

/// When images were fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    directory: Option<Arc<Path>>,
    known: Mutex<Times>,
    /// Held while the file is written, so that the newest is written last.
    writing: Mutex<()>,
}

impl Fetched {
    /// In this directory, which is made when it is needed.
    pub(crate) fn at(directory: Option<PathBuf>) -> Self {
        let directory = directory.map(Into::into);
        Self { directory, known: Mutex::default(), writing: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Times> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what earlier agents wrote.
    pub(crate) fn load(&self) {
        let Some(directory) = self.directory.clone() else { return };
        match blocking(|| read(&directory.join(FILE))) {
            Ok(found) => *self.known() = found,
            Err(error) => tracing::warn!(%error, "cannot read when images were fetched"),
        }
    }

    /// When an image was fetched last.
    pub(crate) fn get(&self, image: &ImageRef) -> Option<Timestamp> {
        self.known().get(image).copied()
    }

    /// An image was fetched; others are forgotten unless they are needed.
    pub(crate) fn set(&self, image: &ImageRef, at: Timestamp, needed: impl Fn(&ImageRef) -> bool) {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = {
            let mut known = self.known();
            known.retain(|image, _| needed(image));
            known.insert(image.clone(), at);
            text_of(&known)
        };
        let Some(directory) = self.directory.clone() else { return };
        if let Err(error) = blocking(|| write(&directory, FILE, &text)) {
            tracing::warn!(%error, "images are fetched again when the daemon is restarted");
        }
    }
}

fn text_of(times: &Times) -> String {
    let mut text = String::new();
    for (image, at) in times {
        let platform = image.platform.as_deref().unwrap_or("-");
        let _ = writeln!(text, "{at} {platform} {}", image.name);
    }
    text
}

fn read(file: &Path) -> io::Result<Times> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Times::new()),
        text => text?,
    };
    // A line that makes no sense is an image whose age is not known.
    let line = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (at, platform, name) = (words.next()?, words.next()?, words.next()?);
        let platform = Some(platform.to_owned()).filter(|platform| platform != "-");
        Some((ImageRef { name: name.to_owned(), platform }, at.parse().ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn times_outlive_the_agent_and_go_with_the_need() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("agent");
        let image = |name: &str, platform: Option<&str>| ImageRef {
            name: name.to_owned(),
            platform: platform.map(str::to_owned),
        };
        let (old, new) = (image("app:1", None), image("app:1", Some("linux/arm64")));
        let fetched = Fetched::at(Some(directory.clone()));
        fetched.load();
        fetched.set(&old, Timestamp(5_000), |_| true);
        fetched.set(&new, Timestamp(7_000), |_| true);

        let later = Fetched::at(Some(directory.clone()));
        later.load();
        assert_eq!(
            (later.get(&old), later.get(&new)),
            (Some(Timestamp(5_000)), Some(Timestamp(7_000)))
        );
        later.set(&new, Timestamp(8_000), |image| *image == new);
        fs::write(directory.join("none"), "").unwrap();
        assert_eq!(read(&directory.join(FILE)).unwrap(), [(new, Timestamp(8_000))].into());
        assert_eq!(later.get(&old), None);
    }

    #[tokio::test]
    async fn a_file_that_makes_no_sense_is_no_obstacle() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join(FILE), "x\n\n2026-01-01T00:00:00Z - app:1\nsoon - app:2\n")
            .unwrap();
        let fetched = Fetched::at(Some(scratch.path().to_owned()));
        fetched.load();
        assert_eq!(fetched.known().len(), 1);
    }
}
