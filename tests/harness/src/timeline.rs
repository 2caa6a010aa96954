//! What happened to containers on several engines, by the one clock of the machine.
//!
//! Looking at engines in turn can miss a moment or put two moments together; their own events do not.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde_json::Value;

use crate::{Engine, HarnessError, Process, Result};

/// What can happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Its process runs.
    Started,
    /// Its health check passes, after it did not.
    Healthy,
    /// Its health check fails, after it did not.
    Unhealthy,
    /// It was sent a signal: the beginning of a stop.
    Signalled,
    /// Its process is gone.
    Ended,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// Nanoseconds since 1970.
    pub at: u64,
    /// Which engine, in the order in which they were given.
    pub engine: usize,
    /// Full id of the container.
    pub container: String,
    /// Its name.
    pub name: String,
    /// What it was.
    pub moment: Moment,
}

/// A recording under way. Dropping it ends it.
#[derive(Debug)]
pub struct Timeline {
    recorders: Vec<(Process, PathBuf)>,
}

impl Timeline {
    /// Starts recording what happens to containers with this label on these engines; `directory` takes
    /// the files.
    ///
    /// # Errors
    /// The client cannot be started.
    pub fn start(engines: &[Engine], label: &str, directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).map_err(HarnessError::file("create", directory))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // The engine repeats what happened since, so nothing is missed before the client is connected.
        let since = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        let record = |(n, engine): (usize, &Engine)| {
            let file = directory.join(format!("events-{}-{n}", now.as_nanos()));
            let mut arguments = vec!["events", "--format", "{{json .}}", "--since", &since];
            let label = format!("label={label}");
            let filters = ["event=start", "event=health_status", "event=kill", "event=die", &label];
            arguments.extend(filters.iter().flat_map(|filter| ["--filter", filter]));
            Ok((Process::start(&mut engine.command(&arguments), &file)?, file))
        };
        let recorders = engines.iter().enumerate().map(record).collect::<Result<_>>()?;
        Ok(Self { recorders })
    }

    /// What has happened so far, in the order in which it happened.
    ///
    /// # Errors
    /// A recorder wrote something else than events.
    pub fn so_far(&self) -> Result<Vec<Happening>> {
        let mut all = Vec::new();
        for (engine, (_, file)) in self.recorders.iter().enumerate() {
            let text = fs::read_to_string(file).map_err(HarnessError::file("read", file))?;
            all.extend(happenings(engine, &text)?);
        }
        all.sort_by_key(|happening| happening.at);
        Ok(all)
    }
}

/// Reads the engine's events, one JSON document per line; a last line without its end is left out.
fn happenings(engine: usize, text: &str) -> Result<Vec<Happening>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut all = Vec::new();
    for line in whole.lines() {
        let event: Value = serde_json::from_str(line).map_err(|source| {
            let output = line.to_owned();
            HarnessError::NotJson { line: "docker events".to_owned(), output, source }
        })?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let moment = match event["Action"].as_str().unwrap_or_default() {
            "start" => Moment::Started,
            "kill" => Moment::Signalled,
            "die" => Moment::Ended,
            "health_status: healthy" => Moment::Healthy,
            "health_status: unhealthy" => Moment::Unhealthy,
            _ => continue,
        };
        all.push(Happening {
            at: event["timeNano"].as_u64().unwrap_or_default(),
            engine,
            container: text(&event["Actor"]["ID"]),
            name: text(&event["Actor"]["Attributes"]["name"]),
            moment,
        });
    }
    Ok(all)
}

/// The lowest number of serving containers, from those that served `at_first`. With `checked`, a
/// container serves from its first healthy moment, else from its start; it stops serving when it is
/// sent a signal, ends or turns unhealthy.
#[must_use]
pub fn lowest(at_first: &BTreeSet<String>, happenings: &[Happening], checked: bool) -> usize {
    let mut serving = at_first.clone();
    let mut lowest = serving.len();
    for Happening { container, moment, .. } in happenings {
        match moment {
            Moment::Healthy => drop(serving.insert(container.clone())),
            Moment::Started if !checked => drop(serving.insert(container.clone())),
            Moment::Started => {}
            Moment::Signalled | Moment::Ended | Moment::Unhealthy => {
                serving.remove(container);
            }
        }
        lowest = lowest.min(serving.len());
    }
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = concat!(
        r#"{"Action":"start","Actor":{"ID":"b","Attributes":{"name":"two"}},"timeNano":10}"#,
        "\n",
        r#"{"Action":"exec_die","Actor":{"ID":"b"},"timeNano":15}"#,
        "\n",
        r#"{"Action":"health_status: healthy","Actor":{"ID":"b"},"timeNano":20}"#,
        "\n",
        r#"{"Action":"kill","Actor":{"ID":"a"},"timeNano":30}"#,
        "\n",
        r#"{"Action":"die","Actor"#
    );

    #[test]
    fn events_are_read_up_to_the_line_that_is_being_written() {
        let read = happenings(3, EVENTS).unwrap();
        let moments: Vec<_> = read.iter().map(|h| (h.at, h.container.as_str(), h.moment)).collect();
        let wanted =
            [(10, "b", Moment::Started), (20, "b", Moment::Healthy), (30, "a", Moment::Signalled)];
        assert_eq!(moments, wanted);
        assert_eq!((read[0].engine, read[0].name.as_str()), (3, "two"));
        assert!(happenings(0, "no event\n").is_err());
    }

    #[test]
    fn a_replacement_counts_from_when_it_is_healthy() {
        let first = BTreeSet::from(["a".to_owned()]);
        let mut events = happenings(0, EVENTS).unwrap();
        assert_eq!(lowest(&first, &events, true), 1);
        events.swap(1, 2);
        assert_eq!(
            lowest(&first, &events, true),
            0,
            "the old one went before the new one was healthy"
        );
        assert_eq!(lowest(&first, &events, false), 1, "without a check, it serves once it runs");
    }
}
