//! Secrets and configs: small files that containers find in memory.
//!
//! A file's content is part of the manifest (sealed with the container document) or belongs to the
//! cluster under a name. Contents are never shown by [`fmt::Debug`].

use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{FileName, InvalidName, Sealed, Timestamp};

/// Most bytes of a secret or config.
pub const MOST_FILE_BYTES: usize = 512 << 10;

/// What a file is for: it decides where it is mounted and who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Nobody but its users may see it.
    Secret,
    /// Settings; kept like a secret all the same.
    Config,
}

impl FileKind {
    /// The word for it: `secret` or `config`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A secret or config of the cluster, written `secret/<name>` or `config/<name>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileId {
    /// Whether it is a secret.
    pub kind: FileKind,
    /// Its name, unique among those of its kind.
    pub name: FileName,
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.kind, self.name))
    }
}
impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for FileId {
    type Err = InvalidName;
    fn from_str(s: &str) -> Result<Self, InvalidName> {
        let (kind, name) = match s.split_once('/') {
            Some(("secret", name)) => (FileKind::Secret, name),
            Some(("config", name)) => (FileKind::Config, name),
            _ => {
                let problem = "is not of the form secret/<name> or config/<name>";
                return Err(InvalidName::new("file", s, problem));
            }
        };
        Ok(Self { kind, name: name.parse()? })
    }
}
impl TryFrom<String> for FileId {
    type Error = InvalidName;
    fn try_from(s: String) -> Result<Self, InvalidName> {
        s.parse()
    }
}
impl From<FileId> for String {
    fn from(id: FileId) -> String {
        id.to_string()
    }
}

/// The bytes of a file. Shared, and shown by nothing but its serialised form: `{"text": …}`, or
/// `{"base64": …}` when it is no UTF-8.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct FileContent(pub Arc<[u8]>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    Text(String),
    Base64(String),
}

impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileContent({} bytes)", self.0.len())
    }
}
impl From<&str> for FileContent {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}
impl From<FileContent> for Written {
    fn from(content: FileContent) -> Self {
        match std::str::from_utf8(&content.0) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(content.0)),
        }
    }
}
impl TryFrom<Written> for FileContent {
    type Error = base64::DecodeError;
    fn try_from(written: Written) -> Result<Self, base64::DecodeError> {
        Ok(Self(match written {
            Written::Text(text) => text.into_bytes().into(),
            Written::Base64(text) => STANDARD.decode(text)?.into(),
        }))
    }
}

/// Where a mounted file comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSource {
    /// From the manifest.
    Content(FileContent),
    /// From the cluster: what it holds when the container is made.
    Named(FileId),
}

/// A file that a container finds; it lives in the memory of its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMount {
    /// Absolute path in the container.
    pub target: String,
    /// What is in it.
    pub source: FileSource,
    /// Its owner.
    #[serde(default, skip_serializing_if = "super::container::is_default")]
    pub uid: u32,
    /// Its group.
    #[serde(default, skip_serializing_if = "super::container::is_default")]
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

/// A secret or config of the cluster, as the state keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Kind and name.
    pub id: FileId,
    /// Its content.
    pub content: Sealed,
    /// Bytes of its content.
    pub size: u64,
    /// Globs of the deployments that may use it; empty means every one.
    pub deployments: Vec<String>,
    /// Rises with every new content, from 1.
    pub version: u64,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When its content was last set.
    pub updated_at: Timestamp,
}

/// A secret or config of the cluster without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    /// Its name.
    pub name: FileName,
    /// Rises with every new content, from 1.
    pub version: u64,
    /// Bytes of its content.
    pub size: u64,
    /// Globs of the deployments that may use it; empty means every one.
    pub deployments: Vec<String>,
    /// The services that use it, as `<deployment>/<service>`.
    pub used_by: Vec<String>,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When its content was last set.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_contents_are_not_shown() {
        for text in ["secret/db_password", "config/nginx.conf"] {
            assert_eq!(text.parse::<FileId>().unwrap().to_string(), text);
        }
        for text in ["db", "secrets/db", "secret/", "config/a b"] {
            assert!(text.parse::<FileId>().is_err(), "{text}");
        }
        let content = FileContent::from("hunter2");
        assert_eq!(format!("{content:?}"), "FileContent(7 bytes)");
    }

    #[test]
    fn contents_are_written_as_text_where_they_are_text() {
        for (bytes, json) in [
            (&b"hunter2"[..], r#"{"text":"hunter2"}"#),
            (&[0xff, 0x00][..], r#"{"base64":"/wA="}"#),
        ] {
            let content = FileContent(bytes.into());
            assert_eq!(serde_json::to_string(&content).unwrap(), json);
            assert_eq!(serde_json::from_str::<FileContent>(json).unwrap(), content);
        }
    }
}
