//! One step of a domain.

use std::time::Duration;

use jaco_api::model::Timestamp;

use super::{
    Attempt, Failure, FailureKind, Phase, Row, Settings, Validity, Window,
    backoff::{RETRY_AFTER_CAP, RETRY_DELAY, delay},
};
use crate::store::Domain;

/// How long an attempt may take, changes of the issuer included.
pub const ORDER_TIME: Duration = Duration::from_secs(10 * 60);
/// No certificate is renewed sooner than this, whatever the CA wishes; a short one after a tenth of its
/// life.
const RENEWAL_FLOOR: Duration = Duration::from_secs(60 * 60);

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With a certificate. What a dry run obtained is not served; any other is in the store already.
    Obtained(Validity),
    /// Without one.
    Failed(Failure),
}

/// What is true now.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The issuer's clock.
    pub now: Timestamp,
    /// The certificate in the store.
    pub certificate: Option<Validity>,
    /// What the CA wishes for that certificate; none when it was not asked, or does not say.
    pub window: Option<Window>,
    /// The end of an attempt, and which attempt that was.
    pub outcome: Option<(u32, &'a Outcome)>,
}

/// The one thing to do, once the row is replicated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing before that time; nothing at all without one.
    Wait {
        /// When to look again.
        until: Option<Timestamp>,
    },
    /// Make a dry run: place an order, or go on with the one in the row.
    OrderAtStaging,
    /// Obtain the first certificate: place an order, or go on with the one in the row.
    OrderAtProduction,
    /// Obtain the next certificate: place an order, or go on with the one in the row.
    Renew,
    /// Nothing before that time, since the last attempt failed.
    GiveUp {
        /// When the next attempt begins.
        until: Timestamp,
    },
}

/// Where a domain goes, and what to do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The row to replicate; nothing is to be written when it is the old one.
    pub row: Row,
    /// What to do then. Doing it again, while it is being done, is nothing.
    pub action: Action,
}

/// The next row of a domain and what to do.
///
/// Stepping again without news gives the same row and the same action.
#[must_use]
pub fn step(row: &Row, domain: &Domain, settings: &Settings, facts: &Facts<'_>) -> Step {
    if !settings.enabled {
        return Step { row: row.clone(), action: Action::Wait { until: None } };
    }
    let mut row = next(row, domain, settings, facts);
    if row.phase == Phase::Failed {
        // The certificate at hand may be good enough.
        row = next(&row, domain, settings, &Facts { outcome: None, ..*facts });
    }
    let action = match row.phase {
        Phase::Pending | Phase::Issued => Action::Wait { until: Some(row.deadline) },
        Phase::Staging => Action::OrderAtStaging,
        Phase::Promoting => Action::OrderAtProduction,
        Phase::Renewing => Action::Renew,
        Phase::Failed => Action::GiveUp { until: row.deadline },
    };
    Step { row, action }
}

fn next(row: &Row, domain: &Domain, settings: &Settings, facts: &Facts<'_>) -> Row {
    let now = facts.now;
    if let Some(attempt) = row.phase.attempt() {
        return match facts.outcome.filter(|(number, _)| *number == row.attempt) {
            Some((_, Outcome::Obtained(_))) if attempt == Attempt::Staging => {
                begin(&Row { order: None, ..row.clone() }, Attempt::Promoting, settings, now)
            }
            Some((_, Outcome::Obtained(validity))) => issued(row, *validity, None, domain, now),
            Some((_, Outcome::Failed(failure))) => failed(row, attempt, failure, settings, now),
            None => ordering(row, attempt, settings, now),
        };
    }
    let due = |validity: Validity| due(validity, facts.window.or(row.window), domain);
    match (row.phase, facts.certificate) {
        (Phase::Issued, Some(validity)) => {
            let row = issued(row, validity, facts.window.or(row.window), domain, now);
            if row.deadline <= now { begin(&row, Attempt::Renewing, settings, now) } else { row }
        }
        // A certificate that is not seen yet is not ordered once more.
        (Phase::Issued, None) if now < row.since.after(ORDER_TIME) => {
            Row { deadline: row.since.after(ORDER_TIME), ..row.clone() }
        }
        // Another issuer, a cache or a person has put one there.
        (Phase::Pending | Phase::Failed, Some(validity)) if now < due(validity) => {
            issued(row, validity, facts.window, domain, now)
        }
        (Phase::Failed, _) if now < row.deadline => {
            Row { deadline: row.deadline.min(now.after(RETRY_AFTER_CAP)), ..row.clone() }
        }
        (_, Some(_)) => begin(row, Attempt::Renewing, settings, now),
        (_, None) => {
            let again =
                row.retry.filter(|a| *a == Attempt::Promoting || settings.staging.is_some());
            let again = again.filter(|a| *a != Attempt::Renewing);
            begin(row, again.unwrap_or_else(|| settings.first()), settings, now)
        }
    }
}

/// An attempt of which there is no news.
fn ordering(row: &Row, attempt: Attempt, settings: &Settings, now: Timestamp) -> Row {
    let Some(directory) = settings.directory_of(attempt) else {
        return begin(row, Attempt::Promoting, settings, now);
    };
    if now >= row.deadline {
        let reason =
            format!("the order was not finished within {} minutes", ORDER_TIME.as_secs() / 60);
        let late = Failure { kind: FailureKind::Unreachable, reason, retry_after: None };
        return failed(row, attempt, &late, settings, now);
    }
    if row.order.as_ref().is_some_and(|order| order.directory != directory) {
        return begin(row, attempt, settings, now);
    }
    // A deadline from a clock that was ahead does not hold the domain up.
    Row { deadline: row.deadline.min(now.after(ORDER_TIME)), ..row.clone() }
}

fn begin(row: &Row, attempt: Attempt, settings: &Settings, now: Timestamp) -> Row {
    let directory = settings.directory_of(attempt);
    Row {
        phase: attempt.into(),
        since: now,
        deadline: now.after(ORDER_TIME),
        attempt: row.attempt.wrapping_add(1),
        retry: None,
        order: row.order.clone().filter(|order| Some(order.directory.as_str()) == directory),
        ..row.clone()
    }
}

fn failed(
    row: &Row,
    attempt: Attempt,
    failure: &Failure,
    settings: &Settings,
    now: Timestamp,
) -> Row {
    let failures = row.failures.saturating_add(1);
    // Where the domain itself is at fault, the dry run finds out without using up what production grants.
    let retry = match (attempt, failure.kind) {
        (Attempt::Promoting, FailureKind::Refused) => settings.first(),
        (attempt, _) => attempt,
    };
    // An order that was refused is dead. Any other may be further than we know, and is gone on with.
    let order = row.order.clone().filter(|_| failure.kind != FailureKind::Refused);
    Row {
        phase: Phase::Failed,
        since: now,
        deadline: now.after(delay(failure, failures)),
        failures,
        retry: Some(retry),
        order,
        reason: Some(failure.reason.clone()),
        ..row.clone()
    }
}

fn issued(row: &Row, of: Validity, window: Option<Window>, domain: &Domain, now: Timestamp) -> Row {
    let since = if row.phase == Phase::Issued { row.since } else { now };
    let floor = since.after((of.life() / 10).clamp(RETRY_DELAY, RENEWAL_FLOOR));
    Row {
        phase: Phase::Issued,
        since,
        deadline: due(of, window, domain).max(floor),
        failures: 0,
        retry: None,
        order: None,
        window,
        reason: None,
        ..row.clone()
    }
}

/// When a certificate is to be renewed: at a point of the CA's window, which is another one for each
/// domain, else at two thirds of its life; in any case while a tenth of its life is left.
fn due(of: Validity, window: Option<Window>, domain: &Domain) -> Timestamp {
    let Some(window) = window else { return of.not_before.after(of.life() * 2 / 3) };
    let width = window.end.0.saturating_sub(window.start.0).max(1);
    let point = Timestamp(window.start.0.saturating_add(spread(domain) % width));
    point.min(of.not_before.after(of.life() * 9 / 10))
}

/// A number that is the domain's own on every node (FNV-1a).
fn spread(domain: &Domain) -> u64 {
    domain.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
