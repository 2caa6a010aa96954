//! Whether this kernel can do, and does, what the data plane rests on.

use std::{fs, io};

use jaco_api::model::{Check, Finding};

/// Sets of concatenated ranges, which the rules are made of, are there from this release on.
const OLDEST: (u32, u32) = (5, 6);

/// What the kernel says of itself.
#[derive(Debug)]
struct Seen {
    /// Its release, like `6.1.0-18-amd64`.
    release: String,
    /// Whether it passes on packets that are for others.
    forwards: io::Result<bool>,
    /// Whether it follows connections.
    tracks: bool,
}

/// Looks at the kernel of this network namespace. `policed`: rules of ours are loaded.
pub(super) fn look(needed: bool, policed: bool) -> Finding {
    if !needed {
        let why = "this node has neither networks nor a mesh";
        return Finding::skipped(Check::Kernel, "", why);
    }
    let said = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
    let seen = Seen {
        release: rustix::system::uname().release().to_string_lossy().into_owned(),
        forwards: said("/proc/sys/net/ipv4/ip_forward").map(|text| text == "1"),
        tracks: !policed || said("/proc/sys/net/netfilter/nf_conntrack_max").is_ok(),
    };
    judge(&seen)
}

fn judge(seen: &Seen) -> Finding {
    let failed = |cause: String, fix: &str| Finding::failed(Check::Kernel, "", cause, fix);
    if release(&seen.release).is_some_and(|found| found < OLDEST) {
        let cause = format!("Linux {} has no sets of concatenated ranges", seen.release);
        return failed(cause, "use Linux 5.6 or newer");
    }
    match &seen.forwards {
        Ok(true) => {}
        Ok(false) => {
            let fix = "the repair sets it; if it is reset again, look for net.ipv4.ip_forward in /etc/sysctl.conf and \
                       /etc/sysctl.d";
            let cause = "net.ipv4.ip_forward is 0: no container reaches anybody beyond its bridge";
            return failed(cause.to_owned(), fix);
        }
        Err(error) => {
            let cause = format!("net.ipv4.ip_forward cannot be read: {error}");
            return failed(cause, "mount /proc for the daemon as the shipped unit does");
        }
    }
    if !seen.tracks {
        let cause = "the kernel follows no connections, so no answer gets back to whoever asked";
        return failed(cause.to_owned(), "modprobe nf_conntrack");
    }
    Finding::ok(Check::Kernel, "")
}

/// The first two numbers of a release.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use jaco_api::model::FindingOutcome;

    use super::*;

    fn cause(seen: &Seen) -> String {
        match judge(seen).outcome {
            FindingOutcome::Failed { cause, .. } => cause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let seen = |release: &str, forwards| Seen {
            release: release.to_owned(),
            forwards: Ok(forwards),
            tracks: true,
        };
        for release in ["6.1.0-18-amd64", "5.6", "5.15.167.4-microsoft-standard-WSL2", "odd"] {
            assert_eq!(judge(&seen(release, true)).outcome, FindingOutcome::Ok, "{release}");
        }
        assert!(cause(&seen("5.4.0-200-generic", true)).contains("Linux 5.4.0-200-generic has no"));
        assert!(cause(&seen("6.1.0", false)).contains("net.ipv4.ip_forward is 0"));
        let blind = Seen { tracks: false, ..seen("6.1.0", true) };
        assert!(cause(&blind).contains("follows no connections"));
        let hidden =
            Seen { forwards: Err(io::Error::from(io::ErrorKind::NotFound)), ..seen("6.1.0", true) };
        assert!(cause(&hidden).contains("cannot be read"));
        assert!(matches!(look(false, true).outcome, FindingOutcome::Skipped { .. }));
    }
}
