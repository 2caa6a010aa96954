//! The firewall of the kernel, through `nft`.
//!
//! Input and output are those of the trait. Runs `nft` without a shell, with a bound on its time
//! and on what it may say; decides nothing: the script comes from `render`, what a listing means
//! from `listing`.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::sync::{Mutex, OnceCell, watch};

use super::{
    Firewall, Loaded, Ruleset, conntrack,
    listing::{Listing, NoListing},
    program::{self, ProgramError},
    render::{self, REFERENCE, TABLE},
    watch::Notifications,
};
use crate::NetError;

/// The nftables of the network namespace of the thread that calls: one table, `inet jaco`.
#[derive(Debug)]
pub struct NftFirewall {
    nft: PathBuf,
    /// One load at a time, so that each reads back what it loaded. Whether every tracked connection
    /// goes where what is loaded leads it.
    loading: Mutex<bool>,
    /// How this `nft` shows the rules of the table.
    reference: OnceCell<Listing>,
    notifications: Notifications,
}

/// What `nft` did not do.
#[derive(Debug, thiserror::Error)]
enum NftError {
    #[error("there is no {}: install the package nftables", .0.display())]
    Missing(PathBuf),
    #[error("this process may not change the network: it needs CAP_NET_ADMIN, or to be root")]
    Forbidden,
    #[error("not even tables can be listed: the kernel needs nf_tables ({0})")]
    Unsupported(ProgramError),
    #[error(transparent)]
    Program(ProgramError),
    #[error(transparent)]
    Listing(#[from] NoListing),
}

impl From<ProgramError> for NftError {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::Missing(nft) => Self::Missing(nft),
            other => Self::Program(other),
        }
    }
}

impl NftFirewall {
    /// The firewall of this node, with the `nft` in `PATH`. Nothing is loaded yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_program("nft")
    }

    /// The firewall of this node, with this `nft`.
    #[must_use]
    pub fn with_program(nft: impl Into<PathBuf>) -> Self {
        Self {
            nft: nft.into(),
            loading: Mutex::new(false),
            reference: OnceCell::new(),
            notifications: Notifications::new(TABLE),
        }
    }

    async fn load(&self, script: &str) -> Result<(), NetError> {
        match self.run(&["-f", "-"], script).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failure(error, "ruleset").await),
        }
    }

    async fn list(&self, table: &str) -> Result<Listing, NetError> {
        let listed = self.run(&["-j", "list", "table", "inet", table], "").await;
        match listed.and_then(|json| Ok(Listing::parse(&json, table)?)) {
            Ok(listing) => Ok(listing),
            Err(error) => Err(self.failure(error, "listing").await),
        }
    }

    /// Loads the rules into a table that is in no hook, once, to see how they are shown.
    async fn reference(&self) -> Result<&Listing, NetError> {
        let load = async || {
            self.load(&render::reference()).await?;
            let listing = self.list(REFERENCE).await;
            self.load(&format!("delete table inet {REFERENCE}\n")).await?;
            listing
        };
        self.reference.get_or_try_init(load).await
    }

    async fn read_unlocked(&self) -> Result<Option<Loaded>, NetError> {
        let reference = self.reference().await?;
        match self.list(TABLE).await {
            Ok(listing) => Ok(Some(listing.against(reference))),
            Err(error) if self.is_loaded().await? => Err(error),
            Err(_) => Ok(None),
        }
    }

    async fn is_loaded(&self) -> Result<bool, NetError> {
        let tables = match self.run(&["-j", "list", "tables"], "").await {
            Ok(json) => Listing::tables(&json).map_err(NftError::from),
            Err(error) => Err(error),
        };
        match tables {
            Ok(tables) => Ok(tables.iter().any(|table| table == TABLE)),
            Err(error) => Err(self.failure(error, "listing").await),
        }
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Result<Vec<u8>, NftError> {
        Ok(program::run(&self.nft, arguments, input).await?)
    }

    /// Why `nft` failed, as the caller needs to know it: because of what was asked, or because
    /// this node can have no firewall at all.
    async fn failure(&self, error: NftError, what: &'static str) -> NetError {
        let unavailable = |source: NftError| NetError::Unavailable {
            facility: "nftables",
            source: source.into(),
        };
        match error {
            NftError::Listing(_) => return refused(error, what),
            NftError::Program(ProgramError::Failed { .. }) => {}
            _ => return unavailable(error),
        }
        let status = tokio::fs::read_to_string(Path::new("/proc/self/status")).await;
        if status.is_ok_and(|status| !administers(&status)) {
            return unavailable(NftError::Forbidden);
        }
        match self.run(&["list", "tables"], "").await {
            Ok(_) => refused(error, what),
            Err(NftError::Program(said)) => unavailable(NftError::Unsupported(said)),
            Err(other) => unavailable(other),
        }
    }
}

impl Default for NftFirewall {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Firewall for NftFirewall {
    async fn apply(&self, ruleset: &Ruleset) -> Result<Option<Loaded>, NetError> {
        ruleset.check()?;
        let mut settled = self.loading.lock().await;
        let held = self.read_unlocked().await?;
        // While something else is loaded, or nothing, connections may go anywhere.
        *settled &= held.as_ref().is_some_and(|held| held.differences.is_empty());
        match &held {
            Some(same) if same.is(ruleset) && *settled => return Ok(held),
            Some(same) if same.is(ruleset) => {}
            Some(held) if held.differences.is_empty() => {
                let changed = self.load(&render::changes(&held.ruleset, ruleset)).await;
                if let Err(error) = changed {
                    // Somebody was faster and changed what we wanted to change.
                    tracing::warn!(%error, "the rules of the firewall are replaced");
                    self.load(&render::script(ruleset)).await?;
                    *settled = false;
                }
            }
            _ => self.load(&render::script(ruleset)).await?,
        }
        let nothing = Ruleset::default();
        let before = held.as_ref().map_or(&nothing, |held| &held.ruleset);
        *settled = settle(before, ruleset, *settled).await;
        let loaded = self.read_unlocked().await?.unwrap_or_default();
        let differences = loaded.drift(ruleset);
        if differences.is_empty() { Ok(held) } else { Err(NetError::NotAsLoaded { differences }) }
    }

    async fn read(&self) -> Result<Option<Loaded>, NetError> {
        let _loading = self.loading.lock().await;
        self.read_unlocked().await
    }

    async fn remove(&self) -> Result<(), NetError> {
        let _loading = self.loading.lock().await;
        let script = format!("add table inet {TABLE}\ndelete table inet {TABLE}\n");
        self.load(&script).await
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.notifications.subscribe()
    }
}

/// Makes connections go where `wanted` leads them; whether all of them do. That some do not is no
/// gap in the isolation: where they go was decided by rules that were right at that time.
async fn settle(held: &Ruleset, wanted: &Ruleset, settled: bool) -> bool {
    if settled && held.virtuals == wanted.virtuals && held.virtual_pools == wanted.virtual_pools {
        return true;
    }
    match conntrack::forget(held, wanted, settled).await {
        Ok(forgotten) => {
            tracing::debug!(forgotten, "connections to replicas that are gone");
            true
        }
        Err(error) => {
            tracing::warn!(%error, "connections to replicas that are gone cannot be ended");
            false
        }
    }
}

fn refused(error: NftError, what: &'static str) -> NetError {
    NetError::Refused { what, source: error.into() }
}

/// Whether the process with this status file may change the network.
fn administers(status: &str) -> bool {
    const CAP_NET_ADMIN: u32 = 12;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_none_or(|bits| bits & (1 << CAP_NET_ADMIN) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capability_is_read_from_the_effective_set() {
        assert!(administers("CapPrm:\t0000000000000000\nCapEff:\t000001fffeffffff\n"));
        assert!(!administers("CapPrm:\t000001fffeffffff\nCapEff:\t000001fffeffefff\n"));
        assert!(administers("nothing known: nft will say"), "no false alarm");
    }

    #[tokio::test]
    async fn a_node_without_nft_says_what_to_install() {
        let firewall = NftFirewall::with_program("/nonexistent/nft");
        let error = firewall.apply(&Ruleset::default()).await.unwrap_err();
        let NetError::Unavailable { source, .. } = error else { panic!("{error:?}") };
        assert!(source.to_string().contains("install the package nftables"), "{source}");
    }

    #[tokio::test]
    async fn an_nft_that_fails_at_everything_means_that_there_is_no_firewall() {
        let firewall = NftFirewall::with_program("false");
        let error = firewall.read().await.unwrap_err();
        assert!(matches!(error, NetError::Unavailable { .. }), "{error:?}");
    }
}
