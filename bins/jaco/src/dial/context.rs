//! Named clusters: `contexts.yaml` in the user's configuration directory, readable by its owner
//! only because it holds tokens.

use std::{collections::BTreeMap, fmt, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::Environment;
use crate::{error::Error, files};

/// One cluster and how it is reached.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// `host:port` of nodes, in the order they are tried.
    pub servers: Vec<String>,
    /// The operator token.
    pub token: String,
    /// The CA certificate to pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<PathBuf>,
    /// The CA's fingerprint to pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_fingerprint: Option<String>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// Every named cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The one that is used when nothing else is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

impl Contexts {
    /// Where the file is.
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn path(env: &Environment) -> Result<PathBuf, Error> {
        env.filled("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| env.filled("HOME").map(|home| PathBuf::from(home).join(".config")))
            .map(|config| config.join("jaco/contexts.yaml"))
            .ok_or(Error::NoHome)
    }

    /// What the file holds; nothing when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(env: &Environment) -> Result<Self, Error> {
        let path = Self::path(env)?;
        let bad = |source| Error::Contexts { path: path.clone(), source };
        match files::read(&path) {
            Ok(text) => Self::parse(&text).map_err(|e| bad(Box::new(e))),
            Err(crate::error::FileError::Read { source })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            Err(e) => Err(bad(Box::new(e))),
        }
    }

    /// As [`Contexts::load`], but a missing home directory means no contexts.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load_if_there(env: &Environment) -> Result<Self, Error> {
        match Self::load(env) {
            Err(Error::NoHome) => Ok(Self::default()),
            other => other,
        }
    }

    /// Reads the text of the file. Never quotes it in an error: it holds tokens.
    ///
    /// # Errors
    /// When it is not what [`Contexts::to_text`] writes.
    pub fn parse(text: &str) -> Result<Self, serde_saphyr::Error> {
        serde_saphyr::from_str_with_options(text, serde_saphyr::options! { with_snippet: false })
    }

    /// The text of the file.
    ///
    /// # Errors
    /// When it cannot be written as YAML.
    pub fn to_text(&self) -> Result<String, serde_saphyr::ser::Error> {
        serde_saphyr::to_string(self)
    }

    /// Writes the file, readable by its owner only.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store(&self, env: &Environment) -> Result<(), Error> {
        let path = Self::path(env)?;
        let bad = |source| Error::Contexts { path: path.clone(), source };
        let text = self.to_text().map_err(|e| bad(Box::new(e)))?;
        files::write_private(&path, &text).map_err(|e| bad(Box::new(e)))
    }

    /// One of them.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn take(&mut self, name: &str) -> Result<Context, Error> {
        self.contexts.remove(name).ok_or_else(|| Error::UnknownContext { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let env = Environment::new([("HOME", home.path().to_str().unwrap())], "/nonexistent");
        // Tokens that YAML could take for numbers.
        for token in ["1".repeat(64), format!("{}e9", "1".repeat(62)), "ab".repeat(32)] {
            let context = Context {
                servers: vec!["10.0.0.1:7000".into(), "[::1]:7000".into()],
                token,
                ca_cert: None,
                ca_fingerprint: Some(format!("sha256:{}", "0".repeat(64))),
            };
            let contexts = BTreeMap::from([("prod".to_owned(), context)]);
            let all = Contexts { current: Some("prod".into()), contexts };
            all.store(&env).unwrap();
            assert_eq!(Contexts::load(&env).unwrap(), all);
        }
        let path = Contexts::path(&env).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft stays");
    }

    #[test]
    fn a_broken_file_is_refused_without_quoting_it() {
        let token = "ab".repeat(32);
        for broken in [format!("contexts:\n  a: {{token: {token}"), format!("{token}: {token}")] {
            let error = Contexts::parse(&broken).unwrap_err().to_string();
            assert!(!error.contains("\n  |"), "no snippet: {error}");
        }
    }
}
