//! The data keys of the cluster, in memory and wrapped on disk.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use jaco_api::model::Sealed;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    SealError,
    cipher::{self, KEY_LEN, Key},
};
use crate::durable;

/// File of the key that wraps the others; the only one that never leaves the node.
const NODE_KEY: &str = "node.key";

/// A data key on its way to another member over an authenticated channel.
#[derive(Clone)]
pub struct DataKey {
    /// Which one; rises with every rotation.
    pub id: u32,
    /// The key itself.
    pub key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({})", self.id)
    }
}

/// Seals with the newest data key, opens with any. Clones share their keys.
#[derive(Clone)]
pub struct Keyring {
    shared: Arc<RwLock<Keys>>,
}

struct Keys {
    data: BTreeMap<u32, Key>,
    /// The key that seals; the newest one before the cluster has said which.
    active: Option<u32>,
    /// Absent when nothing is kept on disk.
    home: Option<Home>,
}

struct Home {
    directory: PathBuf,
    node_key: Key,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.read().data.keys()).finish()
    }
}

impl Keyring {
    /// Reads the keys kept in `directory`. What is missing is made: the node's key always, a first
    /// data key when there is none.
    ///
    /// # Errors
    /// [`SealError`] when a file cannot be read or written, or is not what it should be.
    pub fn open_or_create(directory: impl AsRef<Path>) -> Result<Self, SealError> {
        let keyring = Self::load(directory)?;
        if keyring.read().data.is_empty() {
            keyring.rotate()?;
        }
        Ok(keyring)
    }

    /// Reads the keys kept in `directory`, where a joining node has none yet: they come with
    /// [`Self::import`].
    ///
    /// # Errors
    /// [`SealError`] when a file cannot be read or written, or is not what it should be.
    pub fn load(directory: impl AsRef<Path>) -> Result<Self, SealError> {
        let directory = directory.as_ref().to_owned();
        durable::private_directory(&directory).map_err(io_error("create", &directory))?;
        let node_key = read_or_create_node_key(&directory.join(NODE_KEY))?;
        let mut data = BTreeMap::new();
        for entry in fs::read_dir(&directory).map_err(io_error("list", &directory))? {
            let path = entry.map_err(io_error("list", &directory))?.path();
            if let Some(id) = data_key_id(&path) {
                data.insert(id, read_data_key(&path, id, &node_key)?);
            }
        }
        Ok(Self::of(data, Some(Home { directory, node_key })))
    }

    /// A keyring with one fresh key that is kept nowhere.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self::of(BTreeMap::from([(1, cipher::random_key())]), None)
    }

    fn of(data: BTreeMap<u32, Key>, home: Option<Home>) -> Self {
        Self { shared: Arc::new(RwLock::new(Keys { data, active: None, home })) }
    }

    /// Seals bytes with the key in force, tied to a context.
    ///
    /// # Panics
    /// When the keyring holds no data key: only before a joining node has received one, and then
    /// nothing asks it to seal.
    #[must_use]
    pub fn seal(&self, context: &str, plain: &[u8]) -> Sealed {
        let keys = self.read();
        let key_id = keys.in_force().expect("a member holds a data key");
        keys.seal(key_id, context, plain).expect("the key in force is there")
    }

    /// Seals bytes with one key, which need not be in force yet.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`].
    pub fn seal_with(&self, key_id: u32, context: &str, plain: &[u8]) -> Result<Sealed, SealError> {
        self.read().seal(key_id, context, plain).ok_or(SealError::UnknownKey { key_id })
    }

    /// The plain bytes of a value sealed in this context.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`] or [`SealError::DoesNotOpen`].
    pub fn open(&self, context: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let keys = self.read();
        let key =
            keys.data.get(&sealed.key_id).ok_or(SealError::UnknownKey { key_id: sealed.key_id })?;
        cipher::decrypt(key, context.as_bytes(), &sealed.bytes)
            .ok_or_else(|| SealError::DoesNotOpen { context: context.to_owned() })
    }

    /// Number of the key that seals.
    #[must_use]
    pub fn current(&self) -> Option<u32> {
        self.read().in_force()
    }

    /// Whether a key is here.
    #[must_use]
    pub fn has(&self, key_id: u32) -> bool {
        self.read().data.contains_key(&key_id)
    }

    /// Seals with this key from now on.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`] when it is not here.
    pub fn put_in_force(&self, key_id: u32) -> Result<(), SealError> {
        let mut keys = self.write();
        if !keys.data.contains_key(&key_id) {
            return Err(SealError::UnknownKey { key_id });
        }
        keys.active = Some(key_id);
        Ok(())
    }

    /// Makes a data key of this number, which is not in force yet.
    ///
    /// # Errors
    /// [`SealError::KeyMismatch`] when there is one, [`SealError::Io`] when it cannot be kept.
    pub fn make(&self, key_id: u32) -> Result<DataKey, SealError> {
        let mut keys = self.write();
        if keys.data.contains_key(&key_id) {
            return Err(SealError::KeyMismatch { key_id });
        }
        let key = cipher::random_key();
        keys.insert(key_id, key.clone())?;
        Ok(DataKey { id: key_id, key })
    }

    /// Forgets a key that was never in force.
    pub fn discard(&self, key_id: u32) {
        let mut keys = self.write();
        if keys.active == Some(key_id) {
            return;
        }
        keys.data.remove(&key_id);
        if let Some(home) = &keys.home {
            // It opens nothing; a later key of its number replaces it.
            let _ = fs::remove_file(home.path(key_id));
        }
    }

    /// Makes the next data key and seals with it from now on; its number is returned.
    ///
    /// # Errors
    /// [`SealError::Io`] when it cannot be kept; then nothing changes.
    pub fn rotate(&self) -> Result<u32, SealError> {
        let mut keys = self.write();
        let id = keys.data.last_key_value().map_or(1, |(id, _)| id + 1);
        keys.insert(id, cipher::random_key())?;
        keys.active = Some(id);
        Ok(id)
    }

    /// Every data key, for a member that has just joined.
    #[must_use]
    pub fn export(&self) -> Vec<DataKey> {
        self.read().data.iter().map(|(id, key)| DataKey { id: *id, key: key.clone() }).collect()
    }

    /// Takes over data keys of the cluster.
    ///
    /// # Errors
    /// [`SealError::KeyMismatch`] when another key of the same number is here,
    /// [`SealError::Io`] when one cannot be kept.
    pub fn import(&self, received: impl IntoIterator<Item = DataKey>) -> Result<(), SealError> {
        let mut keys = self.write();
        for DataKey { id, key } in received {
            match keys.data.get(&id) {
                Some(known) if bool::from(known[..].ct_eq(&key[..])) => {}
                Some(_) => return Err(SealError::KeyMismatch { key_id: id }),
                None => keys.insert(id, key)?,
            }
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.shared.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Home {
    fn path(&self, id: u32) -> PathBuf {
        self.directory.join(format!("data-{id:010}.key"))
    }
}

impl Keys {
    fn in_force(&self) -> Option<u32> {
        // Before the state has told: the oldest was in force once, and the newest may never be.
        self.active.or_else(|| self.data.first_key_value().map(|(id, _)| *id))
    }

    fn seal(&self, key_id: u32, context: &str, plain: &[u8]) -> Option<Sealed> {
        let bytes = cipher::encrypt(self.data.get(&key_id)?, context.as_bytes(), plain);
        Some(Sealed { key_id, bytes: bytes.into() })
    }

    /// Keeps a key on disk, then in memory.
    fn insert(&mut self, id: u32, key: Key) -> Result<(), SealError> {
        if let Some(home) = &self.home {
            let path = home.path(id);
            let wrapped = cipher::encrypt(&home.node_key, &wrapping_context(id), &key[..]);
            durable::write_file(&path, 0o600, &wrapped).map_err(io_error("write", &path))?;
        }
        self.data.insert(id, key);
        Ok(())
    }
}

fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SealError {
    let path = path.to_owned();
    move |source| SealError::Io { operation, path, source }
}

/// A wrapped key cannot be passed off as one of another number.
fn wrapping_context(id: u32) -> Vec<u8> {
    format!("data-key {id}").into_bytes()
}

fn data_key_id(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("data-")?.strip_suffix(".key")?.parse().ok()
}

fn read_or_create_node_key(path: &Path) -> Result<Key, SealError> {
    match fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => as_key(&bytes, path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let key = cipher::random_key();
            durable::write_file(path, 0o600, &key[..]).map_err(io_error("write", path))?;
            Ok(key)
        }
        Err(e) => Err(io_error("read", path)(e)),
    }
}

fn read_data_key(path: &Path, id: u32, node_key: &Key) -> Result<Key, SealError> {
    let wrapped = fs::read(path).map_err(io_error("read", path))?;
    let plain = cipher::decrypt(node_key, &wrapping_context(id), &wrapped)
        .ok_or_else(|| SealError::ForeignKeyFile { path: path.to_owned() })?;
    as_key(&plain, path)
}

fn as_key(bytes: &[u8], path: &Path) -> Result<Key, SealError> {
    let key: &[u8; KEY_LEN] =
        bytes.try_into().map_err(|_| SealError::BadKeyFile { path: path.to_owned() })?;
    Ok(Zeroizing::new(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_after_a_restart_and_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let first = Keyring::open_or_create(dir.path()).unwrap();
        let old = first.seal("ca", b"secret");
        assert_eq!(first.rotate().unwrap(), 2);
        let new = first.seal("ca", b"secret");
        let again = Keyring::open_or_create(dir.path()).unwrap();
        assert_eq!((old.key_id, new.key_id), (1, 2));
        assert_eq!(again.current(), Some(1), "until the state says which one is in force");
        for sealed in [&old, &new] {
            assert_eq!(&again.open("ca", sealed).unwrap()[..], b"secret");
        }
    }

    #[test]
    fn a_value_opens_in_its_own_context_only_and_only_unchanged() {
        let keyring = Keyring::ephemeral();
        let sealed = keyring.seal("ca", b"secret");
        assert!(matches!(keyring.open("container", &sealed), Err(SealError::DoesNotOpen { .. })));
        for at in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.to_vec();
            bytes[at] ^= 1;
            let changed = Sealed { key_id: 1, bytes: bytes.into() };
            assert!(keyring.open("ca", &changed).is_err(), "byte {at}");
        }
        let short = Sealed { key_id: 1, bytes: sealed.bytes[..10].into() };
        assert!(keyring.open("ca", &short).is_err());
        let foreign = Sealed { key_id: 9, ..sealed };
        assert!(matches!(keyring.open("ca", &foreign), Err(SealError::UnknownKey { key_id: 9 })));
    }

    #[test]
    fn keys_on_disk_are_private_and_useless_without_the_nodes_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::open_or_create(dir.path()).unwrap();
        let secret = keyring.export().remove(0);
        for entry in fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let bytes = fs::read(entry.path()).unwrap();
            assert!(!bytes.windows(32).any(|w| w == &secret.key[..]), "{:?}", entry.path());
        }
        fs::remove_file(dir.path().join(NODE_KEY)).unwrap();
        assert!(matches!(
            Keyring::open_or_create(dir.path()),
            Err(SealError::ForeignKeyFile { .. })
        ));
    }

    #[test]
    fn a_member_takes_over_the_clusters_keys_but_no_other_key_of_a_known_number() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Keyring::ephemeral();
        let joiner = Keyring::load(dir.path()).unwrap();
        assert_eq!(joiner.current(), None);
        joiner.import(cluster.export()).unwrap();
        joiner.import(cluster.export()).unwrap();
        let sealed = cluster.seal("x", b"y");
        let again = Keyring::load(dir.path()).unwrap();
        assert_eq!(&again.open("x", &sealed).unwrap()[..], b"y");
        assert!(matches!(
            joiner.import(Keyring::ephemeral().export()),
            Err(SealError::KeyMismatch { key_id: 1 })
        ));
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let keyring = Keyring::ephemeral();
        let key = keyring.export().remove(0);
        let shown = format!("{keyring:?} {key:?}");
        assert_eq!(shown, "Keyring { keys: [1] } DataKey(1)");
    }
}
