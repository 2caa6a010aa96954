//! What is compared.

use jaco_harness::{Result, Rig};

/// Something that runs containers on many hosts.
pub trait Contender {
    /// What the table calls it.
    fn name(&self) -> &'static str;

    /// Makes a cluster of all hosts.
    ///
    /// # Errors
    /// It does not come to be.
    fn form(&mut self, rig: &Rig) -> Result<()>;

    /// Asks for that many replicas of an image that is at hand, each in a network of its kind, and
    /// returns as soon as that is accepted.
    ///
    /// # Errors
    /// It is refused.
    fn deploy(&mut self, rig: &Rig, replicas: usize) -> Result<()>;

    /// The label that the containers of the service carry.
    fn label(&self) -> &'static str;

    /// A host that can be lost without an election, counted from 0.
    ///
    /// # Errors
    /// Nobody knows who leads.
    fn expendable(&self, rig: &Rig) -> Result<usize>;

    /// Waits until every host takes part again.
    ///
    /// # Errors
    /// One does not.
    fn whole(&self, rig: &Rig) -> Result<()>;

    /// Takes everything away again.
    ///
    /// # Errors
    /// Something cannot be removed.
    fn leave(&mut self, rig: &Rig) -> Result<()>;
}

/// What a replica does: nothing, until it is told to stop, and then it stops at once.
pub(crate) const SCRIPT: &str = "trap 'exit 0' TERM; sleep 86400 & wait $!";
/// What it is made of.
pub(crate) const IMAGE: &str = "busybox:rig";
