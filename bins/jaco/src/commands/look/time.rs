//! Points in time on the command line.

use std::time::Duration;

use jaco_api::model::Timestamp;

use crate::error::Error;

/// `5m` (so long ago) or an RFC 3339 time.
///
/// # Errors
/// When it is neither.
pub fn point(text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(Timestamp(now.0.saturating_sub(millis(ago))));
    }
    text.parse().map_err(|_| Error::Time(text.to_owned()))
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_lie_in_the_past_and_times_are_absolute() {
        let now = Timestamp(10_000_000);
        assert_eq!(point("1h30m", now).unwrap(), Timestamp(10_000_000 - 5_400_000));
        assert_eq!(point("1970-01-01T00:00:01Z", now).unwrap(), Timestamp(1000));
        assert!(point("yesterday", now).is_err());
    }
}
