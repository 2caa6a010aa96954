//! Secrets and configs.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::{
    error::ErrorCode,
    manifest::{FileProblem, Files, Severity, Source, check, diff, mask, missing_files, resolve},
    model::{FileContent, FileMount, FileSource},
};

use crate::support::{NAME, compose, jaco, problems, service};

const STACK: &str = r#"
services:
  web:
    image: nginx
    secrets:
      - from_file
      - {source: from_variable, target: token, uid: "101", gid: "102", mode: 0440}
      - {source: of_the_cluster, target: /etc/db/password}
    configs:
      - inline
      - {source: renamed, target: /etc/app.toml, mode: "0600"}
  other:
    image: nginx
    secrets: [of_the_cluster]
secrets:
  from_file: {file: ./password.txt}
  from_variable: {environment: TOKEN}
  of_the_cluster: {external: true}
configs:
  inline: {content: "listen ${PORT};$$x"}
  renamed: {external: true, name: app.toml}
"#;

/// Files with bytes.
struct Bytes(BTreeMap<&'static str, Vec<u8>>);

impl Files for Bytes {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        String::from_utf8(self.read_bytes(path)?).map_err(|_| FileProblem::NotText)
    }
    fn read_bytes(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        self.0.get(path).cloned().ok_or(FileProblem::NotFound)
    }
}

fn stack(password: &[u8]) -> jaco_api::manifest::Resolved {
    let environment = b"TOKEN=t0k3n\nPORT=8080\n".to_vec();
    let files = Bytes(BTreeMap::from([(".env", environment), ("./password.txt", password.into())]));
    let name = format!("{NAME}environment: .env\n");
    resolve(&jaco(&name), &compose(STACK), &files).expect("the manifest is valid")
}

fn mount(target: &str, source: FileSource, (uid, gid, mode): (u32, u32, u32)) -> FileMount {
    FileMount { target: target.to_owned(), source, uid, gid, mode }
}

#[test]
fn contents_come_from_files_variables_the_document_and_the_cluster() {
    let resolved = stack(b"hunter2\n");
    let (schedule, spec) = &resolved.document.services["web"];
    let content = |text: &str| FileSource::Content(text.into());
    let named = |id: &str| FileSource::Named(id.parse().unwrap());
    assert_eq!(
        spec.files,
        [
            mount("/etc/app.toml", named("config/app.toml"), (0, 0, 0o600)),
            mount("/etc/db/password", named("secret/of_the_cluster"), (0, 0, 0o444)),
            mount("/inline", content("listen 8080;$x"), (0, 0, 0o444)),
            mount("/run/secrets/from_file", content("hunter2\n"), (0, 0, 0o444)),
            mount("/run/secrets/token", content("t0k3n"), (101, 102, 0o440)),
        ]
    );
    let used: Vec<String> = schedule.files.iter().map(ToString::to_string).collect();
    assert_eq!(used, ["secret/of_the_cluster", "config/app.toml"]);

    // What is sent depends on no file of the client any more.
    let sent = Source { name: "compose.yml".into(), text: resolved.compose.clone() };
    let checked = check(&jaco(&resolved.jaco), &sent).expect("the daemon accepts it");
    assert!(checked.document == resolved.document);
}

#[test]
fn bytes_that_are_no_text_arrive_as_they_are() {
    let resolved = stack(&[0xff, 0xfe, 0]);
    let (_, spec) = &resolved.document.services["web"];
    let bytes = FileSource::Content(FileContent(vec![0xff, 0xfe, 0].into()));
    assert!(spec.files.contains(&mount("/run/secrets/from_file", bytes, (0, 0, 0o444))));
    let sent = Source { name: "compose.yml".into(), text: resolved.compose.clone() };
    assert!(check(&jaco(&resolved.jaco), &sent).unwrap().document == resolved.document);
}

#[test]
fn another_content_is_another_container_of_its_users_alone() {
    let (old, new) = (stack(b"one").document, stack(b"two").document);
    let digest = |d: &jaco_api::model::ManifestDocument, s: &str| d.services[s].1.digest();
    assert_ne!(digest(&old, "web"), digest(&new, "web"));
    assert_eq!(digest(&old, "other"), digest(&new, "other"));

    let changes = diff(Some(&old), &new, false);
    assert_eq!(changes.len(), 1);
    let fields: Vec<_> = changes[0].fields.iter().collect();
    assert_eq!(fields.len(), 1, "{fields:?}");
    assert!(fields[0].0.contains("/run/secrets/from_file"), "{fields:?}");
    assert_eq!(fields[0].1.1.as_deref(), Some("•••"));
}

#[test]
fn contents_are_masked() {
    let document = stack(b"hunter2").document;
    let shown = serde_json::to_string(&mask(&document)).unwrap();
    for secret in ["hunter2", "t0k3n", "listen 8080"] {
        assert!(!shown.contains(secret), "{shown}");
        assert!(!format!("{document:?}").contains(secret));
    }
    assert!(serde_json::to_string(&document).unwrap().contains("hunter2"));
}

#[test]
fn what_the_daemon_cannot_read_is_refused() {
    for source in ["{file: ./a}", "{environment: A}"] {
        let text = format!("services: {{a: {{image: b}}}}\nsecrets: {{s: {source}}}\n");
        let found = check(&jaco(NAME), &compose(&text)).expect_err("it is not resolved");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("only the client can follow"), "{found:?}");
    }
}

#[test]
fn names_that_the_cluster_does_not_have_are_shown_where_they_are_declared() {
    let ids = ["secret/of_the_cluster", "config/app.toml"];
    let missing: BTreeSet<_> = ids.iter().map(|id| id.parse().unwrap()).collect();
    let found = missing_files(&compose(STACK), &missing);
    let seen: Vec<_> = found.iter().map(|d| (d.line, d.path.as_str(), d.code)).collect();
    let code = ErrorCode::SecretNotFound;
    assert_eq!(seen, [(18, "secrets.of_the_cluster", code), (21, "configs.renamed", code)]);
    assert_eq!(found[1].message, "the cluster has no config named `app.toml`");
}

#[test]
fn mistakes_are_found_where_they_are() {
    let of = |service: &str, top: &str| {
        let text = format!("services:\n  web:\n    image: nginx\n    {service}\n{top}\n");
        problems(NAME, &text).into_iter().filter(|d| d.severity == Severity::Error).collect()
    };
    let cases: [(&str, &str, u32, &str); 12] = [
        (
            "secrets: [pasword]",
            "secrets: {password: {external: true}}",
            4,
            "did you mean `password`?",
        ),
        ("secrets: [a]", "", 4, "declare it under the top-level `secrets`"),
        (
            "secrets: [a]",
            "configs: {a: {content: x}}",
            4,
            "declare it under the top-level `secrets`",
        ),
        ("", "secrets: {a: {}}", 5, "jaco secret set"),
        ("", "secrets: {a: {file: ./missing}}", 5, "does not exist"),
        ("", "secrets: {a: {environment: MISSING}}", 5, "is not set"),
        ("", "secrets: {a: {external: true, content: x}}", 5, "external and has a content"),
        ("", "secrets: {a: {driver: vault, external: true}}", 5, "Swarm"),
        (
            "secrets: [{source: a, uid: www-data}]",
            "secrets: {a: {content: x}}",
            4,
            "number of a user",
        ),
        ("secrets: [{source: a, mode: 9999}]", "secrets: {a: {content: x}}", 4, "octal"),
        (
            "secrets: [a, {source: b, target: a}]",
            "secrets: {a: {content: x}, b: {content: y}}",
            4,
            "two things",
        ),
        (
            "secrets: [{source: a, target: ../etc/passwd}]",
            "secrets: {a: {content: x}}",
            4,
            "no path of a file",
        ),
    ];
    for (service, top, line, words) in cases {
        let found: Vec<jaco_api::manifest::Diagnostic> = of(service, top);
        assert_eq!(found.len(), 1, "{service} {top}: {found:?}");
        let said = format!("{} {}", found[0].message, found[0].hint.as_deref().unwrap_or(""));
        assert!(said.contains(words), "{service} {top}: {said}");
        assert_eq!(found[0].line, line, "{service} {top}: {found:?}");
    }
}

#[test]
fn a_mode_means_what_it_means_to_compose() {
    let cases = [
        ("0440", 0o440, false),
        ("0o440", 0o440, false),
        ("\"440\"", 0o440, false),
        ("\"0440\"", 0o440, false),
        ("288", 0o440, true),
        ("440", 0o670, true),
    ];
    for (written, mode, warned) in cases {
        let text = format!(
            "services: {{a: {{image: b, secrets: [{{source: s, mode: {written}}}]}}}}\nsecrets: {{s: {{content: x}}}}\n"
        );
        let files = Bytes(BTreeMap::new());
        let resolved = resolve(&jaco(NAME), &compose(&text), &files).expect("it is valid");
        let (_, spec) = resolved.document.services.values().next().expect("a service");
        assert_eq!(spec.files[0].mode, mode, "{written}");
        assert_eq!(
            resolved.warnings.len(),
            usize::from(warned),
            "{written}: {:?}",
            resolved.warnings
        );
    }
}

#[test]
fn the_largest_content_is_half_a_mebibyte() {
    let text = |bytes: usize| {
        let content = "x".repeat(bytes);
        format!(
            "services: {{a: {{image: b, configs: [c]}}}}\nconfigs: {{c: {{content: {content}}}}}\n"
        )
    };
    assert!(check(&jaco(NAME), &compose(&text(512 << 10))).is_ok());
    let found = check(&jaco(NAME), &compose(&text((512 << 10) + 1))).expect_err("too large");
    assert!(found[0].message.contains("524289 bytes"), "{}", found[0].message);
}

#[test]
fn an_empty_content_is_a_content() {
    let text = "services: {a: {image: b, configs: [c]}}\nconfigs: {c: {content: ''}}\n";
    let (_, spec) = service(text, "a");
    assert_eq!(spec.files, [mount("/c", FileSource::Content("".into()), (0, 0, 0o444))]);
}

#[test]
fn a_content_is_given_once() {
    let text = "services: {a: {image: b}}\nconfigs: {c: {content: x, file: ./f}}\n";
    let files = Bytes(BTreeMap::from([("./f", b"y".to_vec())]));
    let found = resolve(&jaco(NAME), &compose(text), &files).expect_err("two contents");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("given twice"), "{found:?}");
}

#[test]
fn secrets_and_configs_are_read_alike() {
    let text = r#"
services:
  web:
    image: nginx
    KINDs:
      - {source: inline, target: /a, uid: "3", gid: "4", mode: 0640}
      - {source: beside, target: /b}
      - {source: variable, target: /c}
      - {source: named, target: /d}
      - {source: old, target: /e}
KINDs:
  inline: {content: in the file}
  beside: {file: ./f}
  variable: {environment: V}
  named: {external: true, name: another}
  old: {external: {name: old-way}}
"#;
    for kind in ["secret", "config"] {
        let contents = [(".env", b"V=of the variable\n".to_vec()), ("./f", b"of f".to_vec())];
        let name = format!("{NAME}environment: .env\n");
        let compose = compose(&text.replace("KIND", kind));
        let resolved = resolve(&jaco(&name), &compose, &Bytes(contents.into())).expect("valid");
        let content = |text: &str| FileSource::Content(text.into());
        let named = |name: &str| FileSource::Named(format!("{kind}/{name}").parse().unwrap());
        assert_eq!(
            resolved.document.services["web"].1.files,
            [
                mount("/a", content("in the file"), (3, 4, 0o640)),
                mount("/b", content("of f"), (0, 0, 0o444)),
                mount("/c", content("of the variable"), (0, 0, 0o444)),
                mount("/d", named("another"), (0, 0, 0o444)),
                mount("/e", named("old-way"), (0, 0, 0o444)),
            ],
            "{kind}"
        );
    }
}
