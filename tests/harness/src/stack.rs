//! Manifests on disk, to be applied and edited by tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{HarnessError, Result};

/// A directory with a jaco.yaml, a compose.yml and what they name.
#[derive(Debug)]
pub struct Stack {
    directory: PathBuf,
}

impl Stack {
    /// Writes a stack of two texts into `directory`.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn write(directory: impl Into<PathBuf>, jaco: &str, compose: &str) -> Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(HarnessError::file("create", &directory))?;
        let stack = Self { directory };
        stack.put("jaco.yaml", jaco)?;
        stack.put("compose.yml", compose)?;
        Ok(stack)
    }

    /// Copies the files (not the folders) of a stack to `directory`.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub fn copy(from: &Path, directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(HarnessError::file("create", &directory))?;
        for entry in fs::read_dir(from).map_err(HarnessError::file("list", from))? {
            let path = entry.map_err(HarnessError::file("list", from))?.path();
            if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                fs::copy(&path, directory.join(name)).map_err(HarnessError::file("copy", &path))?;
            }
        }
        Ok(Self { directory })
    }

    /// Path of its jaco.yaml, as `jaco apply` takes it.
    #[must_use]
    pub fn manifest(&self) -> String {
        self.directory.join("jaco.yaml").display().to_string()
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes one of its files.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, name: &str, text: impl AsRef<[u8]>) -> Result<()> {
        let path = self.directory.join(name);
        fs::write(&path, text).map_err(HarnessError::file("write", path))
    }

    /// Replaces a text in one of its files.
    ///
    /// # Errors
    /// The file cannot be read or written.
    ///
    /// # Panics
    /// The text is not in the file: the test and the stack have drifted apart.
    pub fn edit(&self, name: &str, from: &str, to: &str) -> Result<()> {
        let path = self.directory.join(name);
        let text = fs::read_to_string(&path).map_err(HarnessError::file("read", &path))?;
        assert!(text.contains(from), "{name} does not hold {from:?}:\n{text}");
        self.put(name, text.replace(from, to))
    }
}
