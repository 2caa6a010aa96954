//! Programs and tests of the workspace, as they are built for trying them out.
//!
//! Cargo unifies features over the packages that it is asked for: asked for one, it builds all below it anew with what
//! this one needs. So everything here is asked for at once, and what one step built the next one finds.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    error::{Result, TaskError},
    machine::{cargo, cargo_home_has, has, line, run, target, workspace},
};

/// Builds everything that there is.
pub(crate) fn build() -> Result<()> {
    run(&mut cargo(&["build", "-q", "--workspace", "--all-targets"]))
}

/// A program of the workspace, once [`build`] was there.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(target().join("debug").join(name));
    command.current_dir(workspace());
    command
}

/// All tests but the rig: that one is not for runners that start a process for each test.
pub(crate) fn all_tests() -> Command {
    let every = ["--no-fail-fast", "--workspace"];
    if has("cargo-nextest") || cargo_home_has("cargo-nextest") {
        return cargo(&[&["nextest", "run"][..], &every, &["-E", "not binary(rig)"]].concat());
    }
    cargo(&[&["test", "-q"][..], &every, &["--lib", "--bins", "--tests"]].concat())
}

/// Builds integration tests of a package and says where they are. They are run in its directory, which
/// is given below the workspace's.
pub(crate) fn tests(directory: &str, names: &[&str]) -> Result<Vec<Command>> {
    let directory = workspace().join(directory);
    let asked = names.iter().flat_map(|name| ["--test", name]);
    let arguments = ["test", "--workspace", "--no-run", "--message-format=json"];
    let output = output(&mut cargo(&arguments.into_iter().chain(asked).collect::<Vec<_>>()))?;
    let built: Vec<_> = output.lines().filter_map(|line| executable(line, &directory)).collect();
    let find = |name: &&str| {
        let path = built.iter().find(|(built, _)| built == name).map(|(_, path)| path);
        let missing = || TaskError::Check { what: format!("cargo names no program of {name}") };
        let mut command = Command::new(path.ok_or_else(missing)?);
        command.current_dir(&directory);
        Ok(command)
    };
    names.iter().map(find).collect()
}

/// The name and the program of a test, where a message of cargo tells of one of this package.
fn executable(message: &str, package: &Path) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let path = PathBuf::from(message["executable"].as_str()?);
    let name = message["target"]["name"].as_str()?.to_owned();
    (manifest.parent()? == package && message["target"]["kind"][0] == "test")
        .then_some((name, path))
}

/// What a command prints; its talk goes to this terminal.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let started = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = started.map_err(|source| {
        let program = command.get_program().to_string_lossy().into_owned();
        TaskError::Start { program, source }
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(TaskError::Failed { line: line(command), status: output.status.to_string() })
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn cargo_tells_where_a_test_is() {
        let message = r#"{"reason":"compiler-artifact","manifest_path":"/w/net/Cargo.toml","target":{"kind":["test"],"name":"mesh"},"executable":"/t/mesh-1"}"#;
        let found = ("mesh".to_owned(), PathBuf::from("/t/mesh-1"));
        assert_eq!(executable(message, Path::new("/w/net")), Some(found));
        assert_eq!(executable(message, Path::new("/w/other")), None);
        assert_eq!(
            executable(&message.replace(r#""test""#, r#""bin""#), Path::new("/w/net")),
            None
        );
        assert_eq!(executable("not JSON", Path::new("/w/net")), None);
    }
}
