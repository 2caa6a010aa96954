//! `services[].schedule`: what it can say, what goes with it, and how wrong ones are refused.

use std::fmt::Write as _;

use jaco_api::{
    manifest::{diff, render},
    model::{Concurrency, CronSchedule, Mode, RestartCondition, ServiceSchedule, Span},
};

use crate::support::{Memory, problems, resolved};

const COMPOSE: &str = "services:\n  backup:\n    image: backup:1\n  web:\n    image: web:1\n";

fn jaco(schedule: &str) -> String {
    format!("deployment: shop\nservices:\n  - name: backup\n    schedule: {schedule}\n")
}

fn backup(schedule: &str) -> ServiceSchedule {
    let resolved = resolved(&jaco(schedule), COMPOSE, &Memory::default());
    resolved.document.services["backup"].0.clone()
}

/// Renders every case: title, then what is said about it.
fn transcript(cases: &[(&str, &str, &str)]) -> String {
    let mut out = String::new();
    for (title, jaco, compose) in cases {
        let problems = problems(jaco, compose);
        assert!(!problems.is_empty(), "nothing is said about: {title}");
        let _ = writeln!(out, "=== {title} ===\n{}", render(&problems, false));
    }
    out
}

#[test]
fn an_expression_alone_gets_every_default() {
    let schedule = backup("\"*/5  * * * *\"");
    assert_eq!(schedule.cron, Some(CronSchedule::new("*/5 * * * *")));
    assert_eq!((schedule.mode, schedule.replicas), (Mode::Job, 1));
    assert_eq!(schedule.restart.condition, RestartCondition::OnFailure);
}

#[test]
fn a_schedule_says_where_how_often_and_how_late() {
    let text = "{cron: '30 2 * * mon-fri', timezone: europe/berlin, concurrency: replace, \
                history: {succeeded: 1, failed: 10}, starting_deadline: 1h}";
    let expected = CronSchedule {
        expression: "30 2 * * mon-fri".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        concurrency: Concurrency::Replace,
        keep_succeeded: 1,
        keep_failed: 10,
        starting_deadline: Span::secs(3600),
    };
    assert_eq!(backup(text).cron, Some(expected));
    let cron = backup("{cron: '@hourly', history: 7}").cron.unwrap();
    assert_eq!((cron.keep_succeeded, cron.keep_failed), (7, 7));
}

#[test]
fn a_schedule_alone_never_changes_the_container() {
    let one = resolved(&jaco("'@hourly'"), COMPOSE, &Memory::default()).document;
    let other = resolved(&jaco("'@daily'"), COMPOSE, &Memory::default()).document;
    assert_eq!(one.services["backup"].1.digest(), other.services["backup"].1.digest());
}

#[test]
fn wrong_schedules_are_pointed_at() {
    let of = |schedule: &str| jaco(schedule);
    let cases = [
        ("a minute that there is not", of("\"61 * * * *\"")),
        ("a weekday in a list", of("0 3 * * mon,tus")),
        ("a step without a range", of("'5/15 * * * *'")),
        ("a range that goes down", of("0 22-4 * * *")),
        ("too few fields", of("'* * * *'")),
        ("no such name", of("'@every 5m'")),
        ("never due", of("0 0 31 4 *")),
        ("not quoted", of("*/5 * * * *")),
        ("a list", of("['@hourly', '@daily']")),
        ("no cron", of("{timezone: UTC}")),
        (
            "everything of the mapping",
            of(
                "{cron: 0 x * * *, timezone: Europe/Berlinn, concurrency: never, history: {ok: 1, failed: 1000}, starting_deadline: 2s, suspend: true}",
            ),
        ),
    ];
    let cases: Vec<_> = cases.iter().map(|(t, j)| (*t, j.as_str(), COMPOSE)).collect();
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(transcript(&cases))
    });
}

#[test]
fn what_does_not_go_with_a_schedule_is_refused() {
    let with = |more: &str| format!("{}{more}", jaco("'@hourly'"));
    let service = |more: &str| {
        format!("services:\n  backup:\n    image: backup:1\n    {more}\n  web:\n    image: web:1\n")
    };
    let cases = [
        ("replicas in jaco.yaml", with("    replicas: 3\n"), service("")),
        ("replicas in the compose file", with(""), service("deploy: {replicas: 2}")),
        ("global in jaco.yaml", with("    placement: global\n"), service("")),
        ("global in the compose file", with(""), service("deploy: {mode: global}")),
        ("restarts for ever", with(""), service("deploy: {restart_policy: {condition: any}}")),
        ("a published port", with(""), service("ports: ['8080:80']")),
        ("a singleton", with(""), service("deploy: {labels: {jaco.io/singleton: 'true'}}")),
        (
            "a route",
            with("routes:\n  - service: backup\n    port: 80\n    domain: shop.example\n"),
            service(""),
        ),
        ("a dependency", with(""), format!("{}    depends_on: [backup]\n", service(""))),
        ("a service that is not there", with("").replace("backup", "bakcup"), service("")),
    ];
    let cases: Vec<_> = cases.iter().map(|(t, j, c)| (*t, j.as_str(), c.as_str())).collect();
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(transcript(&cases))
    });
}

#[test]
fn a_scheduled_service_may_wait_for_others_and_be_suspended() {
    let compose = format!("{COMPOSE}    deploy: {{replicas: 2}}\n").replace(
        "image: backup:1",
        "image: backup:1\n    depends_on: [web]\n    volumes: ['data:/data']",
    ) + "volumes: {data: {}}\n";
    let text = format!("{}    replicas: 0\n", jaco("'@hourly'"));
    let document = resolved(&text, &compose, &Memory::default()).document;
    let schedule = &document.services["backup"].0;
    assert_eq!((schedule.replicas, schedule.stateful), (0, true));
}

#[test]
fn a_change_of_a_schedule_says_what_it_does() {
    let of = |jaco: &str, compose: &str| resolved(jaco, compose, &Memory::default()).document;
    let effect = |old: Option<&_>, new: &_| {
        let all = diff(old, new, false);
        let service = all.into_iter().find(|d| d.subject == "service backup");
        service.and_then(|d| d.effect).unwrap_or_default()
    };
    let hourly = of(&jaco("'@hourly'"), COMPOSE);
    let plain = of("deployment: shop\n", COMPOSE);
    assert_eq!(effect(None, &hourly), "runs at @hourly (UTC)");
    assert_eq!(effect(Some(&plain), &hourly), "1 replica removed; then runs at @hourly (UTC)");
    assert_eq!(effect(Some(&hourly), &hourly), "");
    let daily = of(&jaco("'@daily'"), &COMPOSE.replace("backup:1", "backup:2"));
    assert_eq!(effect(Some(&hourly), &daily), "from the next run on; runs at @daily (UTC)");
    let kept = of(&jaco("{cron: '@hourly', history: 9}"), COMPOSE);
    assert_eq!(effect(Some(&hourly), &kept), "nothing is restarted");
    let suspended = of(&format!("{}    replicas: 0\n", jaco("'@hourly'")), COMPOSE);
    assert_eq!(effect(Some(&hourly), &suspended), "suspended");
}
