//! How long a manifest of 1 MiB and 500 services takes, beside what reading its YAML takes at least. The
//! bar: 100 ms.

#[path = "../tests/manifest/large.rs"]
mod large;

use jaco_api::manifest::{Resolved, Source, check, resolve};

fn main() {
    divan::main();
}

fn source(name: &str, text: String) -> Source {
    Source { name: name.to_owned(), text }
}

fn jaco() -> Source {
    source("jaco.yaml", "deployment: shop\n".to_owned())
}

fn compose() -> Source {
    source("compose.yml", large::compose(500))
}

fn resolved() -> Resolved {
    resolve(&jaco(), &compose(), &()).expect("the manifest is valid")
}

/// What no reader can do without.
#[divan::bench]
fn yaml_events_alone(bencher: divan::Bencher<'_, '_>) {
    let text = compose().text;
    bencher.bench(|| granit_parser::Parser::new_from_str(&text).filter(Result::is_ok).count());
}

#[divan::bench]
fn client_resolves(bencher: divan::Bencher<'_, '_>) {
    let (jaco, compose) = (jaco(), compose());
    bencher.bench(|| resolve(&jaco, &compose, &()).is_ok());
}

#[divan::bench]
fn daemon_checks(bencher: divan::Bencher<'_, '_>) {
    let jaco = jaco();
    let sent = source("compose.yml", resolved().compose);
    bencher.bench(|| check(&jaco, &sent).is_ok());
}

#[divan::bench]
fn digests(bencher: divan::Bencher<'_, '_>) {
    let document = resolved().document;
    bencher.bench(|| document.services.values().map(|(_, s)| s.digest()).collect::<Vec<_>>());
}
