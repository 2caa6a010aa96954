//! Several compose files as one: `extends`, `include`, `label_file` and the tags of merging.

use jaco_api::{
    error::ErrorCode,
    manifest::{check, render, resolve},
    model::{ContainerSpec, Healthcheck, ManifestDocument, MountSource},
};

use crate::support::{Memory, NAME, compose, jaco, resolved};

/// Compares with the golden file of the test.
macro_rules! golden {
    ($text:expr $(,)?) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}

fn folded(files: &[(&str, &str)], compose_text: &str) -> ManifestDocument {
    resolved(NAME, compose_text, &Memory::with(files)).document
}

fn service(files: &[(&str, &str)], compose_text: &str, name: &str) -> ContainerSpec {
    folded(files, compose_text).services[name].1.clone()
}

/// Title, compose file, the files beside it.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// What is said about a compose file with others beside it.
fn said(cases: &[Case<'_>]) -> String {
    let mut out = String::new();
    for (title, compose_text, files) in cases {
        let found = match resolve(&jaco(NAME), &compose(compose_text), &Memory::with(files)) {
            Ok(resolved) => resolved.warnings,
            Err(problems) => problems,
        };
        assert!(!found.is_empty(), "nothing is said about: {title}");
        out += &format!("=== {title} ===\n{}\n", render(&found, false));
    }
    out
}

#[test]
fn a_service_begins_with_what_it_extends() {
    let base =
        "services:\n  base:\n    image: nginx\n    user: '33'\n    environment: {A: 1, B: 2}\n";
    for extends in ["base", "{service: base}"] {
        let text = format!(
            "{base}  web:\n    extends: {extends}\n    environment: [B=3, C=4]\n    working_dir: /app\n"
        );
        let spec = service(&[], &text, "web");
        assert_eq!((&*spec.image, spec.user.as_deref()), ("nginx", Some("33")));
        assert_eq!(spec.working_dir.as_deref(), Some("/app"));
        let environment: Vec<_> =
            spec.environment.iter().map(|(k, v)| (&**k, v.as_deref().unwrap())).collect();
        assert_eq!(environment, [("A", "1"), ("B", "3"), ("C", "4")]);
    }
}

#[test]
fn what_is_extended_may_be_in_another_file_and_extend_others() {
    let files = [
        (
            "common/web.yml",
            "services:\n  web: {extends: {file: ../base.yml, service: all}, image: 'web:${TAG:-1}'}\n  other: {imgae: x}\n",
        ),
        (
            "base.yml",
            "services:\n  all: {extends: deep, init: true}\n  deep: {image: none, stop_signal: SIGINT}\n",
        ),
    ];
    let spec = service(
        &files,
        "services:\n  shop:\n    extends: {file: ./common/web.yml, service: web}\n    tty: true\n",
        "shop",
    );
    assert_eq!((&*spec.image, spec.init, spec.tty), ("web:1", Some(true), true));
    assert_eq!(spec.stop_signal.as_deref(), Some("SIGINT"));
}

#[test]
fn each_attribute_is_merged_as_compose_does() {
    let text = r#"
services:
  base:
    image: base
    profiles: [never]
    command: [a, b]
    entrypoint: /run
    healthcheck: {test: [CMD, old, check], interval: 5s, retries: 3}
    environment: [A=base, B=base]
    labels: {a: base, b: base, jaco.io/allow-privileged: "true"}
    annotations: [a=base]
    sysctls: {net.core.somaxconn: 1}
    ports: ["8080:80", "9000:9000"]
    expose: [1]
    dns: 1.1.1.1
    dns_search: [one.example]
    tmpfs: /run
    cap_add: [CHOWN]
    cap_drop: [KILL]
    extra_hosts: ["a:10.0.0.1"]
    volumes: ["data:/data", "/base:/conf:ro"]
    ulimits: {nproc: 5, nofile: {soft: 1, hard: 2}}
    logging: {driver: json-file, options: {max-size: 1m, max-file: 2}}
    networks: [front]
    depends_on: {db: {condition: service_healthy}, cache: {condition: service_started}}
    deploy:
      labels: [a=base]
      resources: {limits: {cpus: "1", memory: 1g}}
  web:
    extends: base
    profiles: !reset []
    image: web
    command: c
    entrypoint: [/other]
    healthcheck: {test: new check, retries: 4}
    environment: {B: web, C: web}
    labels: [b=web]
    annotations: {b: web}
    sysctls: [net.core.somaxconn=2]
    ports: [{target: 80, published: 8080}, "9443:443/tcp"]
    expose: [1, 2]
    dns: [2.2.2.2, 1.1.1.1]
    dns_search: two.example
    tmpfs: [/tmp, "/run:size=1m"]
    cap_add: [CHOWN, FOWNER]
    extra_hosts: {b: 10.0.0.2}
    volumes: [{type: volume, source: data, target: /data, read_only: true}, "/web:/conf/"]
    ulimits: {nproc: 6, nofile: {soft: 2}}
    logging: {options: {max-size: 5m}}
    networks: {front: {aliases: [w]}, back: }
    depends_on: [cache, db]
    deploy:
      labels: {b: web}
      resources: {limits: {memory: 2g}}
    x-jaco: {}
  db: {image: db}
  cache: {image: cache}
volumes: {data: }
networks: {front: , back: }
"#;
    let document = folded(&[], text);
    let (schedule, spec) = &document.services["web"];
    golden!(format!("{schedule:#?}\n{spec:#?}"));
}

#[test]
fn another_log_driver_takes_its_options_along() {
    let text = "services:\n  base: {image: a, logging: {driver: json-file, options: {max-size: 1m}}}\n  web: {extends: base, logging: {driver: local}}\n";
    let logging = service(&[], text, "web").logging.unwrap();
    assert_eq!((&*logging.driver, logging.options.len()), ("local", 0));
}

#[test]
fn a_name_in_a_list_of_dependencies_is_one_that_only_starts() {
    let text = "services:\n  db: {image: d}\n  base: {image: a, depends_on: {db: {condition: service_healthy}}}\n  web: {extends: base, depends_on: [db]}\n";
    let document = folded(&[], text);
    let waits = |name: &str| document.services[name].0.depends_on.values().next().copied();
    assert_ne!(waits("web"), waits("base"));
}

#[test]
fn reset_and_override_decide_what_becomes_of_the_base() {
    let text = r#"
services:
  base:
    image: a
    user: "1"
    ports: ["8080:80"]
    command: old
    environment: {A: 1, B: 2}
    expose: [1]
    labels: !reset {never: there}
  web:
    extends: base
    user: !reset
    ports: !reset []
    command: !reset null
    environment: {A: !reset null, C: 3}
    expose: !override [2]
  further:
    extends: web
    labels: !override {a: b}
"#;
    for name in ["web", "further"] {
        let (schedule, spec) = &folded(&[], text).services[name];
        assert_eq!((spec.user.as_deref(), &spec.command, schedule.ports.len()), (None, &None, 0));
        assert_eq!(spec.environment.keys().map(|k| &**k).collect::<Vec<_>>(), ["B", "C"]);
        assert_eq!(spec.expose, ["2/tcp"]);
    }
    assert!(service(&[], text, "base").labels.is_empty());
    assert_eq!(service(&[], text, "further").labels["a"], "b");
}

#[test]
fn paths_are_relative_to_the_file_they_are_written_in() {
    let files = [
        (
            "lib/base.yml",
            "services:\n  base:\n    image: a\n    env_file: [.env, {path: more.env, required: false}]\n    label_file: labels\n    labels: {jaco.io/allow-privileged: \"true\"}\n    volumes: [./conf:/conf, {type: bind, source: ../up, target: /up}]\n",
        ),
        ("lib/.env", "A=lib\nB=lib\n"),
        ("lib/labels", "l=lib\n"),
        ("web.env", "B=web\n"),
    ];
    let text = "services:\n  web:\n    extends: {file: lib/base.yml, service: base}\n    env_file: web.env\n    volumes: [./data:/data]\n";
    let spec = service(&files, text, "web");
    assert_eq!(spec.environment["A"].as_deref(), Some("lib"));
    assert_eq!(spec.environment["B"].as_deref(), Some("web"));
    assert_eq!(spec.labels["l"], "lib");
    let binds: Vec<&str> = spec
        .mounts
        .iter()
        .filter_map(|m| match &m.source {
            MountSource::Bind { path, .. } => Some(&**path),
            _ => None,
        })
        .collect();
    assert_eq!(binds, ["/srv/app/lib/conf", "/srv/app/data", "/srv/app/up"]);
}

#[test]
fn a_slash_at_the_end_of_a_path_means_nothing() {
    let binds = |source: &str| {
        let text = format!(
            "services:\n  web: {{image: i, labels: {{jaco.io/allow-privileged: 'true'}}, volumes: ['{source}:/a']}}\n"
        );
        service(&[], &text, "web")
    };
    assert_eq!(binds("/var/lib/"), binds("/var/lib"));
    assert_eq!(binds("./x/"), binds("/srv/app/x"));
    assert!(format!("{:?}", binds("/").mounts).contains("path: \"/\""));
}

#[test]
fn label_files_lie_below_labels() {
    let files = [("a.labels", "# c\na=1\nb=\"two words\"\n"), ("b.labels", "a=2\n")];
    for (form, a) in [("a.labels", "1"), ("[a.labels, b.labels]", "2")] {
        for labels in ["{c: 3}", "[c=3]"] {
            let text =
                format!("services:\n  web: {{image: i, label_file: {form}, labels: {labels}}}\n");
            let spec = service(&files, &text, "web");
            let labels = ["a", "b", "c"].map(|l| &*spec.labels[l]);
            assert_eq!(labels, [a, "two words", "3"]);
        }
    }
    let text = "services:\n  web: {image: i, label_file: a.labels, labels: {a: own}}\n";
    assert_eq!(service(&files, text, "web").labels["a"], "own");
}

#[test]
fn included_files_bring_services_networks_and_volumes() {
    let files = [
        (
            "db/compose.yml",
            "name: db\nversion: '3'\nx-y: 1\ninclude: [../cache.yml]\nservices:\n  db: {image: 'db:${TAG}', volumes: [data:/data], networks: [back]}\nvolumes: {data: }\nnetworks: {back: }\n",
        ),
        ("db/.env", "TAG=5\n"),
        ("cache.yml", "services: {cache: {image: 'cache:${TAG:-none}'}}\n"),
    ];
    let text = "include: [db/compose.yml, ./cache.yml]\nservices:\n  web: {image: w, depends_on: [db, cache], networks: [back]}\n";
    // Both ways to the cache must come to the same.
    let other = [files[0], files[1], ("cache.yml", "services: {cache: {image: cache}}\n")];
    let document = folded(&other, text);
    assert_eq!(
        document.services.keys().map(|k| k.as_str()).collect::<Vec<_>>(),
        ["cache", "db", "web"]
    );
    assert_eq!(document.services["db"].1.image, "db:5");
    assert_eq!(document.volumes.len(), 1);
    let only = folded(&files[..], "include: [{path: db/compose.yml}]\n");
    assert_eq!(only.services["cache"].1.image, "cache:5");
}

#[test]
fn variables_of_an_included_file_are_those_of_its_env_files_and_the_project_s_win() {
    let files = [
        (".env", "A=project\n"),
        ("a.env", "A=a\nB=a\nC=$A\n"),
        ("b.env", "B=b\n"),
        ("sub/x.yml", "services: {x: {image: i, environment: {A: $A, B: $B, C: $C, D: }}}\n"),
    ];
    let text = "include: [{path: sub/x.yml, env_file: [a.env, b.env]}]\n";
    let resolved = resolved("deployment: shop\nenvironment: .env\n", text, &Memory::with(&files));
    let environment = &resolved.document.services["x"].1.environment;
    let values = ["A", "B", "C"].map(|v| environment[v].as_deref().unwrap());
    assert_eq!(values, ["project", "b", "project"]);
    assert_eq!(resolved.warnings, []);
}

#[test]
fn an_include_may_be_several_files_over_each_other_with_a_directory_of_their_own() {
    let files = [
        (
            "lib/x.yml",
            "services:\n  x:\n    image: i\n    labels: {jaco.io/allow-privileged: \"true\"}\n    volumes: ['./d:/d']\n    expose: [1, 2]\n    env_file: x.env\nvolumes: {v: {labels: [a=1]}}\n",
        ),
        (
            "over.yml",
            "services: {x: {image: j, expose: !override [3], tty: true}}\nvolumes: {v: {labels: {b: 2}}}\n",
        ),
        ("home/x.env", "A=home\n"),
    ];
    let text = "include: [{path: [lib/x.yml, over.yml], project_directory: home}]\nservices: {w: {image: w, volumes: ['v:/v']}}\n";
    let document = folded(&files, text);
    let spec = &document.services["x"].1;
    assert_eq!((&*spec.image, spec.tty, &spec.expose[..]), ("j", true, &["3/tcp".to_owned()][..]));
    assert_eq!(spec.environment["A"].as_deref(), Some("home"));
    assert!(format!("{:?}", spec.mounts).contains("/srv/app/home/d"));
    assert_eq!(document.volumes.values().next().unwrap().labels.len(), 2);
}

#[test]
fn what_is_wrong_in_another_file_is_shown_there() {
    golden!(said(&[
        (
            "a typo in what two services extend",
            "services:\n  a: {extends: {file: lib/base.yml, service: base}}\n  b: {extends: {file: lib/base.yml, service: base}}\n",
            &[(
                "lib/base.yml",
                "services:\n  base:\n    image: i\n    comand: x\n    ports: [80a]\n    user: $NOPE\n"
            )],
        ),
        (
            "a file that is no YAML",
            "include: [lib/x.yml]\nservices:\n  a: {extends: {file: lib/x.yml, service: base}, depends_on: [db]}\n",
            &[("lib/x.yml", "services:\n\tbase: {}\n")],
        ),
        (
            "a typo in an included file",
            "include: [lib/x.yml]\nservices: {a: {image: i, depends_on: [x], networks: [y]}}\n",
            &[(
                "lib/x.yml",
                "servces: {}\nservices:\n  x: {image: i, volumes: ['nope:/d']}\n  y:\nnetworks: text\n"
            )],
        ),
        (
            "a variable",
            "include: [lib/x.yml]\n",
            &[("lib/x.yml", "services:\n  x: {image: 'i:${TAG:?give a tag}'}\n")],
        ),
        ("a list", "include: [lib/x.yml]\nservices: {a: {image: i}}\n", &[("lib/x.yml", "- a\n")]),
    ]));
}

#[test]
fn what_cannot_be_folded() {
    golden!(said(&[
        ("no such service", "services:\n  web: {extends: bsae}\n  base: {image: i}\n", &[]),
        (
            "no such service in the other file",
            "services:\n  web: {extends: {file: b.yml, service: c}}\n",
            &[("b.yml", "services: {a: {image: i}, b: {image: j}}\n")],
        ),
        (
            "no such file",
            "services:\n  web: {extends: {file: b.yml, service: c}, prots: []}\n",
            &[]
        ),
        ("no service named", "services:\n  web: {extends: {file: b.yml}}\n", &[]),
        (
            "wrong forms",
            "services:\n  a: {extends: [x]}\n  b: {extends: {service: [x], fiel: y}}\n",
            &[]
        ),
        ("itself", "services:\n  web: {extends: web, image: i}\n", &[]),
        (
            "a circle",
            "services:\n  a: {extends: b}\n  b: {extends: {file: compose2.yml, service: c}}\n  d: {extends: a}\n",
            &[(
                "compose2.yml",
                "services:\n  c: {extends: {file: compose2.yml, service: e}}\n  e: {extends: c}\n"
            )],
        ),
        (
            "a list over a mapping",
            "services:\n  base: {image: i, deploy: {resources: {limits: {cpus: 1}}}}\n  web: {extends: base, deploy: {resources: [a]}}\n",
            &[],
        ),
        ("include is no list", "include: a.yml\nservices: {a: {image: i, depends_on: [b]}}\n", &[]),
        (
            "include of nothing",
            "include: [a.yml, {env_file: x}, 5, [a]]\nservices: {a: {image: i}}\n",
            &[]
        ),
        (
            "includes in a circle",
            "include: [a.yml]\n",
            &[
                ("a.yml", "include: [b.yml]\nservices: {a: {image: i}}\n"),
                ("b.yml", "include: [{path: ./a.yml}]\n")
            ],
        ),
        (
            "itself included",
            "include: [compose.yml]\n",
            &[("compose.yml", "include: [compose.yml]\n")]
        ),
        (
            "a conflict",
            "include: [a.yml]\nservices:\n  db: {image: mine}\nnetworks: {n: }\n",
            &[("a.yml", "services:\n  db: {image: theirs}\nnetworks: {n: {internal: true}}\n")],
        ),
        (
            "env files of an include",
            "include:\n  - {path: a.yml, env_file: nope.env}\n  - {path: a.yml, env_file: bad.env}\n",
            &[("a.yml", "services: {a: {image: i}}\n"), ("bad.env", "A='x\n")],
        ),
        (
            "label files",
            "services:\n  web: {image: i, label_file: [nope, {path: x}, bad]}\n",
            &[("bad", "a b\n")],
        ),
        (
            "what the base refers to is not brought along",
            "services:\n  web: {extends: {file: lib/b.yml, service: b}}\n",
            &[(
                "lib/b.yml",
                "services:\n  b: {image: i, volumes: ['data:/d'], networks: [n], depends_on: [db]}\nvolumes: {data: }\n"
            )],
        ),
    ]));
}

#[test]
fn the_daemon_refuses_what_names_a_file() {
    let text =
        "include: [a.yml]\nservices:\n  web:\n    image: i\n    extends: base\n    label_file: x\n";
    let problems = check(&jaco(NAME), &compose(text)).unwrap_err();
    golden!(render(&problems, false));
    assert!(problems.iter().all(|p| p.code == ErrorCode::ManifestUnresolved));
    let tagged = "services:\n  web: {image: i, ports: !reset []}\n";
    let problems = check(&jaco(NAME), &compose(tagged)).unwrap_err();
    assert!(problems[0].message.contains("the tag `!reset`"), "{}", problems[0].message);
}

#[test]
fn folding_is_bounded() {
    let rest = |files: &[(&str, &str)], text: &str| {
        let problems = resolve(&jaco(NAME), &compose(text), &Memory::with(files)).unwrap_err();
        problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("\n")
    };
    let row: String = (0..40).map(|i| format!("  s{i}: {{extends: s{}}}\n", i + 1)).collect();
    let said = rest(&[], &format!("services:\n{row}  s40: {{image: i}}\n"));
    assert!(said.contains("more than 32 services extend each other"), "{said}");

    let names: Vec<String> = (0..20).map(|i| format!("f{i}.yml")).collect();
    let texts: Vec<String> = (1..=20).map(|i| format!("include: [f{i}.yml]\n")).collect();
    let files: Vec<(&str, &str)> =
        names.iter().zip(&texts).map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let said = rest(&files, "include: [f0.yml]\n");
    assert!(said.contains("more than 16 files include each other"), "{said}");

    let names: Vec<String> = (0..210).map(|i| format!("f{i}.yml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "")).collect();
    let said = rest(&files, &format!("include: [{}]\n", names.join(", ")));
    assert!(said.contains("names more than 200 others"), "{said}");

    let large = format!("# {}\n", "x".repeat(3 << 20));
    let said = rest(&[("a.yml", &large), ("b.yml", &large)], "include: [a.yml, b.yml]\n");
    assert!(said.contains("above 4 MiB together"), "{said}");

    let values = "1, ".repeat(1000);
    let services: String = (0..900).map(|i| format!("  s{i}: {{extends: base}}\n")).collect();
    let text = format!("services:\n  base: {{image: i, command: [{values}]}}\n{services}");
    let said = rest(&[], &text);
    assert!(said.contains("hold too many values together"), "{said}");
}

#[test]
fn a_dollar_is_filled_once_wherever_it_is_written() {
    let files = [
        (
            "a.yml",
            "services: {a: {image: i, healthcheck: {test: 'x $$A $${B}'}, extends: {file: b.yml, service: b}}}\n",
        ),
        ("b.yml", "services: {b: {command: 'y $$A'}}\n"),
    ];
    let spec = service(&files, "include: [a.yml]\n", "a");
    let Some(Healthcheck::Check { test, .. }) = spec.healthcheck else { panic!() };
    assert_eq!(test[1], "x $A ${B}");
    assert_eq!(spec.command.unwrap(), ["y", "$A"]);
}
