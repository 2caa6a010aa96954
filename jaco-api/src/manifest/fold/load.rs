//! The files that a compose file brings with it: each read once, all of them bounded.

use std::{collections::BTreeMap, rc::Rc};

use super::{extends::Built, paths};
use crate::manifest::{
    FileProblem, Files, ManifestFile,
    report::{Mark, Report, cut},
    yaml::{self, MOST_NODES, Node, Tags},
};

/// Most files besides the compose file itself.
const MOST_FILES: usize = 200;
/// Most bytes of all of them.
const MOST_BYTES: usize = yaml::MOST_BYTES;
/// Most bytes of env files, counted at every use.
const MOST_ENV_BYTES: usize = 64 << 20;
/// Most bytes that variables may add to a file.
const MOST_TEXT: usize = 4 << 20;

/// Where the relative paths of a file begin.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// For reading; empty when it is not known.
    pub(super) directory: String,
    /// For messages: as its reader would write it.
    pub(super) shown: String,
}

impl Place {
    /// The directory that this path is in.
    pub(super) fn parent(&self) -> Self {
        Self {
            directory: paths::parent(&self.directory).to_owned(),
            shown: paths::parent(&self.shown).to_owned(),
        }
    }
}

/// A file that was read.
#[derive(Clone)]
pub(super) struct File {
    /// How marks name it.
    pub(super) index: u16,
    /// What was read.
    pub(super) path: String,
    pub(super) root: Rc<Node>,
}

/// The work on one compose file and all that belongs to it.
pub(super) struct Folding<'f> {
    files: &'f dyn Files,
    main: String,
    /// Where the paths of each file begin, in the order of the report.
    places: Vec<Place>,
    /// What was read, by path and place; `None` when it is no YAML, which is reported.
    read: BTreeMap<(String, Place), Option<File>>,
    /// Services that are done, by file, scope and name.
    pub(super) built: BTreeMap<(u16, usize, String), Built>,
    /// The services that extend each other down to the present one.
    pub(super) way: Vec<(u16, String)>,
    /// How many scopes there are.
    pub(super) scopes: usize,
    pub(super) text_left: usize,
    pub(super) nodes_left: usize,
    bytes_left: usize,
    env_left: usize,
}

impl<'f> Folding<'f> {
    pub(super) fn new(files: &'f dyn Files, main: &str) -> Self {
        let directory = files.directory(ManifestFile::Compose).unwrap_or_default();
        let name = main.rsplit('/').next().unwrap_or(main);
        Self {
            files,
            main: paths::resolve(&directory, name),
            places: vec![Place { directory, shown: paths::parent(main).to_owned() }],
            read: BTreeMap::new(),
            built: BTreeMap::new(),
            way: Vec::new(),
            scopes: 1,
            text_left: MOST_TEXT,
            nodes_left: MOST_NODES,
            bytes_left: MOST_BYTES,
            env_left: MOST_ENV_BYTES,
        }
    }

    /// The path of the compose file itself.
    pub(super) fn main(&self) -> String {
        self.main.clone()
    }

    /// Where the relative paths of a file begin.
    pub(super) fn place(&self, file: u16) -> &Place {
        self.places.get(usize::from(file)).unwrap_or(&self.places[0])
    }

    /// The place that a path of a file stands for.
    pub(super) fn place_at(&self, file: u16, path: &str) -> Place {
        let from = self.place(file);
        let shown =
            if path.starts_with('/') { path.to_owned() } else { paths::join(&from.shown, path) };
        Place { directory: paths::resolve(&from.directory, path), shown }
    }

    /// Reads a text file that another file names.
    pub(super) fn read_beside(&mut self, file: u16, path: &str) -> Result<String, FileProblem> {
        let text = self.files.read(&self.place_at(file, path).directory)?;
        self.count(text.len())?;
        Ok(text)
    }

    /// The same for a file that need not be text.
    pub(super) fn bytes_beside(&mut self, file: u16, path: &str) -> Result<Vec<u8>, FileProblem> {
        let bytes = self.files.read_bytes(&self.place_at(file, path).directory)?;
        self.count(bytes.len())?;
        Ok(bytes)
    }

    fn count(&mut self, bytes: usize) -> Result<(), FileProblem> {
        let left = self.env_left.checked_sub(bytes).ok_or_else(|| {
            let problem = "with it, the files beside the manifest hold more than 64 MiB";
            FileProblem::Unreadable(problem.to_owned())
        })?;
        self.env_left = left;
        Ok(())
    }

    /// Reads a compose file that the one of `mark` names. Its own paths begin at `project`, or
    /// where it is. `None` when there is a problem, which is reported.
    pub(super) fn open(
        &mut self,
        path: &str,
        mark: Mark,
        project: Option<&Place>,
        report: &mut Report<'_>,
    ) -> Option<File> {
        let at = self.place_at(mark.file, path);
        let place = project.cloned().unwrap_or_else(|| at.parent());
        let key = (at.directory.clone(), place.clone());
        if let Some(done) = self.read.get(&key) {
            return done.clone();
        }
        let text = match self.files.read(&at.directory) {
            Ok(text) => text,
            Err(problem) => {
                report.error(mark, format!("the file `{}` {problem}", cut(path)));
                return None;
            }
        };
        if self.read.len() >= MOST_FILES {
            report.error(mark, format!("the compose file names more than {MOST_FILES} others"));
            return None;
        }
        let Some(left) = self.bytes_left.checked_sub(text.len()) else {
            report.error(mark, "the files that the compose file names are above 4 MiB together");
            return None;
        };
        self.bytes_left = left;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        let index = report.add_file(at.shown, text.clone());
        self.places.push(place);
        let root = report.at_root(|report| yaml::read_file(index, &text, Tags::Merging, report));
        let file = root.map(|root| File { index, path: at.directory, root: Rc::new(root) });
        self.read.insert(key, file.clone());
        file
    }
}
