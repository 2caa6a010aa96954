//! `extends`: a service begins with what another one says.

use std::rc::Rc;

use super::{
    Folding, Scope,
    load::File,
    overlay::{self, without_tags},
};
use crate::{
    error::ErrorCode,
    manifest::{
        fields::{Schema, accepted},
        report::{Mark, Report, cut},
        suggest, values,
        yaml::{Entry, Node, Value},
    },
};

/// Most services that extend each other in a row.
const DEEPEST: usize = 32;

/// A service with everything it extends.
#[derive(Clone)]
pub(super) struct Built {
    pub(super) node: Rc<Node>,
    /// False when something it extends could not be had, which is reported.
    whole: bool,
}

/// What `extends` names.
#[derive(Default)]
pub(super) struct Reference {
    service: Option<Placed>,
    file: Option<Placed>,
}

pub(super) static LONG: Schema<Reference> = Schema {
    what: "`extends`",
    at: &["services.*.extends"],
    extensions: false,
    attributes: &[
        accepted("service", "The service that is extended.", |e, n, r| {
            e.service = values::some_text(n, r).map(|s| (s, n.mark));
        }),
        accepted(
            "file",
            "The compose file it stands in, relative to this one; this one when not given.",
            |e, n, r| e.file = values::some_text(n, r).map(|f| (f, n.mark)),
        ),
    ],
};

impl Folding<'_> {
    /// A service of a file, with its variables filled and what it extends put below it.
    pub(super) fn service(
        &mut self,
        file: &File,
        service: &Entry,
        scope: &Scope,
        report: &mut Report<'_>,
    ) -> Built {
        let key = (file.index, scope.number, service.key.clone());
        if let Some(built) = self.built.get(&key) {
            return built.clone();
        }
        let mut node = service.value.clone();
        let extends = report.within(&format!("services.{}", service.key), |report| {
            self.variables(&mut node, scope, report);
            node.take("extends").filter(|e| !e.value.is_null())
        });
        let (node, whole) = match extends {
            None => (node, true),
            Some(extends) => {
                self.way.push((file.index, service.key.clone()));
                let base = self.base(file, service, &extends.value, scope, report);
                self.way.pop();
                match base {
                    Some(base) => {
                        let under = without_tags(Node::clone(&base.node));
                        let path = format!("services.{}", service.key);
                        let node =
                            report.within(&path, |report| overlay::service(under, node, report));
                        (node, base.whole)
                    }
                    None => (node, false),
                }
            }
        };
        if !whole {
            // What it lacks may be in what could not be had.
            report.settle(service.mark);
        }
        let built = Built { node: Rc::new(node), whole };
        self.built.insert(key, built.clone());
        built
    }

    /// What a service extends; `None` when there is a problem, which is reported.
    fn base(
        &mut self,
        file: &File,
        service: &Entry,
        extends: &Node,
        scope: &Scope,
        report: &mut Report<'_>,
    ) -> Option<Built> {
        let path = format!("services.{}", service.key);
        let (from, base) = within_extends(&path, report, |report| {
            let ((name, mark), other) = reference(extends, report)?;
            let from = match other {
                None => file.clone(),
                Some((path, at)) => self.open(&path, at, None, report)?,
            };
            let base = find(&from, &name, mark, report)?;
            self.check_way(&from, &base, mark, report)?;
            Some((from, base))
        })?;
        let built = self.service(&from, &base, scope, report);
        let Some(left) = self.nodes_left.checked_sub(built.node.size()) else {
            let message = "the services that are extended hold too many values together";
            within_extends(&path, report, |report| report.error(extends.mark, message));
            return None;
        };
        self.nodes_left = left;
        Some(built)
    }

    /// Refuses circles and endless rows.
    fn check_way(
        &self,
        from: &File,
        base: &Entry,
        mark: Mark,
        report: &mut Report<'_>,
    ) -> Option<()> {
        let same = |(file, name): &(u16, String)| *file == from.index && *name == base.key;
        if let Some(start) = self.way.iter().position(same) {
            let names: Vec<String> =
                self.way[start..].iter().take(8).map(|(_, name)| cut(name)).collect();
            let message = match &names[..] {
                [one] => format!("the service `{one}` extends itself"),
                _ => format!("services extend each other: {} → {}", names.join(" → "), names[0]),
            };
            report.error(mark, message);
            return None;
        }
        if self.way.len() >= DEEPEST {
            report.error(mark, format!("more than {DEEPEST} services extend each other in a row"));
            return None;
        }
        Some(())
    }
}

fn within_extends<R>(
    service: &str,
    report: &mut Report<'_>,
    f: impl FnOnce(&mut Report<'_>) -> R,
) -> R {
    report.within(service, |report| report.within("extends", f))
}

/// A text and its place.
type Placed = (String, Mark);

/// The service that `extends` names, and the other file it is in.
fn reference(extends: &Node, report: &mut Report<'_>) -> Option<(Placed, Option<Placed>)> {
    let mut reference = Reference::default();
    if let Value::Map(_) = extends.value {
        LONG.decode(extends, &mut reference, report);
        if extends.get("service").is_none_or(Node::is_null) {
            let hint = "write `extends: {service: …}`, and `file: …` when it is in another file";
            report.error_hint(extends.mark, "`extends` names no `service`", hint);
        }
    } else if let Value::List(_) = extends.value {
        let _: Option<()> = values::wrong(extends, "the name of a service or a mapping", report);
    } else {
        reference.service = values::some_text(extends, report).map(|s| (s, extends.mark));
    }
    Some((reference.service?, reference.file))
}

/// A service of a file.
fn find(from: &File, name: &str, mark: Mark, report: &mut Report<'_>) -> Option<Entry> {
    let services = match from.root.get("services").map(|n| &n.value) {
        Some(Value::Map(services)) => &services[..],
        _ => &[],
    };
    let found = services.iter().find(|s| s.key == name);
    if found.is_none() {
        let shown = report.file_of(from.root.mark).to_owned();
        let known = services.iter().map(|s| s.key.as_str());
        let hint = suggest::hint(report, name, &format!("the services of {shown}"), known);
        let message = format!("the service `{}` is not defined in {shown}", cut(name));
        report.coded(ErrorCode::UnknownService, mark, message, hint);
    }
    found.cloned()
}
