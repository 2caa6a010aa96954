//! Certificates of one's own, and what goes wrong around ports and domains.

use std::{fs, net::Ipv4Addr, path::Path, time::Instant};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Patience, Vantage, https_get};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::visitors;
use crate::stacks::pages;

const DOMAIN: &str = "own.example";

/// A certificate for `name` that is valid until the end of a year, and its key, in files of `directory`.
pub(crate) fn made(directory: &Path, name: &str, until: i32) -> Outcome<[String; 2]> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([name.to_owned()])?;
    (params.not_before, params.not_after) =
        (date_time_ymd(2020, 1, 1), date_time_ymd(until, 12, 31));
    let files = [("cert", params.self_signed(&key)?.pem()), ("key", key.serialize_pem())];
    let mut paths = [String::new(), String::new()];
    for (path, (kind, text)) in paths.iter_mut().zip(files) {
        let file = directory.join(format!("{name}.{until}.{kind}.pem"));
        fs::write(&file, text)?;
        *path = file.display().to_string();
    }
    Ok(paths)
}

fn routes(domain: &str, tls: &str) -> String {
    format!("routes:\n  - {{domain: '{domain}', service: app, port: 8080, tls: {tls}}}\n")
}

fn refused(fleet: &Fleet, arguments: &[&str], words: &[&str]) -> Outcome {
    let said = fleet.cli(1).try_run(arguments)?;
    assert_ne!(said.code, 0, "{}", said.line);
    for word in words {
        assert!(said.stderr.contains(word), "{}\n{}", said.line, said.stderr);
    }
    Ok(())
}

pub(crate) fn ports_and_certificates_of_ones_own(fleet: &mut Fleet) -> Outcome {
    // Somebody has both ports on the second host.
    let taken = Vantage::of_host(fleet.cluster().rig().host(1));
    let taken = [taken.listen(80)?, taken.listen(443)?];
    fleet.form()?;
    let compose = pages("$$HOSTNAME", 3, "");
    let stack = fleet.stack(&format!("deployment: site\n{}", routes(DOMAIN, DOMAIN)), &compose)?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let hosts: Vec<Ipv4Addr> = fleet.cluster().rig().hosts().iter().map(|h| h.address()).collect();
    let directory = fleet.scratch()?;
    let [cert, key] = made(&directory, DOMAIN, 2040)?;

    let [_, other] = made(&directory, DOMAIN, 2041)?;
    let [expired, its_key] = made(&directory, DOMAIN, 2021)?;
    let [blog, blog_key] = made(&directory, "blog.example", 2040)?;
    let import = |cert: &str, key: &str, words: &[&str]| {
        refused(fleet, &["cert", "import", DOMAIN, "--cert", cert, "--key", key], words)
    };
    import(&cert, &other, &["validation_failed", "not the one of the first certificate"])?;
    import(&expired, &its_key, &["validation_failed", "expired at 2021-12-31"])?;
    import(&blog, &blog_key, &["validation_failed", "but for blog.example"])?;
    import(&key, &cert, &["validation_failed"])?;

    fleet.cli(1).run(&["cert", "import", DOMAIN, "--cert", &cert, "--key", &key])?;
    let imported = Instant::now();
    let shown = |host: Ipv4Addr| https_get((host, 443), DOMAIN, "/index.html", None);
    for host in [hosts[0], hosts[2]] {
        fleet.cluster().until(Patience::SHORT, "the certificate", || {
            let shown = shown(host).map_err(|error| error.to_string())?;
            if shown.status == 200 { Ok(()) } else { Err(shown.head) }
        })?;
    }
    fleet.measured("imported and shown", format!("{:.2} s", imported.elapsed().as_secs_f32()));
    // The host with the taken ports says so, and serves when they are free.
    let node = fleet.cluster().node(1).name().to_owned();
    let inspected = fleet.cli(0).run(&["node", "inspect", &node])?.stdout;
    let closed = |name: &str| inspected.contains(&format!("{name}: Address already in use"));
    assert!(closed("http") && closed("https"), "{inspected}");
    drop(taken);
    let free = Instant::now();
    fleet.cluster().until(Patience::SHORT, "the freed port", || {
        let shown = shown(hosts[1]).map_err(|error| error.to_string())?;
        if shown.status == 200 { Ok(()) } else { Err(shown.head) }
    })?;
    fleet.measured("a port that was freed", format!("{:.2} s", free.elapsed().as_secs_f32()));

    // What others have, and what is no route.
    let long = "a".repeat(20_000);
    for (routes, words) in [
        (routes(DOMAIN, DOMAIN), ["route_conflict", "site"]),
        (routes(&long, "auto"), ["253", "jaco.yaml"]),
        (
            routes("x.example", "auto").replace('}', ", path: '^/api/.*'}"),
            ["prefix, not a pattern", "jaco.yaml"],
        ),
        (
            routes("x.example", "auto").replace('}', ", allow: [10.0.0.0/33]}"),
            ["10.0.0.0/33", "jaco.yaml"],
        ),
    ] {
        let stack = fleet.stack(&format!("deployment: blog\n{routes}"), &compose)?;
        refused(fleet, &["apply", &stack.manifest()], &words)?;
    }
    for host in &hosts {
        assert_eq!(shown(*host)?.status, 200, "nothing is broken by it");
        assert_eq!(visitors::head(*host, DOMAIN, "/")?.0, 308);
    }
    refused(fleet, &["cert", "remove", DOMAIN], &["conflict", "site"])?;

    fleet.cli(2).run(&["delete", "site", "--wait=60s"])?;
    fleet.cli(2).run(&["cert", "remove", DOMAIN])?;
    for host in hosts {
        fleet.cluster().until(Patience::SHORT, "everything to be gone", || {
            match (shown(host), visitors::head(host, DOMAIN, "/")?.0) {
                (Err(_), 404) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
    }
    Ok(())
}
