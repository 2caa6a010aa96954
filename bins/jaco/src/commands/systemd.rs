//! Making the daemon start at boot.

use std::path::Path;

use crate::output::Output;

/// Where systemd says that it runs.
const RUNS: &str = "/run/systemd/system";

/// Enables the unit where systemd runs. The node is a member whatever systemd says, so this only
/// warns.
pub(super) async fn enable(out: &Output) {
    if !Path::new(RUNS).is_dir() {
        return;
    }
    let answer = tokio::process::Command::new("systemctl").args(["enable", "jacod"]).output().await;
    match answer {
        Ok(answer) if answer.status.success() => out.say("jacod starts at boot from now on."),
        Ok(answer) => out.warn(&format!(
            "`systemctl enable jacod` failed: {}",
            String::from_utf8_lossy(&answer.stderr).trim()
        )),
        Err(e) => out.warn(&format!("`systemctl enable jacod` cannot be run: {e}")),
    }
}
