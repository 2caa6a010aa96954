//! The example stacks are manifests that JACO accepts without a remark.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use jaco_api::manifest::{FileProblem, Files, Resolved, Source, check, render, resolve};

struct Beside(PathBuf);

impl Files for Beside {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        fs::read_to_string(self.0.join(path)).map_err(|_| FileProblem::NotFound)
    }
}

fn resolved(stack: &Path) -> Resolved {
    let source = |name: &str| Source {
        name: name.to_owned(),
        text: fs::read_to_string(stack.join(name)).unwrap(),
    };
    let beside = Beside(stack.to_owned());
    resolve(&source("jaco.yaml"), &source("compose.yml"), &beside)
        .unwrap_or_else(|problems| panic!("{}", render(&problems, false)))
}

#[test]
fn every_example_stack_is_accepted_by_client_and_daemon() {
    let stacks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/stacks");
    let mut names = Vec::new();
    for entry in fs::read_dir(stacks).unwrap() {
        let stack = entry.unwrap().path();
        let resolved = resolved(&stack);
        assert!(
            resolved
                .warnings
                .iter()
                .all(|w| w.message.contains("restart") || w.path.ends_with("name")),
            "{}",
            render(&resolved.warnings, false)
        );
        let jaco = Source { name: "jaco.yaml".to_owned(), text: resolved.jaco };
        let compose = Source { name: "compose.yml".to_owned(), text: resolved.compose };
        let checked = check(&jaco, &compose).unwrap_or_else(|p| panic!("{}", render(&p, false)));
        assert!(
            checked.document == resolved.document,
            "{}: what is sent is what was meant",
            stack.display()
        );
        names.push(resolved.document.deployment.to_string());
    }
    names.sort();
    assert_eq!(names, ["hello", "shop"]);
}
