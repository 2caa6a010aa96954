use std::time::Duration;

use jaco_api::model::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::store::Domain;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const START: Timestamp = Timestamp(1_800_000_000_000);

fn domain() -> Domain {
    "shop.example.com".parse().unwrap()
}

fn facts(now: Timestamp) -> Facts<'static> {
    Facts { now, certificate: None, window: None, outcome: None }
}

fn valid(from: Timestamp, life: Duration) -> Validity {
    Validity { not_before: from, not_after: from.after(life) }
}

fn failure(kind: FailureKind, retry_after: Option<Duration>) -> Outcome {
    Outcome::Failed(Failure { kind, reason: "urn:x: no".to_owned(), retry_after })
}

fn staged() -> Settings {
    Settings::new(true, LETS_ENCRYPT, None, false)
}

fn direct() -> Settings {
    Settings::new(true, "https://ca.example/dir", None, false)
}

fn order(directory: &str) -> OrderRef {
    OrderRef {
        directory: directory.to_owned(),
        url: "https://ca/1".to_owned(),
        sealed_key: vec![7],
    }
}

/// Steps without news.
fn look(row: &Row, settings: &Settings, now: Timestamp) -> Step {
    step(row, &domain(), settings, &facts(now))
}

/// Steps with the end of the attempt that the row is in.
fn end(row: &Row, settings: &Settings, now: Timestamp, outcome: &Outcome) -> Step {
    step(row, &domain(), settings, &Facts { outcome: Some((row.attempt, outcome)), ..facts(now) })
}

fn issue(settings: &Settings, of: Validity) -> Row {
    let mut at = look(&Row::new(START), settings, START);
    while at.row.phase != Phase::Issued {
        at = end(&at.row, settings, START, &Outcome::Obtained(of));
    }
    at.row
}

#[test]
fn a_new_domain_is_tried_at_staging_first_where_there_is_one() {
    let first = look(&Row::new(START), &staged(), START);
    assert_eq!((first.row.phase, first.action), (Phase::Staging, Action::OrderAtStaging));
    let second = end(&first.row, &staged(), START, &Outcome::Obtained(valid(START, DAY)));
    assert_eq!((second.row.phase, second.action), (Phase::Promoting, Action::OrderAtProduction));
    let third = end(&second.row, &staged(), START, &Outcome::Obtained(valid(START, 90 * DAY)));
    assert_eq!(third.row.phase, Phase::Issued);
    assert_eq!(third.action, Action::Wait { until: Some(START.after(60 * DAY)) });

    for settings in [direct(), Settings::new(true, LETS_ENCRYPT, None, true)] {
        let first = look(&Row::new(START), &settings, START);
        assert_eq!((first.row.phase, first.action), (Phase::Promoting, Action::OrderAtProduction));
    }
    let place = Some("https://dry.example/dir");
    for directory in ["https://ca.example/dir", LETS_ENCRYPT] {
        let settings = Settings::new(true, directory, place, false);
        assert_eq!(settings.directory_of(Attempt::Staging), place, "a place that was named");
        let skipped = Settings::new(true, directory, place, true);
        assert_eq!(skipped.directory_of(Attempt::Staging), None);
    }
}

#[test]
fn renewal_is_a_share_of_life_whatever_the_life() {
    for days in [6, 45, 64, 90] {
        let of = valid(START, days * DAY);
        let row = issue(&direct(), of);
        assert_eq!(row.deadline, START.after(days * DAY * 2 / 3));
        let at =
            |now| step(&row, &domain(), &direct(), &Facts { certificate: Some(of), ..facts(now) });
        assert_eq!(at(Timestamp(row.deadline.0 - 1)).row, row, "nothing is written before");
        assert_eq!(at(row.deadline).action, Action::Renew);
    }
}

#[test]
fn the_ca_s_window_comes_before_the_share_and_is_remembered() {
    let of = valid(START, 90 * DAY);
    let window = Window { start: START.after(10 * DAY), end: START.after(12 * DAY) };
    let row = issue(&direct(), of);
    let known = Facts { certificate: Some(of), window: Some(window), ..facts(START) };
    let told = step(&row, &domain(), &direct(), &known).row;
    assert!((window.start..window.end).contains(&told.deadline), "{told:?}");
    let unasked = Facts { certificate: Some(of), ..facts(START) };
    assert_eq!(
        step(&told, &domain(), &direct(), &unasked).row,
        told,
        "a new issuer has not asked yet"
    );

    let late = Window { start: START.after(100 * DAY), end: START.after(101 * DAY) };
    let late = Facts { certificate: Some(of), window: Some(late), ..facts(START) };
    let told = step(&row, &domain(), &direct(), &late).row;
    assert_eq!(told.deadline, START.after(81 * DAY), "never so late that it expires");
}

#[test]
fn a_window_in_the_past_renews_once_and_not_in_a_circle() {
    let of = valid(START, 90 * DAY);
    let past = Window { start: Timestamp(1), end: Timestamp(2) };
    let row = issue(&direct(), of);
    let at = |row: &Row, now| {
        let known = Facts { certificate: Some(of), window: Some(past), ..facts(now) };
        step(row, &domain(), &direct(), &known)
    };
    assert_eq!(at(&row, START).action, Action::Wait { until: Some(START.after(HOUR)) });
    let now = START.after(HOUR);
    let renewing = at(&row, now);
    assert_eq!(renewing.action, Action::Renew);
    let again = end(&renewing.row, &direct(), now, &Outcome::Obtained(of)).row;
    assert_eq!(at(&again, now).action, Action::Wait { until: Some(now.after(HOUR)) });
}

#[test]
fn a_failure_waits_longer_each_time_and_a_dry_run_that_passes_forgives_nothing() {
    let mut row = look(&Row::new(START), &staged(), START).row;
    let mut now = START;
    let mut waits = Vec::new();
    for _ in 0..9 {
        if row.phase == Phase::Staging {
            row = end(&row, &staged(), now, &Outcome::Obtained(valid(now, DAY))).row;
        }
        let after = end(&row, &staged(), now, &failure(FailureKind::Refused, None));
        assert_eq!(after.action, Action::GiveUp { until: after.row.deadline });
        assert_eq!(after.row.reason.as_deref(), Some("urn:x: no"));
        waits.push(after.row.deadline.since(now).as_secs() / 60);
        now = after.row.deadline;
        row = look(&after.row, &staged(), now).row;
        assert_eq!(row.phase, Phase::Staging, "a domain at fault is tried out before production");
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn rate_limits_begin_at_a_quarter_of_an_hour_and_the_ca_s_wish_counts() {
    let row = look(&Row::new(START), &direct(), START).row;
    for (asked, waits) in
        [(None, HOUR / 4), (Some(HOUR / 2), HOUR / 2), (Some(30 * HOUR), 30 * HOUR)]
    {
        let after = end(&row, &direct(), START, &failure(FailureKind::RateLimited, asked)).row;
        assert_eq!(after.deadline.since(START), waits);
        assert_eq!(look(&after, &direct(), after.deadline).row.phase, Phase::Promoting);
    }
}

#[test]
fn a_failed_renewal_stays_a_renewal_and_a_failed_production_order_is_not_staged_again() {
    let of = valid(START, 90 * DAY);
    let row = issue(&staged(), of);
    let known = |now| Facts { certificate: Some(of), ..facts(now) };
    let now = row.deadline;
    let renewing = step(&row, &domain(), &staged(), &known(now)).row;
    let after = end(&renewing, &staged(), now, &failure(FailureKind::Refused, None)).row;
    let again = step(&after, &domain(), &staged(), &known(after.deadline));
    assert_eq!(again.action, Action::Renew);

    let promoting = Row { phase: Phase::Promoting, ..Row::new(START) };
    let after = end(&promoting, &staged(), START, &failure(FailureKind::Unreachable, None)).row;
    assert_eq!(look(&after, &staged(), after.deadline).action, Action::OrderAtProduction);
}

#[test]
fn an_order_is_gone_on_with_unless_the_ca_refused_it() {
    let row = look(&Row::new(START), &direct(), START).row;
    let row = row.placed(row.attempt, order("https://ca.example/dir")).unwrap();
    assert!(row.placed(row.attempt, order("https://ca.example/dir")).is_none(), "one order only");
    assert!(
        row.placed(row.attempt + 1, order("x")).is_none(),
        "an attempt that is over places nothing"
    );

    let late = look(&row, &direct(), row.deadline).row;
    assert_eq!((late.phase, late.order.clone()), (Phase::Failed, row.order.clone()));
    let again = look(&late, &direct(), late.deadline).row;
    assert_eq!((again.attempt, &again.order), (row.attempt + 1, &row.order), "it is resumed");

    let refused = end(&again, &direct(), START, &failure(FailureKind::Refused, None)).row;
    assert_eq!(refused.order, None);
    let elsewhere = Settings::new(true, "https://other.example/dir", None, false);
    assert_eq!(look(&row, &elsewhere, START).row.order, None, "an order belongs to its CA");
}

#[test]
fn news_of_an_earlier_attempt_is_no_news() {
    let row = look(&Row::new(START), &direct(), START).row;
    let old = failure(FailureKind::Refused, None);
    let stale = Facts { outcome: Some((row.attempt.wrapping_sub(1), &old)), ..facts(START) };
    assert_eq!(step(&row, &domain(), &direct(), &stale).row, row);
}

#[test]
fn a_certificate_that_is_there_is_not_ordered() {
    let of = valid(START, 90 * DAY);
    let known = Facts { certificate: Some(of), ..facts(START) };
    let seen = step(&Row::new(START), &domain(), &staged(), &known).row;
    assert_eq!((seen.phase, seen.attempt), (Phase::Issued, 0));
    let gone = look(&seen, &staged(), START);
    assert_eq!(gone.row.phase, Phase::Issued, "the store may be behind");
    assert_eq!(look(&gone.row, &staged(), gone.row.deadline).row.phase, Phase::Staging);
}

#[test]
fn a_wait_can_be_cut_short_and_a_deadline_of_a_wrong_clock_does_not_hold() {
    let row = look(&Row::new(START), &direct(), START).row;
    let after = end(&row, &direct(), START, &failure(FailureKind::Local, None)).row;
    assert!(row.hurried(START).is_none());
    let hurried = after.hurried(START).unwrap();
    assert_eq!(look(&hurried, &direct(), START).row.phase, Phase::Promoting);

    let ahead = Row { deadline: START.after(4000 * DAY), ..row };
    assert_eq!(look(&ahead, &direct(), START).row.deadline, START.after(ORDER_TIME));
    let ahead = Row { deadline: START.after(4000 * DAY), ..after };
    assert!(look(&ahead, &direct(), START).row.deadline <= START.after(7 * DAY));
}

fn kinds() -> impl Strategy<Value = FailureKind> {
    prop_oneof![
        Just(FailureKind::RateLimited),
        Just(FailureKind::Refused),
        Just(FailureKind::Unreachable),
        Just(FailureKind::Local),
    ]
}

#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    Obtain { days: u64, current: bool },
    Fail { kind: FailureKind, retry_after: Option<u64>, current: bool },
    Place,
    Lose,
    Window(u64, u64),
    Enable(bool),
    Directory(bool),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..200_000u64).prop_map(Event::Pass),
        1 => (0..8_000_000u64).prop_map(Event::Pass),
        3 => (0..100u64, any::<bool>()).prop_map(|(days, current)| Event::Obtain { days, current }),
        3 => (kinds(), proptest::option::of(0..10_000_000u64), any::<bool>())
            .prop_map(|(kind, retry_after, current)| Event::Fail { kind, retry_after, current }),
        2 => Just(Event::Place),
        1 => Just(Event::Lose),
        1 => (0..100u64, 0..100u64).prop_map(|(a, b)| Event::Window(a, b)),
        1 => any::<bool>().prop_map(Event::Enable),
        1 => any::<bool>().prop_map(Event::Directory),
    ]
}

/// One domain with what surrounds it.
struct World {
    now: Timestamp,
    row: Row,
    settings: Settings,
    certificate: Option<Validity>,
    window: Option<Window>,
}

impl World {
    fn facts(&self) -> Facts<'static> {
        Facts { now: self.now, certificate: self.certificate, window: self.window, outcome: None }
    }

    fn step(&self, outcome: Option<(u32, &Outcome)>) -> Step {
        step(&self.row, &domain(), &self.settings, &Facts { outcome, ..self.facts() })
    }

    /// Takes a step and checks what holds of every one.
    fn go(&mut self, outcome: Option<(u32, &Outcome)>) {
        let before = self.row.clone();
        let Step { row, action } = self.step(outcome);
        self.row = row;
        let again = self.step(None);
        assert_eq!((&again.row, &again.action), (&self.row, &action), "without news nothing moves");
        if !self.settings.enabled {
            assert_eq!((&self.row, action), (&before, Action::Wait { until: None }));
            return;
        }
        assert_ne!(self.row.phase, Phase::Pending, "something is always under way or waited for");
        assert_eq!(
            self.row.phase.attempt().is_some(),
            matches!(action, Action::OrderAtStaging | Action::OrderAtProduction | Action::Renew)
        );
        assert!(self.row.deadline > self.now, "what is due is begun at once: {:?}", self.row);
        let ended = outcome.is_some_and(|(attempt, _)| attempt == before.attempt);
        let moved = before.order.as_ref().is_some_and(|o| {
            Some(o.directory.as_str())
                != before.phase.attempt().and_then(|a| self.settings.directory_of(a))
        });
        let unplaceable =
            before.phase.attempt().is_some_and(|a| self.settings.directory_of(a).is_none());
        if before.phase.attempt().is_some()
            && self.now < before.deadline
            && !ended
            && !moved
            && !unplaceable
        {
            assert_eq!(
                (self.row.attempt, self.row.phase),
                (before.attempt, before.phase),
                "within its deadline an attempt stays"
            );
            assert_eq!(self.row.order, before.order, "and has one order");
        }
        if let (Some(old), Some(new)) = (&before.order, &self.row.order) {
            assert_eq!(old, new, "an order is never replaced, only dropped");
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Pass(seconds) => self.now = self.now.after(Duration::from_secs(seconds)),
            Event::Obtain { days, current } => {
                let of = valid(self.now, u32::try_from(days).unwrap() * DAY);
                let served = matches!(self.row.phase, Phase::Promoting | Phase::Renewing);
                if current && served && self.settings.enabled {
                    (self.certificate, self.window) = (Some(of), None);
                }
                let attempt = self.row.attempt.wrapping_sub(u32::from(!current));
                return self.go(Some((attempt, &Outcome::Obtained(of))));
            }
            Event::Fail { kind, retry_after, current } => {
                let attempt = self.row.attempt.wrapping_sub(u32::from(!current));
                let outcome = failure(kind, retry_after.map(Duration::from_secs));
                return self.go(Some((attempt, &outcome)));
            }
            Event::Place => {
                let directory =
                    self.row.phase.attempt().and_then(|a| self.settings.directory_of(a));
                let placed = directory.and_then(|d| self.row.placed(self.row.attempt, order(d)));
                self.row = placed.unwrap_or_else(|| self.row.clone());
            }
            Event::Lose => (self.certificate, self.window) = (None, None),
            Event::Window(start, length) if self.certificate.is_some() => {
                let start = START.after(u32::try_from(start).unwrap() * DAY);
                let end = start.after(u32::try_from(length).unwrap() * DAY);
                self.window = Some(Window { start, end });
            }
            Event::Window(..) => {}
            Event::Enable(enabled) => self.settings.enabled = enabled,
            Event::Directory(lets_encrypt) => {
                let directory = if lets_encrypt { LETS_ENCRYPT } else { "https://ca.example/dir" };
                self.settings = Settings::new(self.settings.enabled, directory, None, false);
            }
        }
        self.go(None);
    }
}

proptest! {
    #[test]
    fn whatever_happens_it_stands_still_without_news_and_gets_there_in_the_end(
        events in proptest::collection::vec(events(), 1..60),
        lets_encrypt: bool,
        answers: bool,
    ) {
        let directory = if lets_encrypt { LETS_ENCRYPT } else { "https://ca.example/dir" };
        let settings = Settings::new(true, directory, None, false);
        let mut world =
            World { now: START, row: Row::new(START), settings, certificate: None, window: None };
        for event in &events {
            world.happen(event);
        }

        // From now on the CA answers everything, or nothing.
        world.happen(&Event::Enable(true));
        for _ in 0..4 {
            if world.row.phase.attempt().is_none() && world.row.phase != Phase::Issued {
                world.now = world.row.deadline;
                world.go(None);
            }
            if world.row.phase.attempt().is_some() && answers {
                world.happen(&Event::Obtain { days: 90, current: true });
            } else if world.row.phase.attempt().is_some() {
                world.now = world.row.deadline;
                world.go(None);
            }
        }
        if answers {
            prop_assert_eq!(world.row.phase, Phase::Issued);
        } else {
            let row = &world.row;
            prop_assert!(matches!(row.phase, Phase::Failed | Phase::Issued), "{:?}", row);
            prop_assert!(row.phase == Phase::Issued || row.retry.is_some());
        }
    }

    #[test]
    fn waits_grow_up_to_their_cap(kind in kinds(), failures in 1..100u32, asked in proptest::option::of(0..3600u64)) {
        let failure = Failure { kind, reason: String::new(), retry_after: asked.map(Duration::from_secs) };
        let (now, next) = (delay(&failure, failures), delay(&failure, failures + 1));
        prop_assert!(now <= next && next <= RETRY_DELAY_CAP);
        prop_assert!(now >= failure.retry_after.unwrap_or_default());
        let shortest = if kind == FailureKind::RateLimited { RATE_LIMIT_DELAY } else { RETRY_DELAY };
        prop_assert!(now >= shortest);
    }
}
