//! Both files of a manifest, and the files beside them.

use std::collections::BTreeSet;

use jaco_api::{
    manifest::{
        self, Checked, Diagnostic, FileProblem, Files, ManifestFile, Severity, Source, render,
    },
    model::{ContainerSpec, ManifestDocument, NodeName},
};

/// Between the parts of an input.
const BORDER: &str = "%%%%\n";

/// Serves the rest of the input under every name.
struct Served<'a>(&'a [&'a str]);

impl Files for Served<'_> {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        match self.0 {
            [] => Err(FileProblem::NotFound),
            some => Ok(some[path.len() % some.len()].to_owned()),
        }
    }
    fn directory(&self, of: ManifestFile) -> Option<String> {
        (of == ManifestFile::Compose || self.0.len() < 2).then(|| "/srv/app".to_owned())
    }
}

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

/// What the client does: what it sends means the same to the daemon.
pub(crate) fn resolve(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let parts: Vec<&str> = text.split(BORDER).collect();
    let [jaco, compose, files @ ..] = parts.as_slice() else { return };
    let (jaco, compose) = (source("jaco.yaml", jaco), source("compose.yaml", compose));
    match manifest::resolve(&jaco, &compose, &Served(files)) {
        Ok(resolved) => {
            problems(&resolved.warnings, &[&jaco, &compose], true);
            let sent = source("compose.yaml", &resolved.compose);
            let again = manifest::check(&source("jaco.yaml", &resolved.jaco), &sent);
            let Checked { document, .. } = again.unwrap_or_else(|found| {
                panic!("what was sent is refused\n{}\n{}", sent.text, render(&found, false))
            });
            assert_eq!(document, resolved.document, "{}", sent.text);
        }
        Err(found) => problems(&found, &[&jaco, &compose], false),
    }
}

/// What the daemon does with whatever is sent.
pub(crate) fn check(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let (jaco, compose) = text.split_once(BORDER).unwrap_or(("deployment: shop\n", text));
    let (jaco, compose) = (source("jaco.yaml", jaco), source("compose.yaml", compose));
    let unknown = manifest::unknown_hosts(&jaco, &BTreeSet::from([NodeName::new("a").unwrap()]));
    problems(&unknown, &[&jaco], unknown.is_empty());
    match manifest::check(&jaco, &compose) {
        Ok(checked) => {
            problems(&checked.warnings, &[&jaco, &compose], true);
            survives(&checked.document);
        }
        Err(found) => {
            problems(&found, &[&jaco, &compose], false);
            assert!(found.iter().all(|d| d.file != compose.name || d.source.is_empty()));
        }
    }
}

/// `jaco.yaml` beside a compose file that fits.
pub(crate) fn jaco_yaml(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let jaco = source("jaco.yaml", text);
    let compose = source(
        "compose.yaml",
        "services: {web: {image: a}, db: {image: b, networks: [back]}, job: {image: c, profiles: [x]}}\n\
         networks: {back: , front: }\n",
    );
    match manifest::check(&jaco, &compose) {
        Ok(checked) => {
            problems(&checked.warnings, &[&jaco, &compose], true);
            survives(&checked.document);
            for route in &checked.document.routes {
                assert!(route.path.starts_with('/') && !route.domain.ends_with('.'));
                assert!(checked.document.services.contains_key(&route.service));
            }
        }
        Err(found) => problems(&found, &[&jaco, &compose], false),
    }
}

/// A document is what it was after each way it is written.
fn survives(document: &ManifestDocument) {
    let text = serde_json::to_string(document).unwrap();
    assert_eq!(&serde_json::from_str::<ManifestDocument>(&text).unwrap(), document, "{text}");
    for (_, container) in document.services.values() {
        let again = ContainerSpec::from_canonical(&container.to_canonical()).unwrap();
        assert_eq!(&again, container);
        assert_eq!(again.digest(), container.digest());
    }
    assert!(manifest::diff(Some(document), document, true).is_empty());
}

/// Every problem says something about a place that is there, and they are in order.
fn problems(found: &[Diagnostic], files: &[&Source], valid: bool) {
    assert_eq!(found.iter().all(|d| d.severity == Severity::Warning), valid);
    for problem in found {
        let file = files.iter().find(|f| f.name == problem.file).expect("a file of the manifest");
        place(problem, &file.text);
        assert!(!problem.message.is_empty() && problem.message.len() < 4096, "{problem:?}");
    }
    let rendered = render(found, true);
    let controls = |c: char| c.is_control() && c != '\n' && c != '\x1b';
    assert!(!rendered.contains(controls), "{rendered:?}");
}

/// Line and column lie in the file; the line that is quoted is the one that is meant.
pub(crate) fn place(problem: &Diagnostic, text: &str) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let line = text.split('\n').nth(problem.line as usize - 1);
    let line = line.unwrap_or_else(|| panic!("there is no such line: {problem:?}"));
    let end = problem.column as usize + problem.length as usize - 1;
    assert!(problem.column >= 1 && problem.length >= 1, "{problem:?}");
    assert!(end <= line.chars().count() + 1, "beyond {line:?}: {problem:?}");
    assert!(problem.source.is_empty() || problem.source == line, "{line:?}: {problem:?}");
}
