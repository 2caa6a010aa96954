//! Configuration of the programs, tokens and names.

use jaco_api::model::{
    AuditKind, ClusterId, DeploymentName, Digest, Identity, NetworkName, NodeName, ReplicaId,
    ServiceName, Settings, Span, Timestamp, VolumeName,
};
use jaco_cli::dial::context::Contexts;
use jaco_engine::{admission::bearer, pki::JoinSecret};

// A program has no names outside: its reader is taken in as a file.
#[allow(dead_code, reason = "only the reader is of interest here")]
#[path = "../../../bins/jacod/src/config.rs"]
mod jacod;

/// `jacod.yaml`: an error has its place in the file.
pub(crate) fn daemon(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let place = match jacod::parse("jacod.yaml", text) {
        Ok(_) => return,
        Err(
            jacod::ConfigError::Parse { place, .. }
            | jacod::ConfigError::Value { place, .. }
            | jacod::ConfigError::NotBuilt { place, .. },
        ) => place,
        Err(other) => panic!("{other}"),
    };
    let lines = text.split(['\n', '\r']).count() as u64;
    assert!((1..=lines + 1).contains(&place.line), "{place} of {lines} lines");
    assert!(place.column >= 1, "{place}");
}

/// `contexts.yaml`: what is written is read back.
pub(crate) fn contexts(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let Ok(contexts) = Contexts::parse(text) else { return };
    let written = contexts.to_text().expect("contexts can be written");
    let again = Contexts::parse(&written).unwrap_or_else(|e| panic!("{e}\n{written}"));
    assert!(again == contexts, "{written}");
}

fn survives<T>(text: &str)
where
    T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Display + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = text.parse::<T>() {
        let written = value.to_string();
        assert_eq!(written.parse::<T>().as_ref().ok(), Some(&value), "{written}");
    }
}

/// Join tokens, headers, names and settings.
pub(crate) fn tokens(data: &[u8]) {
    if let Ok(token) = bearer(Some(data)) {
        assert_eq!(token, token.trim());
    }
    let Some(text) = super::text(data) else { return };
    if let Ok(join) = text.parse::<JoinSecret>() {
        let written = JoinSecret::compose(&join.secret, &join.pin);
        let again: JoinSecret = written.parse().expect("what is composed is a token");
        assert!(*again.secret == *join.secret && again.pin == join.pin);
    }
    survives::<DeploymentName>(text);
    survives::<ServiceName>(text);
    survives::<NetworkName>(text);
    survives::<VolumeName>(text);
    survives::<NodeName>(text);
    survives::<Identity>(text);
    survives::<ClusterId>(text);
    survives::<ReplicaId>(text);
    survives::<Digest>(text);
    survives::<AuditKind>(text);
    survives::<Timestamp>(text);
    survives::<Span>(text);
    if let Some((key, value)) = text.split_once('=')
        && let Ok(settings) = Settings::default().with(key, value)
    {
        let written = settings.entries()[key].clone();
        assert_eq!(settings.with(key, &written), Ok(settings), "{written}");
    }
}
