//! Building the programs under test.

use std::{fs, path::Path, path::PathBuf, process::Command};

use jaco_harness::Binaries;

use crate::{
    error::{Result, TaskError},
    machine::{cargo, run, target},
    say,
};

/// Builds `jaco`, `jacod` and the shop's static binary into one directory, unless `JACO_BIN_DIR` names
/// one that has them.
pub(crate) fn binaries() -> Result<(PathBuf, Binaries)> {
    if let Some(directory) = std::env::var_os("JACO_BIN_DIR").map(PathBuf::from) {
        say::note(&format!("Using the programs in {}", directory.display()));
        let binaries = Binaries::in_directory(&directory)?;
        return Ok((directory, binaries));
    }
    say::step(
        "Building jaco, jacod and the shop, as they are shipped but for link-time optimisation",
    );
    run(&mut cargo(&["build", "--profile", "rig", "-p", "jaco", "-p", "jacod"]))?;
    let triple = host_triple()?;
    let arguments = ["build", "--release", "-p", "shop-app", "--target", &triple];
    // Static, because its image holds nothing else.
    run(cargo(&arguments).env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=symbols"))?;

    let directory = shelf();
    let file = |operation, path: &Path| {
        let path = path.display().to_string();
        move |source| TaskError::File { operation, path, source }
    };
    fs::create_dir_all(&directory).map_err(file("create", &directory))?;
    let optimised = target().join("rig");
    let built = [
        ("jaco", optimised.join("jaco")),
        ("jacod", optimised.join("jacod")),
        ("shop-app", target().join(&triple).join("release/shop-app")),
    ];
    for (name, from) in built {
        let to = directory.join(name);
        // Replaced, not overwritten: an old one may still run in a demo.
        match fs::remove_file(&to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file("replace", &to)(error));
            }
            _ => fs::copy(&from, &to).map_err(file("copy", &from))?,
        };
    }
    let binaries = Binaries::in_directory(&directory)?;
    Ok((directory, binaries))
}

/// Where the programs under test are put.
pub(crate) fn shelf() -> PathBuf {
    std::env::var_os("JACO_BIN_DIR").map_or_else(|| target().join("rig-bin"), PathBuf::from)
}

fn host_triple() -> Result<String> {
    let start = |source| TaskError::Start { program: "rustc".to_owned(), source };
    let output = Command::new("rustc").arg("-vV").output().map_err(start)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| TaskError::Check { what: "rustc names no host".into() })
}
