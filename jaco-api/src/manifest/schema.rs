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
    /// A mapping.
    Mapping(&'static Table),
    /// `true` or `false`, in any spelling of YAML 1.1.
    Truth,
    /// A text that fits, or a list of such texts, each once.
    OneOrMore(&'static str),
    /// Texts by names that fit.
    Pairs(&'static str),
    /// Headers by name, or a mapping with one of the keys of the table.
    Headers(&'static Table),
}

use Shape::{
    Certificate, Either, Headers, Mapping, Number, OneOrMore, Pairs, Switch, Tables, Text, Texts,
    Truth, Words,
};

/// A DNS label.
const LABEL: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
/// An address with a host.
const URL: &str = "^\\s*[hH][tT][tT][pP][sS]?://[^\\s/?#@{}$]+[^\\s{}$]*\\s*$";
/// An address or a block of addresses.
const BLOCK: &str = "^\\s*[0-9a-fA-F.:]+(/[0-9]{1,3})?\\s*$";
/// The name of a header.
const HEADER: &str = "^[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,128}$";
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
        Key(
            "acme_email",
            "Address that a CA is told for the certificates of this deployment.",
            Text("^[^@\\s]{1,64}@[^@\\s.]+(\\.[^@\\s.]+)+$"),
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
        Key(
            "protocol",
            "What the service speaks: HTTP/1.1, or HTTP/2 without TLS, such as gRPC.",
            Words(&["http", "h2c", "grpc"]),
        ),
        Key(
            "strip_path",
            "Whether the path of the route is taken away before the request goes on.",
            Truth,
        ),
        Key(
            "redirect_to",
            "An address that visitors are sent to instead.",
            Either(&Text(URL), &REDIRECT),
        ),
        Key(
            "headers",
            "Headers of answers, by name; or what is changed of requests and answers.",
            Headers(&HEADERS),
        ),
        Key("timeout", "Most time until the service answers, for example 30s.", Text("")),
        Key("max_body", "Largest body of a request, for example 10m.", Text("")),
        Key(
            "sticky",
            "Keeps visitors on one replica: by a cookie, or by their address.",
            Words(&["cookie", "ip"]),
        ),
        Key("basic_auth", "Names and passwords of those who may come.", Pairs("^[^:]{1,255}$")),
        Key(
            "rate_limit",
            "Most requests of one visitor on each node, for example 10/s.",
            Either(&Text("^\\s*0*[1-9][0-9]*\\s*r?\\s*/\\s*[a-z0-9.]+\\s*$"), &RATE),
        ),
        Key("allow", "Addresses and blocks that may come; nobody else may.", OneOrMore(BLOCK)),
        Key("deny", "Addresses and blocks that may not come.", OneOrMore(BLOCK)),
        Key("compress", "Whether answers are compressed for those who take it.", Truth),
    ],
};

static REDIRECT: Table = Table {
    of: "a redirect",
    required: &["url"],
    keys: &[
        Key("url", "The address, or the start of it.", Text(URL)),
        Key("permanent", "Whether browsers may remember it. Default: false", Truth),
        Key(
            "keep_path",
            "Whether path and query are put behind it. Default: true for an address without a path",
            Truth,
        ),
    ],
};

static HEADERS: Table = Table {
    of: "the headers of a route",
    required: &[],
    keys: &[
        Key("request", "What is changed of those the service sees.", Mapping(&CHANGES)),
        Key("response", "What is changed of those the visitor sees.", Mapping(&CHANGES)),
    ],
};

static CHANGES: Table = Table {
    of: "changes of headers",
    required: &[],
    keys: &[
        Key("set", "Headers with their values.", Pairs(HEADER)),
        Key("remove", "Names of headers that are taken away.", OneOrMore(HEADER)),
    ],
};

static RATE: Table = Table {
    of: "a rate limit",
    required: &["requests"],
    keys: &[
        Key("requests", "So many in the time, on average.", Number(1, 1_000_000)),
        Key("per", "The time, for example 1m. Default: 1s", Text("")),
        Key("burst", "So many at once. Default: as many as requests", Number(1, 1_000_000)),
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
    let tables =
        [&JACO, &SERVICE, &SCHEDULE, &HISTORY, &ROUTE, &REDIRECT, &HEADERS, &CHANGES, &RATE];
    tables.into_iter().flat_map(keys).collect()
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
        Mapping(of) => {
            let mut mapping = table(of);
            mapping.insert("type".to_owned(), json!(["object"]));
            Value::Object(mapping)
        }
        // Every spelling of YAML 1.1, which many editors take for a text.
        Truth => json!({
            "type": ["boolean", "string"],
            "enum": [
                true, false, "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y",
                "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"
            ]
        }),
        OneOrMore(pattern) => json!({
            "type": ["array", "string"], "uniqueItems": true, "minItems": 1, "pattern": pattern,
            "items": {"type": ["string"], "pattern": pattern}
        }),
        Pairs(pattern) => json!({
            "type": ["object"], "propertyNames": {"pattern": pattern},
            "additionalProperties": {"type": ["string", "number", "boolean"]}
        }),
        Headers(of) => {
            let mut headers = table(of);
            headers.insert(
                "additionalProperties".to_owned(),
                json!(
                    {"type": ["string", "number", "boolean"]}
                ),
            );
            headers.insert("propertyNames".to_owned(), json!({"pattern": HEADER}));
            headers.insert("type".to_owned(), json!(["object"]));
            Value::Object(headers)
        }
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
