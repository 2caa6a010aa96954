//! One row for each attribute that the engine sees: what is written, and what `docker inspect` shows.

mod beside;
mod limits;
mod mounts;
mod network;
mod rights;
mod run;

/// Attributes and what becomes of them.
pub(crate) struct Row {
    /// The attributes it is about, by their path in a compose file.
    pub(crate) of: &'static [&'static str],
    /// Lines of the service, beside its image and its labels.
    pub(crate) service: &'static str,
    /// Lines at the top of the file.
    pub(crate) top: &'static str,
    /// What is looked at: JSON pointers and values, or several between bars where engines differ.
    pub(crate) seen: &'static [(&'static str, &'static str)],
    /// What is looked at in a network or volume of the engine, by its name.
    pub(crate) thing: Option<Thing>,
    /// The oldest API that has it; an older engine must be told apart from one that refuses.
    pub(crate) needs: Option<&'static str>,
    /// How the engine says that its kernel or its disk cannot do it.
    pub(crate) cannot: Option<Cannot>,
    /// Lines of a service `lead` whose container it lives beside; in what is seen, `LEAD` is the id of
    /// that one.
    pub(crate) lead: Option<&'static str>,
}

/// How an engine says that a machine cannot do something.
pub(crate) enum Cannot {
    /// By making the container without it: the kernel has none of these files.
    Lacks(&'static [&'static str]),
    /// In its refusal.
    Refuses(&'static str),
}

/// A network or volume of the engine.
pub(crate) struct Thing {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) seen: &'static [(&'static str, &'static str)],
}

const fn row(
    of: &'static [&'static str],
    service: &'static str,
    seen: &'static [(&'static str, &'static str)],
) -> Row {
    Row { of, service, top: "", seen, thing: None, needs: None, cannot: None, lead: None }
}

const fn top(row: Row, top: &'static str) -> Row {
    Row { top, ..row }
}

const fn since(needs: &'static str, row: Row) -> Row {
    Row { needs: Some(needs), ..row }
}

const fn unless(cannot: Cannot, row: Row) -> Row {
    Row { cannot: Some(cannot), ..row }
}

const fn thing(
    of: &'static [&'static str],
    service: &'static str,
    top: &'static str,
    thing: Thing,
) -> Row {
    Row { of, service, top, seen: &[], thing: Some(thing), needs: None, cannot: None, lead: None }
}

/// Every row. Each service gets the label that allows access to the host.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    let groups = [
        run::RUN,
        mounts::MOUNTS,
        network::NETWORK,
        rights::RIGHTS,
        limits::LIMITS,
        beside::BESIDE,
    ];
    groups.into_iter().flatten()
}
