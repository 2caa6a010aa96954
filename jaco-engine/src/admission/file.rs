//! Secrets and configs of the cluster: who may set which, and who may use them.

use std::collections::BTreeSet;

use globset::Glob;
use jaco_api::{
    error::{ApiError, ErrorCode},
    manifest::{self, Diagnostic, Source},
    model::{FileId, MOST_FILE_BYTES, ManifestDocument, Principal},
};

use super::{covers, permit_unlimited};
use crate::{
    command::{Command, DeleteFile, SetFile},
    seal::{self, Keyring},
    state::State,
};

/// Most globs that limit who may use a secret or config.
const MOST_GLOBS: usize = 64;

/// New content for a secret or config; absent when it is like that already.
///
/// # Errors
/// `permission_denied`, or `validation_failed` for a content that is too large or an unreadable glob.
pub fn set_file(
    state: &State,
    who: &Principal,
    keyring: &Keyring,
    id: FileId,
    content: &[u8],
    deployments: Vec<String>,
) -> Result<Option<Command>, ApiError> {
    permit_unlimited(who)?;
    if content.len() > MOST_FILE_BYTES {
        let message =
            format!("a {} has at most {MOST_FILE_BYTES} bytes, not {}", id.kind, content.len());
        return Err(ApiError::new(ErrorCode::ValidationFailed, message)
            .with("hint", "mount a volume for larger files"));
    }
    if deployments.len() > MOST_GLOBS {
        let message = format!("a {} carries at most {MOST_GLOBS} deployment globs", id.kind);
        return Err(ApiError::new(ErrorCode::ValidationFailed, message));
    }
    for glob in &deployments {
        Glob::new(glob).map_err(|e| {
            let message = format!("deployment glob {glob:?}: {}", e.kind());
            ApiError::new(ErrorCode::ValidationFailed, message)
        })?;
    }
    // The same content keeps its ciphertext, so that state can tell that nothing is new.
    let same = state.file(&id).filter(|present| {
        keyring.open(seal::FILE, &present.content).is_ok_and(|plain| *plain == content)
    });
    if same.is_some_and(|present| present.deployments == deployments) {
        return Ok(None);
    }
    let sealed = match same {
        Some(present) => present.content.clone(),
        None => keyring.seal(seal::FILE, content),
    };
    let size = content.len() as u64;
    Ok(Some(Command::SetFile(SetFile { id, content: sealed, size, deployments })))
}

/// The end of a secret or config.
///
/// # Errors
/// `permission_denied`. Whether it is there and unused is found out by `apply`.
pub fn delete_file(who: &Principal, id: FileId) -> Result<Command, ApiError> {
    permit_unlimited(who)?;
    Ok(Command::DeleteFile(DeleteFile { id }))
}

/// The secrets and configs that a manifest uses and the cluster does not have, where it names them.
pub(super) fn missing(
    state: &State,
    document: &ManifestDocument,
    compose: &Source,
) -> Vec<Diagnostic> {
    let missing: BTreeSet<FileId> =
        used(document).filter(|id| state.file(id).is_none()).cloned().collect();
    if missing.is_empty() { Vec::new() } else { manifest::missing_files(compose, &missing) }
}

/// Refuses a manifest that uses a secret or config which its deployment may not use.
pub(super) fn permit_use(state: &State, document: &ManifestDocument) -> Result<(), ApiError> {
    let deployment = &document.deployment;
    let kept = |id: &FileId| {
        state.file(id).filter(|file| !covers(&file.deployments, deployment.as_str())).cloned()
    };
    let Some(file) = used(document).find_map(kept) else { return Ok(()) };
    let message = format!("{} {} is not for deployment {deployment}", file.id.kind, file.id.name);
    Err(ApiError::new(ErrorCode::PermissionDenied, message)
        .with("allowed", file.deployments.join(", "))
        .with("hint", format!("`jaco {0} set --deployments` says who may use a {0}", file.id.kind)))
}

fn used(document: &ManifestDocument) -> impl Iterator<Item = &FileId> {
    document.services.values().flat_map(|(schedule, _)| &schedule.files)
}

#[cfg(test)]
mod tests {
    use jaco_api::model::Role;

    use super::*;
    use crate::{
        command::{Envelope, Outcome},
        testing::builders::{Scenario, name},
    };

    fn who(role: Role, globs: &[&str]) -> Principal {
        Principal {
            identity: name("ci"),
            role,
            deployments: globs.iter().map(|g| (*g).to_owned()).collect(),
            allow_privileged: false,
            uid: None,
        }
    }

    fn set(s: &Scenario, keyring: &Keyring, content: &[u8], globs: &[&str]) -> Option<Command> {
        let globs = globs.iter().map(|g| (*g).to_owned()).collect();
        set_file(&s.state, &who(Role::Admin, &[]), keyring, name("secret/db"), content, globs)
            .unwrap()
    }

    #[test]
    fn the_same_content_again_is_no_change() {
        let (mut s, keyring) = (Scenario::new(), Keyring::ephemeral());
        let first = set(&s, &keyring, b"one", &[]).unwrap();
        assert_eq!(s.run(first), Outcome::Done);
        assert_eq!(set(&s, &keyring, b"one", &[]), None);
        // Other globs change nothing of the content.
        let limited = set(&s, &keyring, b"one", &["shop"]).unwrap();
        assert_eq!(s.run(limited), Outcome::Done);
        assert_eq!(s.state.file(&name("secret/db")).unwrap().version, 1);
        let second = set(&s, &keyring, b"two", &["shop"]).unwrap();
        let sealed = crate::command::encode(&Envelope { command: second, ..s.log[0].1.clone() });
        assert!(!sealed.windows(3).any(|w| w == b"two"), "the log never holds a content");
    }

    #[test]
    fn only_unlimited_admins_change_what_belongs_to_the_cluster() {
        let (s, keyring) = (Scenario::new(), Keyring::ephemeral());
        for (caller, allowed) in [
            (who(Role::Admin, &[]), true),
            (who(Role::Admin, &["shop"]), false),
            (who(Role::Deployer, &[]), false),
            (who(Role::Viewer, &[]), false),
        ] {
            let id = name::<FileId>("secret/db");
            let set = set_file(&s.state, &caller, &keyring, id.clone(), b"x", Vec::new());
            assert_eq!(set.is_ok(), allowed, "{caller:?}");
            assert_eq!(delete_file(&caller, id).is_ok(), allowed, "{caller:?}");
        }
        let id = name::<FileId>("config/big");
        let big = vec![0; MOST_FILE_BYTES + 1];
        let refused = set_file(&s.state, &who(Role::Admin, &[]), &keyring, id, &big, Vec::new());
        assert_eq!(refused.unwrap_err().code, ErrorCode::ValidationFailed);
    }
}
