//! The manifest language: `jaco.yaml` and the compose file, read, checked and resolved.
//!
//! Pure: files come in as text, a [`ManifestDocument`] or every problem of both files comes out.
//! The client calls [`resolve`], which fills variables, folds env files and says what to send; the
//! daemon calls [`check`] on what was sent and gets the same document. Neither reads a file, a
//! clock or the process environment.
//!
//! ```text
//! text ─ yaml ─► tree ─ fold (client) ─► tree ─ compose, jaco ─► drafts ─ merge ─► document
//! ```

mod compose;
mod cron;
mod diagnose;
mod diff;
mod dotenv;
mod explain;
mod fields;
mod fold;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod interpolate;
mod jaco;
mod merge;
mod privilege;
mod render;
mod report;
mod route;
mod schema;
mod suggest;
mod values;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub use diagnose::{Diagnostic, Severity};
pub use diff::{diff, mask, mask_passwords};
pub use explain::{Explanation, UnknownField, explain};
pub use fields::{Supported, Treatment};
pub use privilege::privileges;
pub use render::render;
use report::Report;
pub use schema::{schema, shaped};

use crate::{
    error::ErrorCode,
    model::{BindAllowlist, FileId, ManifestDocument, NodeName},
};

/// A file as text.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// How messages name it.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// One of the two files of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ManifestFile {
    /// `jaco.yaml`.
    Jaco,
    /// The compose file.
    Compose,
}

/// The files beside the manifest, which only the client has.
pub trait Files {
    /// Reads a text file. `path` is absolute when [`Files::directory`] knows the directory of the
    /// manifest file that names it; else it is as written there.
    ///
    /// # Errors
    /// [`FileProblem`] says why it cannot be read.
    fn read(&self, path: &str) -> Result<String, FileProblem>;

    /// Reads a file that need not be text.
    ///
    /// # Errors
    /// [`FileProblem`] says why it cannot be read.
    fn read_bytes(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        self.read(path).map(String::into_bytes)
    }

    /// The absolute path of the directory of a manifest file. Without it the paths of bind mounts
    /// must be absolute.
    fn directory(&self, _of: ManifestFile) -> Option<String> {
        None
    }
}

/// Why a file beside the manifest cannot be read; the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// There is none.
    #[error("does not exist")]
    NotFound,
    /// It is not UTF-8.
    #[error("is not a UTF-8 text")]
    NotText,
    /// The system says no.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

/// No files: every one is missing.
impl Files for () {
    fn read(&self, _: &str) -> Result<String, FileProblem> {
        Err(FileProblem::NotFound)
    }
}

/// A manifest that depends on nothing of the client any more.
#[derive(Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What it means.
    pub document: ManifestDocument,
    /// The `jaco.yaml` to send.
    pub jaco: String,
    /// The compose file to send: other files put in, variables filled, no aliases.
    pub compose: String,
    /// What is accepted but probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// A manifest that was found valid.
#[derive(Clone, PartialEq, Eq)]
pub struct Checked {
    /// What it means.
    pub document: ManifestDocument,
    /// What is accepted but probably not meant.
    pub warnings: Vec<Diagnostic>,
}

// What manifests hold may be secret: only names and sizes are shown.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?}, {} bytes)", self.name, self.text.len())
    }
}
impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolved({}, {} warnings)", self.document.deployment, self.warnings.len())
    }
}
impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checked({}, {} warnings)", self.document.deployment, self.warnings.len())
    }
}

/// Resolves a manifest, on the client, for a cluster that lets nobody mount directories of its hosts.
///
/// # Errors
/// Every problem of both files, `jaco.yaml` first, each ordered by position; warnings included.
pub fn resolve(
    jaco: &Source,
    compose: &Source,
    files: &dyn Files,
) -> Result<Resolved, Vec<Diagnostic>> {
    resolve_allowing(jaco, compose, files, &BindAllowlist::default())
}

/// As [`resolve`], for a cluster with the setting `bind_allowlist`.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_allowing(
    jaco: &Source,
    compose: &Source,
    files: &dyn Files,
    allowed: &BindAllowlist,
) -> Result<Resolved, Vec<Diagnostic>> {
    let mut folded = None;
    let how = Checks { tags: yaml::Tags::Merging, allowed };
    let checked = run(jaco, compose, how, |draft, root, jaco_report, report| {
        // Without a jaco.yaml that can be read nobody knows the variables.
        let variables = draft.and_then(|draft| match &draft.environment {
            Some((path, mark)) => fold::environment(path, *mark, files, jaco_report),
            None => Some(BTreeMap::new()),
        });
        fold::fold(root, variables, files, report);
        let text = yaml::to_json(root);
        if text.len() > yaml::MOST_BYTES {
            let message = "with its aliases, variables and other files, the file is above 4 MiB";
            report.coded(ErrorCode::ParseFailed, root.mark, message, None);
        }
        folded = Some(text);
    })?;
    Ok(Resolved {
        document: checked.document,
        jaco: jaco.text.clone(),
        compose: folded.unwrap_or_default(),
        warnings: checked.warnings,
    })
}

/// Checks a manifest that was resolved before, on the daemon. A `$` is a `$`; what names a file of
/// the client (`env_file`, `label_file`, `extends`, `include`) is refused. Problems of the compose file come without its lines: they hold values of variables.
///
/// # Errors
/// Every problem of both files, `jaco.yaml` first, each ordered by position; warnings included.
pub fn check(jaco: &Source, compose: &Source) -> Result<Checked, Vec<Diagnostic>> {
    check_allowing(jaco, compose, &BindAllowlist::default())
}

/// As [`check`], for a cluster with the setting `bind_allowlist`.
///
/// # Errors
/// As [`check`].
pub fn check_allowing(
    jaco: &Source,
    compose: &Source,
    allowed: &BindAllowlist,
) -> Result<Checked, Vec<Diagnostic>> {
    let how = Checks { tags: yaml::Tags::Plain, allowed };
    let mut result = run(jaco, compose, how, |_, _, _, _| {});
    let found = match &mut result {
        Ok(checked) => &mut checked.warnings,
        Err(problems) => problems,
    };
    // Nor is a line told that may hold a password.
    for problem in found.iter_mut() {
        let near = [&problem.path, &problem.source];
        if near.iter().any(|text| text.contains("basic_auth")) {
            problem.source.clear();
        }
    }
    // What was sent holds values that its author never wrote there, secrets among them.
    for problem in found.iter_mut().filter(|p| p.file == compose.name) {
        problem.source.clear();
    }
    result
}

/// The hosts that `jaco.yaml` names and the cluster does not have.
#[must_use]
pub fn unknown_hosts(jaco: &Source, members: &BTreeSet<NodeName>) -> Vec<Diagnostic> {
    let text = without_bom(&jaco.text);
    let mut found = Report::new(&jaco.name, text);
    let mut ignored = Report::new(&jaco.name, text);
    let Some(root) = yaml::read(text, &mut ignored) else { return Vec::new() };
    let Some(yaml::Value::List(services)) = root.get("services").map(|n| &n.value) else {
        return Vec::new();
    };
    for (index, service) in services.iter().enumerate() {
        let Some(yaml::Value::List(hosts)) = service.get("hosts").map(|n| &n.value) else {
            continue;
        };
        for (at, host) in hosts.iter().enumerate() {
            let name = host.as_text().unwrap_or_default();
            if NodeName::new(name).is_ok_and(|n| !members.contains(&n)) {
                found.within(&format!("services[{index}].hosts[{at}]"), |report| {
                    report.once(format!("unknown host {name}"), host.mark, |report| {
                        let message = format!("no member of the cluster is named `{name}`");
                        let known = members.iter().map(NodeName::as_str);
                        let hint = suggest::hint(report, name, "the members", known);
                        report.coded(ErrorCode::UnknownHost, host.mark, message, hint);
                    });
                });
            }
        }
    }
    found.finish()
}

/// Says of secrets and configs that a checked manifest uses where it names them, and that the cluster
/// does not have them.
#[must_use]
pub fn missing_files(compose: &Source, missing: &BTreeSet<FileId>) -> Vec<Diagnostic> {
    let text = without_bom(&compose.text);
    let mut found = Report::new(&compose.name, text);
    let Some(root) = yaml::read(text, &mut Report::new(&compose.name, text)) else {
        return Vec::new();
    };
    for id in missing {
        let all = format!("{}s", id.kind);
        let Some(yaml::Value::Map(entries)) = root.get(&all).map(|n| &n.value) else { continue };
        for entry in entries {
            let external = entry.value.get("external");
            let name = entry.value.get("name").or_else(|| external?.get("name"));
            let name = name.and_then(yaml::Node::as_text).unwrap_or(&entry.key);
            if external.is_none() || id.name != *name {
                continue;
            }
            found.within(&format!("{all}.{}", entry.key), |report| {
                let message = format!("the cluster has no {} named `{}`", id.kind, id.name);
                let hint = format!("set it: `jaco {} set {}`", id.kind, id.name);
                report.coded(ErrorCode::SecretNotFound, entry.mark, message, Some(hint));
            });
        }
    }
    let mut found = found.finish();
    // As with `check`: the lines hold values that nobody wrote there.
    found.iter_mut().for_each(|problem| problem.source.clear());
    found
}

/// Every key of both files and what happens to it: the tables that reading follows.
#[must_use]
pub fn supported() -> Vec<Supported> {
    jaco::describe().into_iter().chain(of_compose()).collect()
}

/// Every key of a compose file.
fn of_compose() -> Vec<Supported> {
    compose::describe().into_iter().chain(fold::describe()).collect()
}

fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// How a manifest is read.
struct Checks<'a> {
    /// What becomes of tags.
    tags: yaml::Tags,
    /// What may be mounted by anybody.
    allowed: &'a BindAllowlist,
}

/// Reads both files, lets `fold` change the tree of the compose file, decodes and merges.
fn run(
    jaco: &Source,
    compose: &Source,
    Checks { tags, allowed }: Checks<'_>,
    fold: impl FnOnce(Option<&jaco::JacoDraft>, &mut yaml::Node, &mut Report<'_>, &mut Report<'_>),
) -> Result<Checked, Vec<Diagnostic>> {
    let (jaco_text, compose_text) = (without_bom(&jaco.text), without_bom(&compose.text));
    let mut jaco_report = Report::new(&jaco.name, jaco_text);
    let mut compose_report = Report::new(&compose.name, compose_text);
    let jaco_draft =
        yaml::read(jaco_text, &mut jaco_report).map(|root| jaco::decode(&root, &mut jaco_report));
    let compose_root = yaml::read_file(0, compose_text, tags, &mut compose_report);
    let compose_draft = compose_root.map(|mut root| {
        fold(jaco_draft.as_ref(), &mut root, &mut jaco_report, &mut compose_report);
        compose::decode(&root, &mut compose_report)
    });
    let document = match (&jaco_draft, &compose_draft) {
        (Some(jaco), Some(compose)) => {
            merge::merge(jaco, compose, allowed, &mut jaco_report, &mut compose_report)
        }
        _ => None,
    };
    let mut found = jaco_report.finish();
    found.extend(compose_report.finish());
    match document {
        Some(document) if found.iter().all(|d| d.severity == Severity::Warning) => {
            Ok(Checked { document, warnings: found })
        }
        _ => Err(found),
    }
}
