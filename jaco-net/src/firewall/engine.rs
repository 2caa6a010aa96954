//! Keeps the container engine's own chains from dropping packets of the cluster.
//!
//! Input is the ruleset; output is what stands at the top of chains of `iptables`. Decides nothing:
//! what has to change comes from `pins`. Touches no rule that is not its own.

use std::path::PathBuf;

use super::{
    Ruleset,
    pins::{self, Family},
    program::{self, ProgramError},
};
use crate::NetError;

/// The chains of the container engine, as far as they are in the way, of the network namespace of
/// the thread that calls.
#[derive(Debug, Clone)]
pub struct EngineChains {
    variant: &'static str,
}

impl EngineChains {
    /// The chains that `iptables` and `ip6tables` in `PATH` speak of: the engine uses the same.
    #[must_use]
    pub fn new() -> Self {
        Self { variant: "" }
    }

    /// The chains of the older kernel interface, where a host has both.
    #[must_use]
    pub fn legacy() -> Self {
        Self { variant: "-legacy" }
    }

    /// Puts the accepts that `ruleset` needs at the top, where there is something that might drop.
    /// Whether anything had to be moved.
    ///
    /// # Errors
    /// The chains cannot be read or changed. A host without `iptables` has none.
    pub async fn pin(&self, ruleset: &Ruleset) -> Result<bool, NetError> {
        self.change(Some(ruleset)).await
    }

    /// Takes all accepts out again. Whether there were any.
    ///
    /// # Errors
    /// As [`EngineChains::pin`].
    pub async fn unpin(&self) -> Result<bool, NetError> {
        self.change(None).await
    }

    async fn change(&self, ruleset: Option<&Ruleset>) -> Result<bool, NetError> {
        let mut changed = false;
        for (name, family) in [("iptables", Family::V4), ("ip6tables", Family::V6)] {
            let program = |what| PathBuf::from(format!("{name}{}-{what}", self.variant));
            let saved = match program::run(&program("save"), &[], "").await {
                Ok(saved) => saved,
                Err(ProgramError::Missing(_)) => continue,
                Err(error) => return Err(refused(error)),
            };
            let commands = pins::changes(&String::from_utf8_lossy(&saved), ruleset, family);
            if commands.is_empty() {
                continue;
            }
            // Waits for whoever else changes the chains right now, the engine for one.
            let arguments = ["--noflush", "--wait", "5"];
            program::run(&program("restore"), &arguments, &commands).await.map_err(refused)?;
            changed = true;
        }
        Ok(changed)
    }
}

impl Default for EngineChains {
    fn default() -> Self {
        Self::new()
    }
}

fn refused(error: ProgramError) -> NetError {
    NetError::Refused { what: "accepts in the engine's chains", source: error.into() }
}
