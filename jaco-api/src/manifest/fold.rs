//! What only the client can do: further files, variables, env files and relative paths.
//!
//! Changes the tree of the compose file so that nothing of it depends on the client any more.
//! Runs exactly once; the daemon takes `$` as it stands and refuses what names a file.

mod contents;
mod env_files;
mod extends;
mod include;
mod load;
mod overlay;
mod paths;
mod variables;

use std::{collections::BTreeMap, rc::Rc};

use load::{File, Folding};

use super::{
    Files, ManifestFile, dotenv,
    fields::Supported,
    report::{Mark, Report, cut},
    yaml::{Entry, Node, Value},
};

type Known = BTreeMap<String, String>;

/// What holds for a whole file of services: which variables are known, and how it was reached.
struct Scope {
    /// Which of the scopes this is.
    number: usize,
    known: Option<Rc<Known>>,
    /// The files that include each other down to this one.
    way: Vec<String>,
}

/// The variables of the file that `environment` of jaco.yaml names; `None` when it cannot be read.
pub(super) fn environment(
    path: &str,
    mark: Mark,
    files: &dyn Files,
    report: &mut Report<'_>,
) -> Option<Known> {
    report.within("environment", |report| {
        let directory = files.directory(ManifestFile::Jaco).unwrap_or_default();
        let text = match files.read(&paths::resolve(&directory, path)) {
            Ok(text) => text,
            Err(problem) => {
                report.error(mark, format!("the file `{}` {problem}", cut(path)));
                return None;
            }
        };
        match dotenv::read(&text, &Known::new()) {
            Ok(entries) => Some(entries.into_iter().filter_map(|(k, v)| Some((k, v?))).collect()),
            Err(problem) => {
                report.error(mark, format!("{}:{}: {}", cut(path), problem.line, problem.message));
                None
            }
        }
    })
}

/// Every key of the mappings that are read here.
pub(super) fn describe() -> impl Iterator<Item = Supported> {
    let mappings = extends::LONG.describe().chain(include::LONG.describe());
    mappings.chain(env_files::LONG.describe())
}

/// Puts in what other files hold, fills variables and makes paths absolute. Without `known` values
/// that need a variable are not looked at any further.
pub(super) fn fold(
    root: &mut Node,
    known: Option<Known>,
    files: &dyn Files,
    report: &mut Report<'_>,
) {
    let mut folding = Folding::new(files, report.file());
    let start = Node::null(root.mark);
    let file =
        File { index: 0, path: folding.main(), root: Rc::new(std::mem::replace(root, start)) };
    let scope = Scope { number: 0, known: known.map(Rc::new), way: vec![file.path.clone()] };
    *root = folding.model(&[file], &scope, report);
}

impl Folding<'_> {
    /// The services and everything else of one file, or of several that lie over each other,
    /// with all that they include.
    fn model(&mut self, files: &[File], scope: &Scope, report: &mut Report<'_>) -> Node {
        let mut model: Option<Node> = None;
        for file in files {
            let next = self.one_file_model(file, scope, report);
            model = Some(match model {
                None => next,
                Some(base) => overlay::files(overlay::without_tags(base), next, report),
            });
        }
        let mut model = overlay::without_tags(model.unwrap_or_else(|| Node::null(Mark::default())));
        let included = model.take("include");
        self.finish(&mut model, scope, report);
        if let Some(included) = included {
            self.include(&mut model, &included.value, scope, report);
        }
        model
    }

    /// One file with its variables filled and its services extended.
    fn one_file_model(&mut self, file: &File, scope: &Scope, report: &mut Report<'_>) -> Node {
        let Node { mark, merging, .. } = *file.root;
        let Value::Map(entries) = &file.root.value else {
            let mut root = Node::clone(&file.root);
            self.variables(&mut root, scope, report);
            return root;
        };
        let mut out = Vec::with_capacity(entries.len());
        for entry in entries {
            let value = match &entry.value.value {
                Value::Map(services) if entry.key == "services" => {
                    self.services(file, services, &entry.value, scope, report)
                }
                _ => {
                    let mut value = entry.value.clone();
                    report.within(&entry.key, |report| self.variables(&mut value, scope, report));
                    value
                }
            };
            out.push(Entry { key: entry.key.clone(), mark: entry.mark, value });
        }
        Node { mark, value: Value::Map(out), merging }
    }

    fn services(
        &mut self,
        file: &File,
        services: &[Entry],
        node: &Node,
        scope: &Scope,
        report: &mut Report<'_>,
    ) -> Node {
        for service in services {
            self.service(file, service, scope, report);
        }
        // Nothing else asks for them: they are moved, not copied.
        let built = services.iter().map(|service| {
            let Entry { key, mark, .. } = service;
            let built = self.built.remove(&(file.index, scope.number, key.clone()));
            let value =
                built.map_or_else(|| service.value.clone(), |b| Rc::unwrap_or_clone(b.node));
            Entry { key: key.clone(), mark: *mark, value }
        });
        Node { value: Value::Map(built.collect()), mark: node.mark, merging: node.merging }
    }

    fn variables(&mut self, node: &mut Node, scope: &Scope, report: &mut Report<'_>) {
        variables::variables(node, scope.known.as_deref(), &mut self.text_left, report);
    }

    /// Env files, label files and paths, once nothing else can change them.
    fn finish(&mut self, model: &mut Node, scope: &Scope, report: &mut Report<'_>) {
        let nothing = Known::new();
        let known = scope.known.as_deref().unwrap_or(&nothing);
        if let Some(Value::Map(services)) = model.get_mut("services").map(|n| &mut n.value) {
            for Entry { key, value, .. } in services {
                report.within(&format!("services.{key}"), |report| {
                    self.fold_files(value, &env_files::ENV_FILE, known, report);
                    self.fold_files(value, &env_files::LABEL_FILE, known, report);
                });
                env_files::env_names(value, known);
                env_files::hook_env_names(value, known);
                self.absolute_binds(value);
            }
        }
        self.contents(model, scope.known.as_deref(), report);
        self.absolute_devices(model);
    }
}
