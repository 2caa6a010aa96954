//! A daemon's idea of the time of day, set apart with libfaketime.
//!
//! Only the clock that people set is faked; the one that measures time spans is not, because no wrong
//! date makes that one jump.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{HarnessError, Result};

/// Seconds by which a clock is ahead; negative when it is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew(pub i64);

/// Writes the file that a skewed clock follows.
pub(crate) fn set(skew: Skew, file: &Path) -> Result<()> {
    // Moved into place: the daemon reads it at any moment.
    let new = file.with_extension("new");
    fs::write(&new, format!("{:+}\n", skew.0)).map_err(HarnessError::file("write", &new))?;
    fs::rename(&new, file).map_err(HarnessError::file("write", file))
}

/// Makes the program's clock follow the file, when there is one.
pub(crate) fn skewed(command: &mut Command, file: &Path) -> Result<()> {
    if !file.exists() {
        return Ok(());
    }
    command.env("LD_PRELOAD", library()?).env("FAKETIME_TIMESTAMP_FILE", file);
    command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Ok(())
}

/// What a program with a faked clock leaves behind when it is killed.
pub(crate) fn litter(pid: i32) -> [PathBuf; 2] {
    let file = |kind: &str| Path::new("/dev/shm").join(format!("{kind}_{pid}"));
    [file("faketime_shm"), file("sem.faketime_sem")]
}

/// libfaketime, in the directory of whatever architecture this is.
fn library() -> Result<PathBuf> {
    let directories = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut candidates = directories.map(|d| d.path().join("faketime/libfaketimeMT.so.1"));
    let missing = || HarnessError::Missing { program: "libfaketime".to_owned() };
    candidates.find(|path| path.is_file()).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_is_written_with_its_sign() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("skew");
        for (skew, text) in [(Skew(30), "+30\n"), (Skew(-90), "-90\n"), (Skew(0), "+0\n")] {
            set(skew, &file).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }
}
