//! Nothing on disk gives a secret away.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use jaco_e2e::{Bench, Outcome};

/// How the PKCS#8 form of an Ed25519 key begins.
const ED25519: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

fn files(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

fn holding(files: &[PathBuf], needle: &[u8]) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in files {
        let bytes = fs::read(file)?;
        if bytes.windows(needle.len()).any(|window| window == needle) {
            found.push(file.clone());
        }
    }
    Ok(found)
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

pub(crate) fn no_secret_is_on_disk_in_the_clear(bench: &mut Bench) -> Outcome {
    let init = bench.cluster()?;
    let token = init["token"].as_str().ok_or("init prints a token")?.to_owned();
    let cli = bench.cli();
    let shop = bench.example("shop")?;
    cli.run(&["apply", &shop.manifest(), "--wait=90s"])?;
    let issued = cli.json(&["token", "issue", "--name", "robot"])?;
    let issued = issued["token"].as_str().ok_or("issue prints a token")?.to_owned();

    // Once with the log, and once after a clean stop, which may write a snapshot.
    for round in ["running", "stopped"] {
        let files = files(bench.node().data_dir())?;
        let found = holding(&files, b"shop")?;
        assert!(!found.is_empty(), "{round}: the search finds what is there in the clear");
        for (what, needle) in [
            ("the operator token", token.as_bytes().to_vec()),
            ("the operator token as bytes", hex(&token)),
            ("an issued token", issued.as_bytes().to_vec()),
            ("an issued token as bytes", hex(&issued)),
            ("a value of the stack", b"correct-horse-battery-staple".to_vec()),
        ] {
            let found = holding(&files, &needle)?;
            assert!(found.is_empty(), "{round}: {what} is in the clear in {found:?}");
        }
        for needle in [ED25519, b"PRIVATE KEY"] {
            for file in holding(&files, needle)? {
                let own = file.extension().is_some_and(|e| e == "key");
                assert!(own, "{round}: {} holds a private key", file.display());
            }
        }
        for file in files.iter().filter(|f| {
            f.extension().is_some_and(|e| e == "key")
                || f.components().any(|c| c.as_os_str() == "keys")
        }) {
            let mode = file.metadata()?.permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{round}: {}", file.display());
        }
        let mode = bench.node().data_dir().metadata()?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "the data directory is the daemon's own");
        let log = fs::read_to_string(bench.node().log())?;
        for secret in [&token, &issued, "correct-horse-battery-staple"] {
            assert!(!log.contains(secret), "{round}: the daemon's own log names a secret");
        }
        if round == "running" {
            bench.node_mut().stop()?;
        }
    }
    Ok(())
}
