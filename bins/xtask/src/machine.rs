//! Facts about this machine, and running programs on it.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    error::{Result, TaskError},
    say,
};

/// The workspace's directory. Cargo says where it is: clones that share a build directory share this program.
pub(crate) fn workspace() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let own = env::var_os("CARGO_MANIFEST_DIR").map_or_else(built, PathBuf::from);
    own.ancestors().nth(2).map(Path::to_owned).unwrap_or(own)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => workspace().join(directory),
        None => workspace().join("target"),
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a program is in `PATH` or where system tools live.
pub(crate) fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).any(|directory| directory.join(program).is_file())
}

/// Whether a program is where `cargo install` puts it.
pub(crate) fn cargo_home_has(program: &str) -> bool {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    home.is_some_and(|home| home.join("bin").join(program).is_file())
}

/// `cargo`, in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace());
    // What cargo tells this program about itself is not for the programs it builds.
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_")) {
        command.env_remove(name);
    }
    command.env_remove("CARGO_MANIFEST_DIR");
    command
}

/// Runs a command with this terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    say::note(&format!("$ {line}"));
    let status = command.stdin(Stdio::null()).status().map_err(|source| {
        let program = command.get_program().to_string_lossy().into_owned();
        TaskError::Start { program, source }
    })?;
    if status.success() {
        return Ok(());
    }
    Err(TaskError::Failed { line, status: status.to_string() })
}

/// Whether a command succeeds, in silence.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command as somebody would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
