//! Hooks of containers and the age of images: what is made of them and what is refused.

use std::fmt::Write as _;

use jaco_api::{
    manifest::{check, diff, mask, privileges, render, resolve},
    model::{BindAllowlist, ContainerSpec, PullPolicy, Span},
};

use crate::support::{Memory, NAME, compose, document, jaco, problems, resolved, service};

fn text(attributes: &str) -> String {
    format!("services:\n  web:\n    image: nginx\n    {attributes}\n")
}

fn of(attributes: &str) -> ContainerSpec {
    service(&text(attributes), "web").1
}

const HOOKS: &str = "post_start:
      - {command: \"sh -c 'echo $$HOME'\", user: root, x-why: nothing}
      - command: [touch, /ready]
        working_dir: /tmp
        environment: [A=1, B]
    pre_stop:
      - {command: drain, environment: {TOKEN: hunter2}}
      - {command: [bye]}";

#[test]
fn hooks_in_every_form() {
    let spec = of(HOOKS);
    let [first, second] = spec.post_start.as_slice() else { panic!("{:?}", spec.post_start) };
    assert_eq!(first.command, ["sh", "-c", "echo $HOME"]);
    assert_eq!((first.user.as_deref(), first.privileged), (Some("root"), false));
    assert_eq!(second.command, ["touch", "/ready"]);
    assert_eq!(second.working_dir.as_deref(), Some("/tmp"));
    assert_eq!(second.environment, [("A".to_owned(), "1".to_owned())].into());
    assert_eq!(spec.pre_stop[0].environment["TOKEN"], "hunter2");
    assert_eq!(spec.pre_stop[1].command, ["bye"]);
    assert_eq!(of("post_start: []\n    pre_stop:").to_canonical(), of("tty: false").to_canonical());
}

#[test]
fn any_change_of_a_hook_is_a_change_of_the_container() {
    let digest = |attributes: &str| of(attributes).digest();
    let before = digest(HOOKS);
    assert_eq!(before, digest(&HOOKS.replace("drain", "[drain]")), "another way to write it");
    for (from, to) in [
        ("drain", "leave"),
        ("A=1", "A=2"),
        ("user: root", "user: nobody"),
        ("/tmp", "/var"),
        ("hunter2", "hunter3"),
    ] {
        assert_ne!(before, digest(&HOOKS.replace(from, to)), "{from}");
    }
}

#[test]
fn variables_of_hooks_are_resolved_once_and_a_name_alone_takes_its_value() {
    let files = Memory::with(&[("vars", "B=from-file\nNAME=demo\n")]);
    let jaco = format!("{NAME}environment: vars\n");
    let hooks = "post_start:\n      - {command: 'greet ${NAME} $$NAME', environment: [B, C]}\n      - {command: x, environment: {B: , D: }}";
    let resolved = resolved(&jaco, &text(hooks), &files);
    let [first, second] = resolved.document.services["web"].1.post_start.as_slice() else {
        panic!()
    };
    assert_eq!(first.command, ["greet", "demo", "$NAME"]);
    let only_b = [("B".to_owned(), "from-file".to_owned())].into();
    assert_eq!((&first.environment, &second.environment), (&only_b, &only_b));
}

#[test]
fn a_privileged_hook_is_access_to_the_host() {
    let hooks = "pre_stop: [{command: a}, {command: b, privileged: true}]";
    let refused = problems(NAME, &text(hooks));
    assert_eq!(refused[0].code.as_str(), "privilege_denied");
    assert_eq!((refused[0].line, refused[0].column), (4, 55), "{}", render(&refused, false));
    let label = "labels: {jaco.io/allow-privileged: 'true'}";
    let spec = of(&format!("{label}\n    {hooks}"));
    let reasons = privileges(&spec, &BindAllowlist::default());
    assert_eq!(reasons, ["privileged hook 2 of pre_stop"]);
    // What is sent is judged alike.
    let sent = compose(&text(hooks));
    assert_eq!(check(&jaco(NAME), &sent).unwrap_err()[0].code.as_str(), "privilege_denied");
    let harmless = of("pre_stop: [{command: a, privileged: false}]");
    assert_eq!(privileges(&harmless, &BindAllowlist::default()), [""; 0]);
}

#[test]
fn what_a_hook_is_given_is_shown_only_when_asked_for() {
    let old = document(&text(HOOKS));
    let new = document(&text(&HOOKS.replace("hunter2", "hunter3").replace("$$HOME", "hunter4")));
    assert!(!format!("{:?}", diff(Some(&old), &new, false)).contains("hunter"));
    assert!(!format!("{:?}", diff(None, &new, false)).contains("hunter"));
    assert!(format!("{:?}", diff(Some(&old), &new, true)).contains("hunter3"));
    let masked = serde_json::to_string(&mask(&new)).unwrap();
    assert!(!masked.contains("hunter") && masked.contains("drain"), "{masked}");
}

#[test]
fn an_image_may_have_an_age() {
    for (attributes, policy) in [
        ("pull_policy: daily", PullPolicy::Refresh(Span::secs(86_400))),
        ("pull_policy: weekly", PullPolicy::Refresh(Span::secs(7 * 86_400))),
        ("pull_policy: every_1d12h", PullPolicy::Refresh(Span::secs(36 * 3600))),
        ("pull_policy: every_2w3m4s", PullPolicy::Refresh(Span::secs(1_209_600 + 184))),
        (
            "pull_policy: refresh\n    pull_refresh_after: 1h30m",
            PullPolicy::Refresh(Span::secs(5400)),
        ),
        ("pull_policy: if_not_present", PullPolicy::Missing),
    ] {
        assert_eq!(of(attributes).pull_policy, policy, "{attributes}");
    }
    assert_eq!(of("pull_policy: every_24h").digest(), of("pull_policy: daily").digest());
    let spec = of("pull_policy: daily");
    assert_eq!(ContainerSpec::from_canonical(&spec.to_canonical()).unwrap(), spec);
}

#[test]
fn wrong_hooks_and_ages_are_refused() {
    let many = vec!["{command: a}"; 33].join(", ");
    let mut out = String::new();
    for (title, attributes) in [
        ("no list", "post_start: {command: a}\n    pre_stop: bye"),
        ("no command", "post_start: [{user: root}, {command: }, {command: []}, {command: ''}, a]"),
        (
            "keys and types",
            "pre_stop: [{command: {a: b}, usr: x, privileged: perhaps, user: [a], working_dir: {}, environment: text}]",
        ),
        ("quotes", "pre_stop: [{command: sh -c 'echo}]"),
        ("variables", "pre_stop: [{command: a, environment: ['=x', A=1, A=2]}]"),
        ("too many", &format!("pre_stop: [{many}]")),
        ("refresh alone", "pull_policy: refresh"),
        ("an age alone", "pull_refresh_after: 1h"),
        ("an age that nobody asks for", "pull_policy: daily\n    pull_refresh_after: 1h"),
        ("no age", "pull_policy: refresh\n    pull_refresh_after: soon"),
        ("an age without a unit", "pull_policy: refresh\n    pull_refresh_after: 60"),
        ("no time at all", "pull_policy: refresh\n    pull_refresh_after: 0s"),
        ("every nothing", "pull_policy: every_"),
        ("every instant", "pull_policy: every_0h"),
        ("every unknown", "pull_policy: every_1.5h"),
        ("every millisecond", "pull_policy: every_5ms"),
        ("nearly", "pull_policy: dayly"),
    ] {
        let found = resolve(&jaco(NAME), &compose(&text(attributes)), &Memory::default());
        let found = found.err().unwrap_or_else(|| panic!("accepted: {title}"));
        let _ = writeln!(out, "=== {title} ===\n{}", render(&found, false));
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(out) });
}
