//! The private key of this node's end of the mesh: in its file, in the device, and as the members know it.
//!
//! In: a file. Out: the key that the device takes, and what the members are told. A new key is durable before
//! anybody learns its public half, and the device keeps the former one until the state holds the new one: what
//! is sent with a key that the members do not know is lost. Whatever ends in between goes on, at the next start,
//! with the key in the file. Must never decide when a key is made anew.

use std::sync::Arc;

use jaco_api::model::{Actor, MeshFacts, MeshKey};
use jaco_net::{
    PrivateKey,
    mesh::{KeyFile, KeyFileError},
};
use tokio::{sync::watch, task::spawn_blocking};

/// The keys that the device may hold.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    present: Arc<PrivateKey>,
    /// The one before, until the members know the present one.
    former: Option<Arc<PrivateKey>>,
}

impl Keys {
    /// The one that the device takes when the members know this one of the node. Pure.
    pub(crate) fn in_force(&self, known: Option<MeshKey>) -> &PrivateKey {
        match &self.former {
            Some(former) if known == Some(former.public()) => former,
            _ => &self.present,
        }
    }
}

/// What the members are to know of this node's end of the mesh, and who brought it about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) facts: MeshFacts,
    pub(crate) by: Actor,
}

/// The key of this node's end of the mesh.
#[derive(Debug)]
pub(crate) struct OwnKey {
    file: KeyFile,
    keys: watch::Sender<Keys>,
    told: watch::Sender<Option<Told>>,
}

impl OwnKey {
    /// The key in the file, or a new one in it. `facts` is what the members are told of a key.
    ///
    /// # Errors
    /// The file cannot be read or written, holds no key, or others may read it.
    pub(crate) fn open(
        file: KeyFile,
        facts: impl FnOnce(&PrivateKey) -> MeshFacts,
        by: Actor,
    ) -> Result<Self, KeyFileError> {
        let present = file.load_or_create()?;
        let told = watch::Sender::new(Some(Told { facts: facts(&present), by }));
        let keys = watch::Sender::new(Keys { present: Arc::new(present), former: None });
        Ok(Self { file, keys, told })
    }

    /// The public half of the newest key.
    pub(crate) fn public(&self) -> MeshKey {
        self.keys.borrow().present.public()
    }

    /// What the device may hold.
    pub(crate) fn keys(&self) -> watch::Receiver<Keys> {
        self.keys.subscribe()
    }

    /// What the members are to know.
    pub(crate) fn told(&self) -> watch::Receiver<Option<Told>> {
        self.told.subscribe()
    }

    /// Takes a new key: into the file, then to be told. The device follows once the members know it.
    ///
    /// # Errors
    /// The file cannot be written: then nothing has changed.
    pub(crate) async fn renew(&self, by: Actor) -> Result<(), KeyFileError> {
        let file = self.file.clone();
        let written = spawn_blocking(move || {
            let next = PrivateKey::generate();
            file.replace(&next).map(|()| next)
        });
        let next = match written.await {
            Ok(next) => Arc::new(next?),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let public_key = next.public();
        self.keys.send_modify(|keys| {
            let former = std::mem::replace(&mut keys.present, next);
            keys.former = Some(former);
        });
        self.told.send_modify(|told| {
            if let Some(told) = told {
                told.facts.public_key = public_key;
                told.by = by;
            }
        });
        Ok(())
    }

    /// Forgets the former key: the device holds the present one.
    pub(crate) fn settle(&self) {
        // Nobody has to look: what the device takes is the same.
        self.keys.send_if_modified(|keys| {
            keys.former = None;
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use jaco_api::model::MeshKind;

    use super::*;

    fn actor(name: &str) -> Actor {
        Actor { identity: name.parse().unwrap(), uid: None, node: None }
    }

    fn own(path: &std::path::Path) -> OwnKey {
        let facts = |key: &PrivateKey| MeshFacts {
            public_key: key.public(),
            endpoint: "192.0.2.1:51820".parse().unwrap(),
            device: MeshKind::Fake,
            reason: None,
        };
        OwnKey::open(KeyFile::at(path), facts, actor("start")).unwrap()
    }

    #[tokio::test]
    async fn the_device_keeps_the_former_key_until_the_members_know_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("private.key");
        let own = own(&path);
        let former = own.public();
        let keys = own.keys();
        let taken = |known| keys.borrow().in_force(known).public();
        assert_eq!(taken(None), former, "nobody knows a node that has just been made");

        own.renew(actor("boss")).await.unwrap();
        let next = own.public();
        assert_ne!(next, former);
        assert_eq!(KeyFile::at(&path).load().unwrap().unwrap().public(), next);
        let told = own.told().borrow().clone().unwrap();
        assert_eq!((told.facts.public_key, told.by), (next, actor("boss")));
        assert_eq!(taken(Some(former)), former);
        assert_eq!(taken(Some(next)), next);

        own.settle();
        assert_eq!(own.keys().borrow().in_force(Some(former)).public(), next, "the former is gone");
    }

    #[tokio::test]
    async fn a_start_goes_on_with_the_key_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("private.key");
        let before = own(&path);
        before.renew(actor("boss")).await.unwrap();
        let after = own(&path);
        assert_eq!(after.public(), before.public());
        assert_eq!(after.told().borrow().as_ref().unwrap().facts.public_key, before.public());
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_kept_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wg/private.key");
        let own = own(&path);
        let former = own.public();
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path.parent().unwrap(), "in the way").unwrap();
        own.renew(actor("boss")).await.unwrap_err();
        assert_eq!(own.public(), former);
        assert_eq!(own.told().borrow().as_ref().unwrap().facts.public_key, former);
    }
}
