//! Short ways to resolve, check and render.

use std::collections::BTreeMap;

use jaco_api::{
    manifest::{
        Checked, Diagnostic, FileProblem, Files, ManifestFile, Resolved, Source, check, render,
        resolve,
    },
    model::{ContainerSpec, ManifestDocument, ServiceSchedule},
};

/// Files in memory, beside a manifest in `/srv/app`.
#[derive(Default)]
pub(crate) struct Memory(pub(crate) BTreeMap<String, String>);

impl Memory {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(k, v)| (format!("/srv/app/{k}"), (*v).to_owned())).collect())
    }
}

impl Files for Memory {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        self.0.get(path).cloned().ok_or(FileProblem::NotFound)
    }
    fn directory(&self, _: ManifestFile) -> Option<String> {
        Some("/srv/app".to_owned())
    }
}

pub(crate) fn jaco(text: &str) -> Source {
    Source { name: "jaco.yaml".to_owned(), text: text.to_owned() }
}

pub(crate) fn compose(text: &str) -> Source {
    Source { name: "compose.yml".to_owned(), text: text.to_owned() }
}

pub(crate) const NAME: &str = "deployment: shop\n";

pub(crate) fn resolved(jaco_text: &str, compose_text: &str, files: &dyn Files) -> Resolved {
    match resolve(&jaco(jaco_text), &compose(compose_text), files) {
        Ok(resolved) => {
            same_when_checked(&resolved);
            resolved
        }
        Err(problems) => panic!("{}", render(&problems, false)),
    }
}

/// What is sent must mean the same on the other side.
pub(crate) fn same_when_checked(resolved: &Resolved) {
    let Checked { document, .. } = check(&jaco(&resolved.jaco), &compose(&resolved.compose))
        .unwrap_or_else(|p| panic!("{}\n{}", resolved.compose, render(&p, false)));
    assert_eq!(document, resolved.document, "{}", resolved.compose);
}

pub(crate) fn document(compose_text: &str) -> ManifestDocument {
    resolved(NAME, compose_text, &Memory::default()).document
}

pub(crate) fn service(compose_text: &str, name: &str) -> (ServiceSchedule, ContainerSpec) {
    document(compose_text).services[name].clone()
}

pub(crate) fn problems(jaco_text: &str, compose_text: &str) -> Vec<Diagnostic> {
    match resolve(&jaco(jaco_text), &compose(compose_text), &Memory::default()) {
        Ok(resolved) => resolved.warnings,
        Err(problems) => problems,
    }
}
