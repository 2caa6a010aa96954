//! A manifest as large as they come: 500 services in about 1 MiB, with the attributes that compose files
//! of the wild have.

use std::fmt::Write as _;

/// What stands before the services: shared parts, as people write them.
const HEAD: &str = "\
# What every service has.
x-logging: &logging
  driver: json-file
  options: {max-size: \"10m\", max-file: \"3\"}
x-common: &common
  restart: unless-stopped
  logging: *logging
  stop_grace_period: 30s
services:
";

/// One service of about 2 KiB.
fn service(out: &mut String, number: usize) {
    let port = 10_000 + number;
    let _ = write!(
        out,
        "  service-{number}:\n    <<: *common\n    image: \"registry.example/team/app-{number}:${{TAG:-1.{number}}}\"\n    \
         command: [\"serve\", \"--listen\", \"0.0.0.0:8080\", \"--name=service-{number}\"]\n    \
         user: \"1000:1000\"\n    ports:\n      - \"{port}:8080\"\n      - {{target: 9090, protocol: tcp}}\n    \
         volumes:\n      - data-{number}:/var/lib/app\n      - type: tmpfs\n        target: /tmp\n        tmpfs: {{size: 64m}}\n    \
         networks:\n      front: {{aliases: [app-{number}]}}\n      back:\n    \
         healthcheck:\n      test: [\"CMD\", \"wget\", \"-qO-\", \"http://localhost:8080/health\"]\n      \
         interval: 10s\n      timeout: 2s\n      retries: 5\n    cap_drop: [ALL]\n    \
         ulimits: {{nofile: {{soft: 65536, hard: 65536}}}}\n    deploy:\n      replicas: 2\n      resources:\n        \
         limits: {{cpus: \"0.50\", memory: 256M}}\n        reservations: {{memory: 64M}}\n      \
         placement: {{constraints: [\"node.labels.zone == a\"]}}\n      update_config: {{parallelism: 1, delay: 5s}}\n"
    );
    if number > 0 {
        let before = number - 1;
        let _ = write!(
            out,
            "    depends_on:\n      service-{before}: {{condition: service_started}}\n"
        );
    }
    out.push_str("    labels:\n");
    for rule in 0..4 {
        let _ = writeln!(
            out,
            "      - \"traefik.http.routers.r{rule}.rule=Host(`app-{number}.example`)\""
        );
    }
    out.push_str("    # Settings of the application.\n    environment:\n");
    for variable in 0..14 {
        let _ = writeln!(
            out,
            "      APP_SETTING_{variable}: \"a value of some length, ${{LEVEL:-info}} {variable}\""
        );
    }
}

/// A valid compose file of so many services.
pub(crate) fn compose(services: usize) -> String {
    let mut out = HEAD.to_owned();
    (0..services).for_each(|number| service(&mut out, number));
    out.push_str("networks: {front: , back: {internal: true}}\nvolumes:\n");
    for number in 0..services {
        let _ = writeln!(out, "  data-{number}: {{}}");
    }
    out
}
