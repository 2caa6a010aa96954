//! Where the programs under test are.

use std::path::{Path, PathBuf};

use crate::{HarnessError, Result};

/// The programs under test.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The command line.
    pub jaco: PathBuf,
    /// The daemon.
    pub jacod: PathBuf,
    /// The static binary of the shop's image.
    pub shop_app: PathBuf,
}

impl Binaries {
    /// The programs in one directory.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn in_directory(directory: &Path) -> Result<Self> {
        let find = |name: &str| {
            let path = directory.join(name);
            if path.is_file() {
                return Ok(path);
            }
            Err(HarnessError::Missing { program: path.display().to_string() })
        };
        Ok(Self { jaco: find("jaco")?, jacod: find("jacod")?, shop_app: find("shop-app")? })
    }

    /// The programs in the directory that `JACO_BIN_DIR` names; `cargo xtask` sets it.
    ///
    /// # Errors
    /// It is not set, or one of them is not there.
    pub fn from_environment() -> Result<Self> {
        let missing =
            || HarnessError::Missing { program: "JACO_BIN_DIR (run `cargo xtask test`)".into() };
        Self::in_directory(Path::new(&std::env::var_os("JACO_BIN_DIR").ok_or_else(missing)?))
    }
}
