use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn table(expression: &str, timezone: &str) -> Timetable {
    let schedule = CronSchedule { timezone: timezone.to_owned(), ..CronSchedule::new(expression) };
    Timetable::of(&schedule).expect("a valid schedule")
}

/// The first ticks after a time, in UTC.
fn ticks(expression: &str, timezone: &str, from: &str, count: usize) -> Vec<String> {
    let table = table(expression, timezone);
    let mut time = at(from);
    let mut out = Vec::new();
    for _ in 0..count {
        time = table.next_after(time).expect("another tick");
        out.push(time.to_string().replace(".000Z", "Z"));
    }
    out
}

#[test]
fn an_expression_is_due_when_cron_says() {
    let from = "2026-03-10T11:58:31Z";
    for (expression, expected) in [
        ("* * * * *", ["2026-03-10T11:59:00Z", "2026-03-10T12:00:00Z"]),
        ("*/5 * * * *", ["2026-03-10T12:00:00Z", "2026-03-10T12:05:00Z"]),
        ("*/15 * * * * *", ["2026-03-10T11:58:45Z", "2026-03-10T11:59:00Z"]),
        ("0 9-17/4 * * mon-fri", ["2026-03-10T13:00:00Z", "2026-03-10T17:00:00Z"]),
        ("30 2 1,15 * *", ["2026-03-15T02:30:00Z", "2026-04-01T02:30:00Z"]),
        ("0 0 * JAN,Dec SUN", ["2026-12-06T00:00:00Z", "2026-12-13T00:00:00Z"]),
        ("0 0 * * 7", ["2026-03-15T00:00:00Z", "2026-03-22T00:00:00Z"]),
        ("0 0 29 2 *", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("0 0 L * *", ["2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"]),
        ("0 0 * * FRI#2", ["2026-03-13T00:00:00Z", "2026-04-10T00:00:00Z"]),
        ("0 0 * * FRIL", ["2026-03-27T00:00:00Z", "2026-04-24T00:00:00Z"]),
        ("0 0 15W * *", ["2026-03-16T00:00:00Z", "2026-04-15T00:00:00Z"]),
        ("@hourly", ["2026-03-10T12:00:00Z", "2026-03-10T13:00:00Z"]),
        ("@midnight", ["2026-03-11T00:00:00Z", "2026-03-12T00:00:00Z"]),
        ("@weekly", ["2026-03-15T00:00:00Z", "2026-03-22T00:00:00Z"]),
    ] {
        assert_eq!(ticks(expression, "UTC", from, 2), expected, "{expression}");
    }
}

#[test]
fn days_of_the_month_and_of_the_week_are_alternatives_when_both_are_given() {
    let expected = ["2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z", "2026-03-27T00:00:00Z"];
    assert_eq!(ticks("0 0 13 * FRI", "UTC", "2026-03-10T00:00:00Z", 3), expected);
    let expected = ["2026-04-03T00:00:00Z", "2026-04-10T00:00:00Z", "2026-04-13T00:00:00Z"];
    assert_eq!(ticks("0 0 13 * FRI", "UTC", "2026-04-01T00:00:00Z", 3), expected);
}

/// In Berlin 02:00 to 03:00 of 29 March 2026 does not exist.
#[test]
fn a_local_time_that_is_skipped_runs_right_after_the_gap_unless_it_comes_at_intervals() {
    let from = "2026-03-28T12:00:00Z";
    let expected = ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    assert_eq!(ticks("30 2 * * *", "Europe/Berlin", from, 2), expected);
    let expected = ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
    assert_eq!(ticks("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3), expected);
}

/// In Berlin 02:00 to 03:00 of 25 October 2026 comes twice.
#[test]
fn a_local_time_that_comes_twice_runs_once_unless_it_comes_at_intervals() {
    let from = "2026-10-24T12:00:00Z";
    let expected = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    assert_eq!(ticks("30 2 * * *", "Europe/Berlin", from, 2), expected);
    let expected = [
        "2026-10-25T00:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T02:00:00Z",
    ];
    assert_eq!(ticks("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 5), expected);
}

/// The leader asks backwards, people are told forwards: both must see the same ticks.
#[test]
fn the_latest_tick_is_the_one_that_was_the_next() {
    for (expression, zone, from) in [
        ("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z"),
        ("*/20 * * * *", "Europe/Berlin", "2026-10-24T20:00:00Z"),
        ("*/20 * * * *", "Europe/Berlin", "2026-03-28T23:00:00Z"),
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-02T12:00:00Z"),
        ("15 */3 * * *", "Australia/Lord_Howe", "2026-04-03T12:00:00Z"),
        ("*/15 * * * * *", "UTC", "2026-04-03T12:00:00Z"),
        ("0 0 L * *", "Asia/Kolkata", "2026-01-03T12:00:00Z"),
    ] {
        let table = table(expression, zone);
        let mut time = at(from);
        for _ in 0..20 {
            let next = table.next_after(time).unwrap();
            let what = format!("{expression} in {zone}: {next}");
            assert!(next > time, "{what}");
            assert_eq!(table.latest(next), Some(next), "{what}");
            assert_eq!(table.latest(Timestamp(next.0 + 999)), Some(next), "{what}");
            if table.latest(time) == Some(time) {
                assert_eq!(table.latest(Timestamp(next.0 - 1)), Some(time), "{what}");
            }
            time = next;
        }
    }
}

#[test]
fn what_is_wrong_is_pointed_at() {
    for (expression, marked, says, hint) in [
        ("61 * * * *", "61", "`61`, which is no minute: 0 to 59", ""),
        ("0 0 * * MON,FUN", "FUN", "`FUN`, which is no day of the week", ""),
        ("0,,5 * * * *", ",", "lacks an item of the minute", ""),
        ("MON * * * *", "MON", "is no minute", ""),
        ("5/15 * * * *", "5/15", "is no minute", "write 5-59/15"),
        ("0 22-4 * * *", "22-4", "is no hour", "write 22-23,0-4"),
        ("*/0 * * * *", "*/0", "is no minute", ""),
        ("* * * *", "* * * *", "has 4 fields", "day of the week"),
        ("0 0 0 1 1 * 2027", "0 0 0 1 1 * 2027", "has 7 fields", "seconds"),
        ("", "", "has 0 fields", "minute"),
        ("@every 5m", "@every 5m", "is no name", "*/5"),
        ("@reboot", "@reboot", "no boot", "without `schedule`"),
        (" @hurly", "@hurly", "is no name", "@hourly"),
        ("0 0 30 2 *", "0 0 30 2 *", "is never due", ""),
        ("0 0 • * *", "•", "is no part", ""),
    ] {
        let problem = check_expression(expression).expect_err(expression);
        let end = problem.end.min(expression.len());
        assert_eq!(&expression[problem.start..end], marked, "{expression}: {problem}");
        assert!(problem.message.contains(says), "{expression}: {problem}");
        assert!(
            problem.hint.clone().unwrap_or_default().contains(hint),
            "{expression}: {problem:?}"
        );
    }
    assert!(check_timezone("Europe/Berlinn").is_err());
    assert_eq!(check_timezone("europe/berlin").unwrap(), "Europe/Berlin");
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_much(text in "[0-9*/,LW#?@a-zA-Z -]{0,40}|.{0,30}") {
        let _ = check_expression(&text);
        let _ = check_timezone(&text);
    }

    #[test]
    fn what_is_accepted_is_due(text in "(\\*|[0-5]?[0-9])(/[1-9])? (\\*|[0-2]?[0-9]) (\\*|[1-9]|L) (\\*|[1-9]) (\\*|[0-7])") {
        if check_expression(&text).is_ok() {
            let table = table(&text, "UTC");
            let next = table.next_after(Timestamp(1_700_000_000_000)).unwrap();
            proptest::prop_assert_eq!(table.latest(next), Some(next));
        }
    }
}
