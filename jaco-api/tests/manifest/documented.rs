//! The tables of keys cover the whole Compose Specification, and the documentation says what they say.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use jaco_api::{manifest::supported, model::Settings};
use serde_json::Value;

/// The JSON schema of the Compose Specification.
const SCHEMA: &str = include_str!("../data/compose-spec.schema.json");

/// Every attribute of a schema by its path, at any depth; `*` is a name that the user gives.
fn attributes(root: &Value, node: &Value, path: &str, out: &mut BTreeSet<String>) {
    let below =
        |part: &str| if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") };
    let of = |key: &str| node.get(key).and_then(Value::as_object).into_iter().flatten();
    if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).expect("it is defined");
        attributes(root, target, path, out);
    }
    for (name, schema) in of("properties") {
        out.insert(below(name));
        attributes(root, schema, &below(name), out);
    }
    for (_, schema) in of("patternProperties").filter(|(pattern, _)| *pattern != "^x-") {
        attributes(root, schema, &below("*"), out);
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        for schema in node.get(key).and_then(Value::as_array).into_iter().flatten() {
            attributes(root, schema, path, out);
        }
    }
    for (key, part) in [("items", path.to_owned()), ("additionalProperties", below("*"))] {
        if let Some(schema) = node.get(key).filter(|s| s.is_object()) {
            attributes(root, schema, &part, out);
        }
    }
}

#[test]
fn no_attribute_of_the_specification_is_in_no_table() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut specified = BTreeSet::new();
    attributes(&schema, &schema, "", &mut specified);
    for deep in ["services.*.image", "services.*.deploy.placement.preferences.spread"] {
        assert!(specified.contains(deep), "{deep}");
    }
    let known: BTreeSet<String> =
        supported().iter().flat_map(|s| s.paths().collect::<Vec<_>>()).collect();
    let missing: Vec<&String> = specified.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(specified.len() > 250, "{}", specified.len());
}

#[test]
fn every_key_says_what_it_is_in_one_line() {
    for key in supported() {
        let about = key.about;
        assert!(
            about.ends_with('.') && !about.contains('\n'),
            "{} of {}: {about:?}",
            key.name,
            key.of
        );
        assert!(about.len() <= 200, "{} of {}: {}", key.name, key.of, about.len());
    }
}

#[test]
fn every_key_is_documented() {
    let mut text = String::from(
        "# Keys of both files\n\n\
         <!-- Made from the tables that reading follows; write it with JACO_WRITE_DOCS=1 cargo test -p jaco-api. -->\n\n\
         What is in no table is an error. Keys that begin with `x-` are free in compose files.\n",
    );
    let mut of = "";
    for key in supported() {
        if key.of != of {
            of = key.of;
            let _ = write!(text, "\n## In {of}\n\n");
            let places: Vec<String> =
                key.at.iter().filter(|at| !at.is_empty()).map(|at| format!("`{at}`")).collect();
            if !places.is_empty() {
                let _ = write!(text, "Below {}.\n\n", places.join(", "));
            }
            text.push_str("| key | what it is | here |\n|---|---|---|\n");
        }
        let [about, support] =
            [key.about.to_owned(), key.support.to_string()].map(|t| t.replace('|', "\\|"));
        let _ = writeln!(text, "| `{}` | {about} | {support} |", key.name);
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/manifests/keys.md");
    if std::env::var_os("JACO_WRITE_DOCS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let present = fs::read_to_string(&path).unwrap_or_default();
    assert!(present == text, "docs/manifests/keys.md is out of date");
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/operations/settings.md");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let rows: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter_map(|(key, rest)| Some((key, rest.split_once(" |")?.0)))
        .collect();
    let entries = Settings::default().entries();
    let wanted: Vec<(&str, String)> = entries
        .iter()
        .map(|(key, value)| {
            (*key, if value.is_empty() { "empty".to_owned() } else { format!("`{value}`") })
        })
        .collect();
    assert_eq!(rows, wanted.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
}
