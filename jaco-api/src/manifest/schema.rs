//! The JSON Schema of `jaco.yaml`, for editors: what each key of the tables in [`jaco`](super::jaco) may
//! hold. A test holds the keys of both against each other.
//!
//! It says what a value looks like, not what it refers to: that is found out by checking.

use serde_json::{Map, Value, json};

/// Its name, and where the newest one lies.
const ID: &str =
    "https://raw.githubusercontent.com/jaco-sh/jaco/main/docs/manifests/jaco.schema.json";

/// A mapping of `jaco.yaml`.
struct Table {
    /// Its name in the tables of keys.
    of: &'static str,
    required: &'static [&'static str],
    keys: &'static [Key],
}

/// A key: its name, what it is for, what it may hold.
struct Key(&'static str, &'static str, Shape);

/// What a value looks like.
enum Shape {
    /// A text that fits a regular expression. Numbers count as text.
    Text(&'static str),
    /// One of these words.
    Words(&'static [&'static str]),
    /// `auto`, `off` or the name of a certificate. Many editors take `off` for a boolean.
    Certificate,
    /// `on` or `off`, which many editors take for a boolean.
    Switch,
    /// A whole number.
    Number(u32, u32),
    /// A list of texts that fit, each once.
    Texts(&'static str),
    /// A list of mappings.
    Tables(&'static Table),
    /// Something simple, or a mapping that says more.
    Either(&'static Shape, &'static Table),
}

use Shape::{Certificate, Either, Number, Switch, Tables, Text, Texts, Words};

/// A DNS label.
const LABEL: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
/// The name of a service, network or volume.
const NAME: &str = "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$";

static JACO: Table = Table {
    of: "jaco.yaml",
    required: &["deployment"],
    keys: &[
        Key(
            "deployment",
            "Name of the deployment: a DNS label of at most 40 characters, unique in the cluster.",
            Text("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"),
        ),
        Key(
            "environment",
            "Dotenv file, relative to jaco.yaml, that fills variables in the compose file.",
            Text(""),
        ),
        Key(
            "services",
            "What jaco.yaml says about services of the compose file.",
            Tables(&SERVICE),
        ),
        Key("routes", "How visitors reach services.", Tables(&ROUTE)),
        Key(
            "acme",
            "Whether certificates are obtained; `off`: routes without `tls` are plain HTTP.",
            Switch,
        ),
    ],
};

static SERVICE: Table = Table {
    of: "a service of jaco.yaml",
    required: &["name"],
    keys: &[
        Key("name", "A service of the compose file.", Text(NAME)),
        Key(
            "replicas",
            "How many; wins over deploy.replicas. 0 keeps everything and runs nothing.",
            Number(0, 10_000),
        ),
        Key(
            "placement",
            "Spread evenly, pack on few hosts, only on `hosts`, or one on every eligible node.",
            Words(&["spread", "pack", "hosts", "global"]),
        ),
        Key("hosts", "Names of nodes, for `placement: hosts`.", Texts(LABEL)),
        Key(
            "constraints",
            "Replace those of the compose file, for example `node.labels.disk == ssd`.",
            Texts(
                "^\\s*node\\.(id|hostname|platform\\.os|platform\\.arch|labels\\.[^\\s=!]+)\\s*(==|!=)\\s*\\S+\\s*$",
            ),
        ),
        Key("networks", "Replaces the networks of the compose file.", Texts(NAME)),
        Key(
            "schedule",
            "When it runs, as a job: a cron expression, or a mapping.",
            Either(&Text(""), &SCHEDULE),
        ),
    ],
};

static SCHEDULE: Table = Table {
    of: "a schedule",
    required: &["cron"],
    keys: &[
        Key(
            "cron",
            "Five fields (six with seconds in front), or @hourly, @daily, …; for example `0 3 * * *`.",
            Text(""),
        ),
        Key("timezone", "Whose clock counts, for example Europe/Berlin. Default: UTC.", Text("")),
        Key(
            "concurrency",
            "What a tick means while a run goes on: skip it, replace the run, or start another.",
            Words(&["forbid", "replace", "allow"]),
        ),
        Key("history", "How many ended runs are kept.", Either(&Number(0, 100), &HISTORY)),
        Key(
            "starting_deadline",
            "How late a tick that was missed may still run, for example 10m.",
            Text(""),
        ),
    ],
};

static HISTORY: Table = Table {
    of: "the history of a schedule",
    required: &[],
    keys: &[
        Key("succeeded", "Runs that ended well.", Number(0, 100)),
        Key("failed", "Runs that failed.", Number(0, 100)),
    ],
};

static ROUTE: Table = Table {
    of: "a route",
    required: &["service", "port"],
    keys: &[
        Key(
            "domain",
            "The domain; without it, or with `*`, every domain.",
            Text(
                "^(|\\*|(\\*\\.)?[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?(\\.[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?)*\\.?)$",
            ),
        ),
        Key("service", "A service of the compose file.", Text(NAME)),
        Key("port", "The port in the container.", Number(1, 65_535)),
        Key(
            "path",
            "Prefix on segment borders: /api means /api and /api/…, not /apix. Default: /",
            Text("^/[^?#\\\\\\s]*$"),
        ),
        Key("tls", "`auto`, `off`, or the name of an imported certificate.", Certificate),
    ],
};

/// The JSON Schema of `jaco.yaml`, as text.
#[must_use]
pub fn schema() -> String {
    let mut root = table(&JACO);
    let head = [
        ("$schema", "https://json-schema.org/draft/2020-12/schema"),
        ("$id", ID),
        ("title", "jaco.yaml"),
        ("description", "What JACO has to know beside the compose file."),
    ];
    root.extend(head.map(|(key, value)| (key.to_owned(), json!(value))));
    let mut text = serde_json::to_string_pretty(&root)
        .expect("a schema has only string keys and finite numbers");
    text.push('\n');
    text
}

/// The keys of every mapping that have a shape here.
#[must_use]
pub fn shaped() -> Vec<(&'static str, &'static str)> {
    let keys = |table: &'static Table| table.keys.iter().map(|key| (table.of, key.0));
    [&JACO, &SERVICE, &SCHEDULE, &HISTORY, &ROUTE].into_iter().flat_map(keys).collect()
}

fn table(table: &Table) -> Map<String, Value> {
    let mut properties = Map::new();
    for Key(name, about, shape) in table.keys {
        let mut property = written(shape);
        // A key without a value counts as absent.
        if !table.required.contains(name) {
            let types = property.entry("type").or_insert_with(|| json!([]));
            if let Value::Array(types) = types {
                types.push(json!("null"));
            }
            if let Some(Value::Array(words)) = property.get_mut("enum") {
                words.push(Value::Null);
            }
        }
        property.insert("description".to_owned(), json!(about));
        properties.insert((*name).to_owned(), Value::Object(property));
    }
    let parts = [
        ("type", json!("object")),
        ("additionalProperties", json!(false)),
        ("required", json!(table.required)),
        ("properties", Value::Object(properties)),
    ];
    parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn written(shape: &Shape) -> Map<String, Value> {
    let value = match shape {
        Text("") => json!({"type": ["string", "number"], "minLength": 1}),
        Certificate => json!({
            "type": ["string", "boolean", "number"], "pattern": "^[a-zA-Z0-9._*-]{1,253}$",
            "not": {"const": true}, "examples": ["auto", "off"]
        }),
        Text(pattern) => json!({"type": ["string", "number"], "pattern": pattern}),
        Words(words) => json!({"type": ["string"], "enum": words}),
        Switch => json!({"type": ["string", "boolean"], "enum": ["on", "off", true, false]}),
        Number(low, high) => json!({
            "type": ["integer", "string"], "minimum": low, "maximum": high, "pattern": "^\\s*[0-9]+\\s*$"
        }),
        Texts(pattern) => json!({
            "type": ["array"], "uniqueItems": true,
            "items": {"type": ["string", "number"], "pattern": pattern}
        }),
        Tables(items) => json!({"type": ["array"], "items": table(items)}),
        Either(simple, more) => {
            // What is said of mappings says nothing of others.
            let (mut either, mut more) = (written(simple), table(more));
            more.remove("type");
            if let Some(Value::Array(types)) = either.get_mut("type") {
                types.push(json!("object"));
            }
            either.extend(more);
            Value::Object(either)
        }
    };
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
