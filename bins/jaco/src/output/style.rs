//! Colours and the text form of small values.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jaco_api::model::Timestamp;
use serde::Serialize;

/// Of the word before a warning.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Of the word before an error.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Of the word before a hint.
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Of what is new.
pub const ADDED: Style = AnsiColor::Green.on_default();
/// Of what changes.
pub const CHANGED: Style = AnsiColor::Yellow.on_default();
/// Of what goes.
pub const REMOVED: Style = AnsiColor::Red.on_default();

/// Colours that tell replicas apart in logs.
const REPLICAS: [AnsiColor; 10] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Yellow,
    AnsiColor::Blue,
    AnsiColor::Magenta,
    AnsiColor::BrightCyan,
    AnsiColor::BrightGreen,
    AnsiColor::BrightYellow,
    AnsiColor::BrightBlue,
    AnsiColor::BrightMagenta,
];

/// The colour of a replica: the same in every run.
#[must_use]
pub fn of_replica(id: &str) -> Style {
    let sum =
        id.bytes().fold(2_166_136_261_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(16_777_619));
    REPLICAS[sum as usize % REPLICAS.len()].on_default()
}

/// `text` in a style, where colours are wanted.
#[must_use]
pub fn paint(style: Style, text: &str, color: bool) -> String {
    if color { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// An enumeration's value in capitals, as tables show it.
#[must_use]
pub fn upper<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text.to_uppercase(),
        _ => String::new(),
    }
}

/// How long ago something was, in one or two units: `12s`, `5m`, `3h 10m`, `2d 4h`.
#[must_use]
pub fn age(now: Timestamp, then: Timestamp) -> String {
    span(now.since(then))
}

/// A length of time in one or two units.
#[must_use]
pub fn span(length: Duration) -> String {
    let s = length.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => two(s / 60, "m", s % 60, "s", s < 600),
        3600..86_400 => two(s / 3600, "h", s % 3600 / 60, "m", true),
        _ => two(s / 86_400, "d", s % 86_400 / 3600, "h", s < 864_000),
    }
}

fn two(big: u64, unit: &str, small: u64, sub: &str, both: bool) -> String {
    if both && small > 0 { format!("{big}{unit} {small}{sub}") } else { format!("{big}{unit}") }
}

/// Bytes in binary units: `512 MiB`, `7.8 GiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
    let (name, unit) = UNITS.into_iter().find(|(_, unit)| n >= *unit).unwrap_or(UNITS[3]);
    let tenths = (u128::from(n) * 10 + u128::from(unit) / 2) / u128::from(unit);
    match tenths % 10 {
        0 => format!("{} {name}", tenths / 10),
        tenth => format!("{}.{tenth} {name}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_two_units_where_they_matter() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (95, "1m 35s"),
            (700, "11m"),
            (3600, "1h"),
            (11_400, "3h 10m"),
            (90_000, "1d 1h"),
            (8_640_000, "100d"),
        ];
        for (secs, text) in cases {
            assert_eq!(span(Duration::from_secs(secs)), text);
        }
    }

    #[test]
    fn bytes_are_binary() {
        assert_eq!(bytes(512 << 20), "512 MiB");
        assert_eq!(bytes(8_375_186_227), "7.8 GiB");
        assert_eq!(bytes(10), "10 B");
    }

    #[test]
    fn replicas_keep_their_colour() {
        assert_eq!(of_replica("shop.web.1"), of_replica("shop.web.1"));
        assert_ne!(of_replica("shop.web.1"), of_replica("shop.web.2"));
    }
}
