//! Cron expressions: whether a text is one, and when it is due.
//!
//! In: an expression, a time zone and a time. Out: another time, or what is wrong with the text and
//! where. Pure: the time zone database is compiled in, so every node and client of one version knows
//! the same one. Two versions may not: what must be the same on all members is never worked out here.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    Timestamp as Instant, Zoned,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{CronSchedule, Timestamp};

/// Longest expression.
const LONGEST: usize = 256;
/// Names of whole expressions.
const NAMES: &[&str] =
    &["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// What is wrong with an expression or a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidCron {
    /// First byte of the text that is wrong.
    pub start: usize,
    /// The byte after it.
    pub end: usize,
    /// What is wrong with it.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl InvalidCron {
    fn new(at: (usize, usize), message: impl Into<String>) -> Self {
        Self { start: at.0, end: at.1, message: message.into(), hint: None }
    }
    fn hint(self, text: impl Into<String>) -> Self {
        Self { hint: Some(text.into()), ..self }
    }
}

/// A cron expression in its time zone.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Cron,
    zone: TimeZone,
}

impl Timetable {
    /// Of a schedule that was checked; absent when this version cannot read what another one has.
    #[must_use]
    pub fn of(schedule: &CronSchedule) -> Option<Self> {
        Some(Self { cron: parse(&schedule.expression).ok()?, zone: zone(&schedule.timezone).ok()? })
    }

    /// The first tick after a time.
    #[must_use]
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let from = self.zoned(time)?;
        self.cron.find_next_occurrence(&from, false).ok().and_then(|t| timestamp(&t))
    }

    /// The last tick that is not after a time.
    #[must_use]
    pub fn latest(&self, time: Timestamp) -> Option<Timestamp> {
        let from = self.zoned(time)?;
        self.cron.find_previous_occurrence(&from, true).ok().and_then(|t| timestamp(&t))
    }

    /// Ticks are whole seconds.
    fn zoned(&self, time: Timestamp) -> Option<Zoned> {
        let second = i64::try_from(time.0 / 1000).ok()?;
        Some(Instant::from_second(second).ok()?.to_zoned(self.zone.clone()))
    }
}

fn timestamp(time: &Zoned) -> Option<Timestamp> {
    u64::try_from(time.timestamp().as_millisecond()).ok().map(Timestamp)
}

/// Checks the name of a time zone and gives it back as the database writes it.
///
/// # Errors
/// There is no such zone.
pub fn check_timezone(name: &str) -> Result<String, InvalidCron> {
    zone(name).map(|zone| zone.iana_name().unwrap_or(name).to_owned())
}

fn zone(name: &str) -> Result<TimeZone, InvalidCron> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| {
        InvalidCron::new((0, name.len()), "is no time zone")
            .hint("write an IANA name such as UTC, Europe/Berlin or America/New_York")
    })
}

/// Checks an expression.
///
/// # Errors
/// What is wrong with it, and where.
pub fn check_expression(text: &str) -> Result<(), InvalidCron> {
    let cron = parse(text)?;
    let table = Timetable { cron, zone: TimeZone::UTC };
    match table.next_after(Timestamp(0)) {
        Some(_) => Ok(()),
        None => Err(InvalidCron::new((0, text.len()), "is never due: there is no such day")),
    }
}

fn parse(text: &str) -> Result<Cron, InvalidCron> {
    let all = (0, text.len());
    if text.len() > LONGEST {
        return Err(InvalidCron::new(all, format!("is longer than {LONGEST} characters")));
    }
    if let Some((at, c)) = text.char_indices().find(|(_, c)| !c.is_ascii()) {
        return Err(InvalidCron::new(
            (at, at + c.len_utf8()),
            format!("holds `{}`, which is no part of a cron expression", c.escape_default()),
        ));
    }
    let expression = if text.trim_start().starts_with('@') { named(text)? } else { fields(text)? };
    read(expression).ok_or_else(|| InvalidCron::new(all, "is no cron expression"))
}

fn read(expression: &str) -> Option<Cron> {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build()
        .parse(expression)
        .ok()
}

/// An expression that has a name.
fn named(text: &str) -> Result<&str, InvalidCron> {
    let name = text.trim();
    let start = text.find('@').unwrap_or(0);
    let at = (start, start + name.len());
    if name.eq_ignore_ascii_case("@midnight") {
        return Ok("@daily");
    }
    if NAMES.iter().any(|n| n.eq_ignore_ascii_case(name)) {
        return Ok(name);
    }
    let known = NAMES.join(", ");
    let word = name.split_whitespace().next().unwrap_or(name).to_ascii_lowercase();
    Err(match word.as_str() {
        "@reboot" => InvalidCron::new(at, "is not a time: a cluster has no boot")
            .hint("a service without `schedule` starts with its deployment"),
        "@every" => InvalidCron::new(at, "is no name of an expression")
            .hint("write an interval as a step, for example */5 * * * * for every five minutes"),
        _ => InvalidCron::new(at, "is no name of an expression").hint(format!("there are {known}")),
    })
}

/// One field of an expression.
struct Field {
    name: &'static str,
    range: &'static str,
    last: u32,
    /// Whether its values have names.
    words: bool,
}

const FIELDS: [Field; 6] = [
    Field { name: "second", range: "0 to 59", last: 59, words: false },
    Field { name: "minute", range: "0 to 59", last: 59, words: false },
    Field { name: "hour", range: "0 to 23", last: 23, words: false },
    Field { name: "day of the month", range: "1 to 31", last: 31, words: false },
    Field { name: "month", range: "1 to 12 or JAN to DEC", last: 12, words: true },
    Field {
        name: "day of the week",
        range: "0 to 7 or SUN to SAT, 0 and 7 being Sunday",
        last: 6,
        words: true,
    },
];

/// An expression that is written out; every field and every item of its lists is looked at alone, so
/// that what is wrong can be pointed at.
fn fields(text: &str) -> Result<&str, InvalidCron> {
    let parts: Vec<(usize, &str)> = text
        .split_ascii_whitespace()
        .map(|part| (part.as_ptr() as usize - text.as_ptr() as usize, part))
        .collect();
    let first = match parts.len() {
        5 => 1,
        6 => 0,
        n => {
            let message = format!("has {n} {}, a cron expression has 5", plural(n));
            let hint = "minute, hour, day of the month, month, day of the week; \
                        a sixth in front counts seconds";
            return Err(InvalidCron::new((0, text.len()), message).hint(hint));
        }
    };
    for (index, (start, part)) in (first..).zip(parts) {
        let mut at = start;
        for item in part.split(',') {
            check_item(index, item, at)?;
            at += item.len() + 1;
        }
    }
    Ok(text)
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "field" } else { "fields" }
}

fn check_item(index: usize, item: &str, start: usize) -> Result<(), InvalidCron> {
    let field = &FIELDS[index];
    let at = (start, start + item.len().max(1));
    if item.is_empty() {
        return Err(InvalidCron::new(at, format!("lacks an item of the {}", field.name)));
    }
    let letters = item.bytes().any(|b| b.is_ascii_alphabetic() && !b"LlWw".contains(&b));
    let mut alone = ["*"; 6];
    alone[index] = item;
    if (!letters || field.words) && read(&alone.join(" ")).is_some() {
        return Ok(());
    }
    let message = format!("holds `{item}`, which is no {}: {}", field.name, field.range);
    let problem = InvalidCron::new(at, message);
    Err(match (item.split_once('/'), item.split_once('-')) {
        (Some((from, step)), _) if is_number(from) && is_number(step) => {
            problem.hint(format!("a step needs a range: write {from}-{}/{step}", field.last))
        }
        (None, Some((from, to))) if backwards(from, to) => problem.hint(format!(
            "a range goes up: write {from}-{},{}",
            field.last,
            wrap(index, to)
        )),
        _ => problem,
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn backwards(from: &str, to: &str) -> bool {
    matches!((from.parse::<u32>(), to.parse::<u32>()), (Ok(from), Ok(to)) if from > to)
}

/// The part of a range that lies behind the end of its field.
fn wrap(index: usize, to: &str) -> String {
    let first = if matches!(index, 3 | 4) { "1" } else { "0" };
    if to == first { to.to_owned() } else { format!("{first}-{to}") }
}

#[cfg(test)]
mod tests;
