//! Reads the folders of the corpus.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use jaco_api::manifest::{Diagnostic, FileProblem, Files, ManifestFile, Resolved, Source, resolve};

/// Where messages and mounts say that a manifest is.
const ROOT: &str = "/srv/app";

/// A folder of the corpus.
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Where its paths begin.
    root: String,
    /// Texts that are read instead of what is on disk.
    changed: BTreeMap<String, String>,
}

/// A mistake that is made by replacing a text.
pub(crate) struct Mistake {
    pub(crate) kind: String,
    file: String,
    from: String,
    to: String,
}

/// Every manifest, by name.
pub(crate) fn manifests() -> Vec<Manifest> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("compose.yml").is_file());
    folders.sort();
    assert!(folders.len() >= 40, "{} manifests", folders.len());
    let manifest = |folder: PathBuf| Manifest {
        name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
        folder,
        root: ROOT.to_owned(),
        changed: BTreeMap::new(),
    };
    folders.into_iter().map(manifest).collect()
}

impl Manifest {
    /// The same with its paths where they really are.
    pub(crate) fn in_its_folder(&self) -> Self {
        Self {
            name: self.name.clone(),
            folder: self.folder.clone(),
            root: self.folder.to_str().unwrap().to_owned(),
            changed: self.changed.clone(),
        }
    }

    pub(crate) fn source(&self, name: &str, text: &str) -> Source {
        Source { name: name.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn jaco(&self) -> Source {
        self.source("jaco.yaml", &self.text("jaco.yaml").unwrap())
    }

    pub(crate) fn resolve(&self) -> Result<Resolved, Vec<Diagnostic>> {
        self.resolve_with(&self.text("compose.yml").unwrap())
    }

    /// Resolves another compose file in its place.
    pub(crate) fn resolve_with(&self, compose: &str) -> Result<Resolved, Vec<Diagnostic>> {
        resolve(&self.jaco(), &self.source("compose.yml", compose), self)
    }

    /// The file that `environment` of jaco.yaml names.
    pub(crate) fn env_file(&self) -> Option<String> {
        let jaco = self.text("jaco.yaml").unwrap();
        jaco.lines().find_map(|line| line.strip_prefix("environment: ").map(str::to_owned))
    }

    fn text(&self, path: &str) -> Option<String> {
        let changed = self.changed.get(path).cloned();
        changed.or_else(|| fs::read_to_string(self.folder.join(path)).ok())
    }

    pub(crate) fn mistakes(&self) -> Vec<Mistake> {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|p| p.file_name().unwrap().to_str().unwrap().starts_with("mistake"));
        paths.sort();
        paths.iter().map(|path| Mistake::read(&fs::read_to_string(path).unwrap())).collect()
    }
}

impl Mistake {
    fn read(text: &str) -> Self {
        let (kind, rest) = text.split_once('\n').unwrap();
        let (file, rest) = rest.split_once("\n<<<\n").unwrap();
        let (from, rest) = rest.split_once("\n===\n").unwrap();
        let (to, end) = rest.split_once("\n>>>\n").unwrap();
        assert_eq!(end, "", "{kind}");
        Self {
            kind: kind.to_owned(),
            file: file.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        }
    }

    /// The manifest with the mistake in it.
    pub(crate) fn made_in(&self, manifest: &Manifest) -> Manifest {
        let right = manifest.text(&self.file).unwrap_or_else(|| panic!("no {}", self.file));
        assert!(
            right.contains(&self.from),
            "{}: {} is not in {}",
            manifest.name,
            self.from,
            self.file
        );
        let wrong = right.replacen(&self.from, &self.to, 1);
        let mut out = manifest.in_its_folder();
        out.root.clone_from(&manifest.root);
        out.changed.insert(self.file.clone(), wrong);
        out
    }
}

impl Files for Manifest {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        let path = path.strip_prefix(&self.root).ok_or(FileProblem::NotFound)?;
        self.text(path.trim_start_matches('/')).ok_or(FileProblem::NotFound)
    }

    fn directory(&self, _: ManifestFile) -> Option<String> {
        Some(self.root.clone())
    }
}
