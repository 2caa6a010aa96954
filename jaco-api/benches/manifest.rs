//! How long a manifest of 1 MiB and 500 services takes. The bar: 100 ms.

use std::fmt::Write as _;

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
    let mut out = "x-common: &common\n  logging: {driver: json-file}\nservices:\n".to_owned();
    for i in 0..500 {
        let port = 10_000 + i;
        let _ = write!(
            out,
            "  service-{i}:\n    <<: *common\n    image: registry/app:{i}\n    ports: [\"{port}:80\"]\n    \
             volumes: [\"data-{i}:/data\"]\n    environment:\n"
        );
        for v in 0..40 {
            let _ = writeln!(
                out,
                "      VARIABLE_NUMBER_{v}: \"a value of some length for ${{V:-{v}}}\""
            );
        }
    }
    out.push_str("volumes:\n");
    for i in 0..500 {
        let _ = writeln!(out, "  data-{i}: {{}}");
    }
    source("compose.yml", out)
}

fn resolved() -> Resolved {
    resolve(&jaco(), &compose(), &()).expect("the manifest is valid")
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
