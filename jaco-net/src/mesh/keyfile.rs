//! The file of this node's private key.
//!
//! In: a path. Out: the key in it, or a new one that is durable in it before anybody learns its public
//! half. The text is that of `wg genkey`. A key that others can read is not used: it is no secret any more.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use super::PrivateKey;

/// 32 bytes in base64.
const TEXT: usize = 44;

/// Why the private key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("cannot {operation} the mesh key {}", path.display())]
    File {
        /// What was tried, for example `read`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What is in the file is no key. It is left alone: a new key would cut this node off.
    #[error("{} holds no mesh key: restore it, or remove it and rotate the key of this node", .0.display())]
    NoKey(PathBuf),
    /// Others than the owner may read it.
    #[error("{} can be read by others (mode {mode:04o}): chmod 0600, and rotate the key", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// The private key of this node, in its file.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at this path, for example `<data>/wg/private.key`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The key in the file, or a new one if there is no file yet.
    ///
    /// # Errors
    /// The file cannot be read or written, holds no key, or others may read it.
    pub fn load_or_create(&self) -> Result<PrivateKey, KeyFileError> {
        if let Some(key) = self.load()? {
            return Ok(key);
        }
        let key = PrivateKey::generate();
        self.replace(&key)?;
        Ok(key)
    }

    /// The key in the file; `None` if there is no file.
    ///
    /// # Errors
    /// The file cannot be read, holds no key, or others may read it.
    pub fn load(&self) -> Result<Option<PrivateKey>, KeyFileError> {
        let read = |source| self.failed("read", source);
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(read)?,
        };
        let mode = file.metadata().map_err(read)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Exposed { path: self.path.clone(), mode });
        }
        // One byte more than a key and its line end, so that anything longer is seen as such.
        let mut text = Zeroizing::new([0; TEXT + 2]);
        let mut length = 0;
        loop {
            match file.read(&mut text[length..]).map_err(read)? {
                0 => break,
                more => length += more,
            }
        }
        let text = text[..length].trim_ascii_end();
        self.parse(text).map(Some)
    }

    /// Replaces the key, durably: after a crash it is the former one or this one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replace(&self, key: &PrivateKey) -> Result<(), KeyFileError> {
        let write = |source| self.failed("write", source);
        let directory = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(write)?;
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let aside = self.path.with_file_name(name);
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(write(error)),
            _ => {}
        }
        let written = write_new(&aside, key).and_then(|()| fs::rename(&aside, &self.path));
        if let Err(error) = written {
            let _ = fs::remove_file(&aside);
            return Err(write(error));
        }
        File::open(directory).and_then(|d| d.sync_all()).map_err(write)
    }

    fn parse(&self, text: &[u8]) -> Result<PrivateKey, KeyFileError> {
        let mut bytes = Zeroizing::new([0; 33]);
        match BASE64_STANDARD.decode_slice(text, bytes.as_mut()) {
            Ok(32) => {
                let mut key = [0; 32];
                key.copy_from_slice(&bytes[..32]);
                Ok(PrivateKey::new(key))
            }
            _ => Err(KeyFileError::NoKey(self.path.clone())),
        }
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> KeyFileError {
        KeyFileError::File { operation, path: self.path.clone(), source }
    }
}

fn write_new(path: &Path, key: &PrivateKey) -> io::Result<()> {
    let mut text = Zeroizing::new([b'\n'; TEXT + 1]);
    let length = BASE64_STANDARD.encode_slice(key.expose(), text.as_mut());
    debug_assert!(matches!(length, Ok(TEXT)), "32 bytes are {TEXT} digits");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_ref())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::at(directory.path().join("wg/private.key"));
        assert!(file.load().unwrap().is_none());
        let made = file.load_or_create().unwrap();
        assert_eq!(file.load_or_create().unwrap().expose(), made.expose());
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file.path), 0o600);
        assert_eq!(mode(file.path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(file.path.parent().unwrap()).unwrap().count(), 1, "no left-overs");
    }

    #[test]
    fn the_text_is_that_of_wg_genkey() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::at(directory.path().join("private.key"));
        file.replace(&PrivateKey::new([0x42; 32])).unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        assert_eq!(text, "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\n");
    }

    #[test]
    fn a_new_key_takes_the_place_of_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::at(directory.path().join("private.key"));
        file.load_or_create().unwrap();
        let next = PrivateKey::generate();
        file.replace(&next).unwrap();
        assert_eq!(file.load().unwrap().unwrap().public(), next.public());
    }

    #[test]
    fn what_is_no_key_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::at(directory.path().join("private.key"));
        let long = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\nmore";
        for text in ["", "nonsense", "QkJC", long] {
            fs::write(&file.path, text).unwrap();
            fs::set_permissions(&file.path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(file.load_or_create(), Err(KeyFileError::NoKey(_))), "{text:?}");
            assert_eq!(fs::read_to_string(&file.path).unwrap(), text);
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::at(directory.path().join("private.key"));
        file.load_or_create().unwrap();
        fs::set_permissions(&file.path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(file.load(), Err(KeyFileError::Exposed { mode: 0o640, .. })));
    }
}
