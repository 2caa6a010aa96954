//! What everybody writes, and what becomes of it.

use jaco_api::{
    manifest::privileges,
    model::{
        BindAllowlist, Borrowed, DependencyCondition, FailureAction, Healthcheck, IpcMode, Mode,
        MountSource, Placement, Protocol, PullPolicy, RestartCondition, Span, TlsMode, UpdateOrder,
    },
};

use crate::support::{Memory, NAME, document, resolved, service};

#[test]
fn the_smallest_manifest_gets_every_default() {
    let document = document("services:\n  web:\n    image: nginx\n");
    let (schedule, spec) = &document.services["web"];
    assert_eq!((schedule.replicas, schedule.mode), (1, Mode::Service));
    assert_eq!(schedule.placement, None);
    assert_eq!(schedule.update.order, UpdateOrder::StartFirst);
    assert_eq!(schedule.update.failure_action, FailureAction::Rollback);
    assert!(!schedule.stateful);
    assert_eq!(spec.networks[0].network, "default");
    assert_eq!(document.networks.keys().next().unwrap(), "default");
    assert!(spec.references.contains_key("network:default"));
}

#[test]
fn a_rich_service_keeps_everything() {
    let (schedule, spec) = service(
        r#"
x-common: &common
  environment: {LOG: info, NUMBER: 1.10, EMPTY: , "QUOTED": ""}
  logging: {driver: json-file, options: {max-size: 10m}}
services:
  web:
    <<: *common
    image: registry.example:5000/shop/web:1.2@sha256:abc
    pull_policy: if_not_present
    platform: Linux/amd64
    command: sh -c "exec \"$$0\" 'a b'"
    entrypoint: ["/bin/tini", "--"]
    user: 1000:1000
    group_add: [audio, 44]
    working_dir: /app
    hostname: web
    labels: ["a=b=c", flag]
    annotations: {x: 1}
    expose: [9000, "8000-8001/udp"]
    extra_hosts: ["db=10.0.0.1", "gw:host-gateway", "six=[::1]"]
    dns: 1.1.1.1
    dns_search: [example.com]
    dns_opt: ["ndots:2"]
    healthcheck: {test: curl -f localhost, interval: 1m30s, timeout: 500ms, retries: 3, start_period: 10s}
    stop_signal: SIGINT
    stop_grace_period: 1m
    cap_add: [CAP_CHOWN, net_bind_service]
    cap_drop: [ALL]
    sysctls: ["net.core.somaxconn=1024"]
    ulimits: {nproc: 65535, nofile: {soft: 20000, hard: 40000}}
    shm_size: 64m
    read_only: true
    init: yes
    tty: "true"
    stdin_open: true
    oom_score_adj: -500
    tmpfs: ["/run", "/tmp:size=64m,mode=1777"]
    restart: unless-stopped
    depends_on: [db]
    links: ["db:database"]
    container_name: shop-web
    cpus: 9
    mem_limit: 9g
    cpuset: 0-1
    deploy:
      replicas: 3
      resources:
        limits: {cpus: "0.5", memory: 512M, pids: 100}
        reservations: {cpus: 0.25, memory: 128m}
      update_config: {parallelism: 2, delay: 10s, order: stop-first, monitor: 5s, max_failure_ratio: 0.25, failure_action: pause}
      restart_policy: {condition: any, delay: 5s, max_attempts: 7}
      placement:
        constraints: ["node.labels.disk==ssd"]
        max_replicas_per_node: 1
  db: {image: postgres}
"#,
        "web",
    );
    assert_eq!(spec.pull_policy, PullPolicy::Missing);
    assert_eq!(spec.platform.as_deref(), Some("linux/amd64"));
    assert_eq!(spec.command.unwrap(), ["sh", "-c", "exec \"$0\" 'a b'"]);
    assert_eq!(spec.environment["NUMBER"].as_deref(), Some("1.10"));
    assert_eq!(spec.environment["EMPTY"], None);
    assert_eq!(spec.environment["QUOTED"].as_deref(), Some(""));
    assert_eq!(spec.user.as_deref(), Some("1000:1000"));
    assert_eq!((&*spec.labels["a"], &*spec.labels["flag"]), ("b=c", ""));
    assert_eq!(spec.expose, ["8000/udp", "8001/udp", "9000/tcp"]);
    assert_eq!(spec.extra_hosts["six"], ["::1"]);
    assert_eq!(spec.extra_hosts["gw"], ["host-gateway"]);
    let Some(Healthcheck::Check { test, interval, .. }) = &spec.healthcheck else { panic!() };
    assert_eq!(test, &["CMD-SHELL", "curl -f localhost"]);
    assert_eq!(*interval, Some(Span::secs(90)));
    assert_eq!(spec.cap_add, ["CHOWN", "NET_BIND_SERVICE"]);
    assert_eq!(spec.ulimits["nofile"].hard, 40_000);
    assert_eq!((spec.init, spec.tty, spec.oom_score_adj), (Some(true), true, -500));
    assert_eq!(spec.mounts.len(), 2);
    assert_eq!(
        spec.mounts[1].source,
        MountSource::Tmpfs { size_bytes: 64 << 20, mode: 0o1777, options: Vec::new() }
    );
    assert_eq!(spec.resources.cpu_millis, 500);
    assert_eq!(spec.resources.memory_bytes, 512 << 20);
    assert_eq!(spec.resources.cpuset, "0-1");
    assert_eq!(spec.networks[0].aliases, ["shop-web"]);
    assert_eq!((schedule.replicas, schedule.max_replicas_per_node), (3, 1));
    assert_eq!(schedule.constraints, ["node.labels.disk == ssd"]);
    assert_eq!(schedule.update.max_failure_permille, 250);
    assert_eq!(schedule.restart.max_attempts, 7);
    assert_eq!(schedule.reserved_cpu_millis, 250);
    let db = jaco_api::model::ServiceName::new("db").unwrap();
    assert_eq!(schedule.depends_on[&db], DependencyCondition::Started);
}

#[test]
fn wishes_for_the_scheduler_are_no_labels_of_the_container() {
    for (labels, deploy) in [
        ("{a: b}", "labels: {jaco.io/singleton: \"true\", jaco.io/reschedule-after: 1m30s}"),
        ("{a: b, jaco.io/singleton: yes}", "labels: [jaco.io/reschedule-after=90s]"),
        ("[a=b, jaco.io/singleton=on, jaco.io/reschedule-after=90s]", "replicas: 1"),
    ] {
        let (schedule, spec) = service(
            &format!(
                "services:\n  web:\n    image: w\n    labels: {labels}\n    deploy: {{{deploy}}}\n"
            ),
            "web",
        );
        assert!(schedule.singleton, "{labels}");
        assert_eq!(schedule.reschedule_after, Some(Span::secs(90)), "{labels}");
        assert_eq!(schedule.update.order, UpdateOrder::StopFirst, "two never run");
        assert_eq!(spec.labels.keys().collect::<Vec<_>>(), ["a"], "{labels}");
    }
    let (plain, _) = service("services: {web: {image: w, labels: {jaco.io/singleton: no}}}", "web");
    assert!(!plain.singleton && plain.update.order == UpdateOrder::StartFirst);
}

#[test]
fn preferences_spread_over_labels_in_their_order() {
    let (schedule, _) = service(
        "services:\n  web:\n    image: w\n    deploy:\n      placement:\n        preferences: [{spread: node.labels.zone}, {spread: node.labels.rack}]\n",
        "web",
    );
    assert_eq!(schedule.spread_over, ["zone", "rack"]);
}

#[test]
fn links_name_their_target_on_common_networks() {
    let (_, db) =
        service("services:\n  web: {image: w, links: ['db:database']}\n  db: {image: d}\n", "db");
    assert_eq!(db.networks[0].aliases, ["database"]);
}

#[test]
fn ports_in_every_form() {
    let (schedule, _) = service(
        r#"
services:
  web:
    image: w
    ports:
      - 8080:80
      - "9090-9091:90-91/udp"
      - "0.0.0.0:8443:443"
      - "[::]:8444:444"
      - "3000"
      - {target: 53, published: "5353", protocol: udp}
"#,
        "web",
    );
    let ports: Vec<_> =
        schedule.ports.iter().map(|p| (p.published, p.target, p.protocol)).collect();
    assert_eq!(
        ports,
        [
            (None, 3000, Protocol::Tcp),
            (Some(5353), 53, Protocol::Udp),
            (Some(8080), 80, Protocol::Tcp),
            (Some(8443), 443, Protocol::Tcp),
            (Some(8444), 444, Protocol::Tcp),
            (Some(9090), 90, Protocol::Udp),
            (Some(9091), 91, Protocol::Udp),
        ]
    );
}

#[test]
fn volumes_in_every_form_make_a_service_stateful() {
    let document = document(
        r#"
services:
  db:
    image: d
    labels: {jaco.io/allow-privileged: "true"}
    volumes:
      - data:/var/lib/db
      - named:/n:ro
      - theirs:/t
      - /srv/x:/x:ro,rslave
      - ./conf:/etc/conf
      - /anonymous
      - {type: volume, source: data, target: /again, volume: {nocopy: true}, read_only: true}
      - {type: bind, source: rel/path, target: /rel, bind: {create_host_path: false}}
      - {type: tmpfs, target: /mem, tmpfs: {size: 1m}}
volumes:
  data:
  named: {name: literal, driver_opts: {type: nfs}}
  theirs: {external: true}
  unused:
"#,
    );
    let (schedule, spec) = &document.services["db"];
    assert!(schedule.stateful);
    assert_eq!(schedule.update.order, UpdateOrder::StopFirst);
    assert_eq!(schedule.volumes, ["jaco_shop_data", "literal", "theirs"]);
    let at = |target: &str| spec.mounts.iter().find(|m| m.target == target).unwrap();
    assert!(at("/n").read_only && at("/again").read_only);
    let MountSource::Bind { path, create, .. } = &at("/etc/conf").source else { panic!() };
    assert_eq!((path.as_str(), *create), ("/srv/app/conf", true));
    let MountSource::Bind { path, create, .. } = &at("/rel").source else { panic!() };
    assert_eq!((path.as_str(), *create), ("/srv/app/rel/path", false));
    let MountSource::Volume { name, .. } = &at("/anonymous").source else { panic!() };
    assert_eq!(name, "");
    assert_eq!(document.volumes.len(), 3);
    assert!(document.volumes["theirs"].external);
    assert_eq!(privileges(spec, &BindAllowlist::default()).len(), 3);
    assert!(spec.references.contains_key("volume:data"));
}

#[test]
fn networks_with_aliases_and_priorities() {
    let compose = r#"
services:
  web:
    image: w
    networks:
      front: {aliases: [www], priority: 10}
      back:
  api: {image: a, networks: [back]}
  lonely: {image: l, network_mode: none}
networks:
  front: {driver: bridge, labels: [a=b]}
  back: {internal: true}
"#;
    let document = document(compose);
    let (_, web) = &document.services["web"];
    assert_eq!(web.networks[1].aliases, ["www"]);
    assert_eq!(web.networks[1].priority, 10);
    assert!(document.networks["back"].internal);
    assert!(!document.networks.contains_key("default"));
    assert!(document.services["lonely"].1.networks.is_empty());
    let jaco = "deployment: shop\nservices:\n- {name: web, networks: [back]}\n";
    let replaced = resolved(jaco, compose, &Memory::default()).document;
    assert_eq!(replaced.services["web"].1.networks.len(), 1);
    assert!(!replaced.networks.contains_key("front"));
}

#[test]
fn a_service_lives_beside_another_one() {
    let compose = r#"
services:
  app:
    image: a
    network_mode: service:vpn
    pid: "service:vpn"
    ipc: service:vpn
    volumes_from: ["vpn:ro"]
    volumes: [own:/own]
    depends_on: {vpn: {condition: service_healthy}}
    deploy: {resources: {reservations: {cpus: '0.5', memory: 64M}}}
  logs: {image: l, volumes_from: [vpn]}
  vpn:
    image: v
    volumes: [data:/data]
    deploy: {replicas: 2, resources: {reservations: {cpus: '1'}}, placement: {constraints: [node.labels.a == b]}}
volumes: {own: , data: }
"#;
    let document = document(compose);
    let (vpn, vpn_spec) = &document.services["vpn"];
    let (app, app_spec) = &document.services["app"];
    let (logs, logs_spec) = &document.services["logs"];
    let sharing = app_spec.beside.as_ref().unwrap();
    assert_eq!(sharing.lead.as_str(), "vpn");
    assert!(sharing.network && sharing.pid && sharing.ipc);
    assert_eq!(sharing.volumes, Some(Borrowed::ReadOnly));
    let logs_sharing = logs_spec.beside.as_ref().unwrap();
    assert_eq!(logs_sharing.volumes, Some(Borrowed::AsMounted));
    assert!(!logs_sharing.network && !logs_sharing.pid && !logs_sharing.ipc);
    // One has its lead's network, the other one its own.
    assert!(app_spec.networks.is_empty() && app_spec.network_mode.is_none());
    assert_eq!(logs_spec.networks.len(), 1);
    // Its lead asks for a place for all of them, and lets them in.
    assert_eq!(vpn.volumes, ["jaco_shop_data", "jaco_shop_own"]);
    assert_eq!((vpn.reserved_cpu_millis, vpn.reserved_memory_bytes), (1500, 64 << 20));
    assert_eq!(vpn_spec.ipc, Some(IpcMode::Shareable));
    assert!(vpn.stateful && vpn.beside.is_none());
    for companion in [app, logs] {
        assert_eq!(companion.beside.as_ref().unwrap().as_str(), "vpn");
        assert_eq!((companion.replicas, companion.reserved_cpu_millis), (2, 0));
        assert_eq!(companion.update.order, UpdateOrder::StopFirst);
        assert!(companion.constraints.is_empty() && companion.placement.is_none());
    }
    assert_eq!(app.depends_on["vpn"], DependencyCondition::Healthy);
    assert_eq!(logs.depends_on["vpn"], DependencyCondition::Started);
    // None of that is access to the host.
    assert!(privileges(app_spec, &BindAllowlist::default()).is_empty());
}

#[test]
fn a_lead_with_the_data_of_its_companion_is_replaced_stop_first() {
    let compose = "services:\n  app: {image: a, network_mode: 'service:vpn', volumes: [data:/data]}\n  \
                   vpn: {image: v}\nvolumes: {data: }\n";
    let document = document(compose);
    assert_eq!(document.services["vpn"].0.update.order, UpdateOrder::StopFirst);
    assert!(document.services["vpn"].0.stateful);
    // Without data the new pair comes first.
    let without = compose.replace(", volumes: [data:/data]", "");
    let document = self::document(&without);
    assert_eq!(document.services["vpn"].0.update.order, UpdateOrder::StartFirst);
}

#[test]
fn jaco_yaml_overrides_and_routes() {
    let jaco = r#"
deployment: shop
acme: off
services:
  - name: web
    replicas: 2
    placement: hosts
    hosts: [a, b]
    constraints: ["node.hostname != c"]
  - {name: agent, placement: global}
  - {name: off, replicas: 0}
routes:
  - {domain: Shop.Example, service: web, port: 80}
  - {domain: shop.example, path: /api/, service: web, port: 81, tls: off}
  - {domain: own.example, service: web, port: 80, tls: my-cert}
  - {service: web, port: 80}
"#;
    let compose = "
services:
  web: {image: w, deploy: {replicas: 9}}
  agent: {image: a}
  off: {image: o, deploy: {replicas: 4}}
";
    let document = resolved(jaco, compose, &Memory::default()).document;
    let web = &document.services["web"].0;
    assert_eq!(web.replicas, 2);
    assert!(matches!(&web.placement, Some(Placement::Hosts(h)) if h.len() == 2));
    assert_eq!(web.constraints, ["node.hostname != c"]);
    assert_eq!(document.services["agent"].0.placement, Some(Placement::Global));
    assert_eq!(document.services["off"].0.replicas, 0);
    let routes: Vec<_> =
        document.routes.iter().map(|r| (&*r.domain, &*r.path, r.tls.clone())).collect();
    assert_eq!(
        routes,
        [
            ("shop.example", "/", TlsMode::Off),
            ("shop.example", "/api", TlsMode::Off),
            ("own.example", "/", TlsMode::Imported("my-cert".to_owned())),
            ("", "/", TlsMode::Off),
        ]
    );
}

#[test]
fn what_ends_is_a_job() {
    let document = document(
        r#"
services:
  web: {image: w, depends_on: {migrate: {condition: service_completed_successfully}}}
  migrate: {image: m}
  once: {image: o, deploy: {restart_policy: {condition: none}}}
  batch: {image: b, deploy: {mode: replicated-job}}
"#,
    );
    let of = |name: &str| {
        let schedule = &document.services[name].0;
        (schedule.mode, schedule.restart.condition)
    };
    assert_eq!(of("web"), (Mode::Service, RestartCondition::Any));
    assert_eq!(of("migrate"), (Mode::Job, RestartCondition::OnFailure));
    assert_eq!(of("once"), (Mode::Job, RestartCondition::None));
    assert_eq!(of("batch"), (Mode::Job, RestartCondition::OnFailure));
}

#[test]
fn variables_and_env_files_are_resolved_once() {
    let files = Memory::with(&[
        (".env", "TAG=1.2\nPASSWORD='p$w'\nPASSED=through\n"),
        ("a.env", "A=a\nB=a # comment\nC=$TAG\n"),
        ("b.env", "B=b\nD='$LITERAL'\n"),
    ]);
    let compose = r#"
services:
  web:
    image: "web:${TAG:?}"
    command: echo $$HOME ${PASSWORD}
    env_file:
      - a.env
      - {path: b.env, required: true, format: raw}
      - {path: missing.env, required: false}
    environment:
      A: explicit
      PASSED:
      ABSENT:
      PW: ${PASSWORD}
  list:
    image: l
    env_file: a.env
    environment: ["A=explicit", "PASSED", "ABSENT"]
"#;
    let resolved = resolved("deployment: shop\nenvironment: .env\n", compose, &files);
    let (schedule, spec) = &resolved.document.services["web"];
    assert_eq!(schedule.image, "web:1.2");
    assert_eq!(spec.command.as_ref().unwrap(), &["echo", "$HOME", "p$w"]);
    let env = |k: &str| spec.environment[k].as_deref();
    assert_eq!((env("A"), env("B"), env("C")), (Some("explicit"), Some("b"), Some("1.2")));
    assert_eq!((env("D"), env("PW")), (Some("'$LITERAL'"), Some("p$w")));
    assert_eq!((env("PASSED"), env("ABSENT")), (Some("through"), None));
    let list = &resolved.document.services["list"].1.environment;
    assert_eq!(list["A"].as_deref(), Some("explicit"));
    assert_eq!(list["B"].as_deref(), Some("a"));
    assert_eq!((list["PASSED"].as_deref(), &list["ABSENT"]), (Some("through"), &None));
    assert!(!resolved.compose.contains("env_file"));
}

#[test]
fn services_of_a_profile_are_left_out_unless_named() {
    let compose = "
services:
  web: {image: w}
  debug: {image: d, profiles: [debug]}
";
    let out = resolved(NAME, compose, &Memory::default());
    assert_eq!(out.document.services.len(), 1);
    assert!(out.warnings[0].message.contains("left out"));
    let named = "deployment: shop\nservices: [{name: debug}]\n";
    assert_eq!(resolved(named, compose, &Memory::default()).document.services.len(), 2);
}

#[test]
fn health_checks_in_every_form() {
    let check = |text: &str| {
        service(&format!("services: {{web: {{image: w, healthcheck: {text}}}}}"), "web")
            .1
            .healthcheck
            .unwrap()
    };
    assert_eq!(check("{disable: true}"), Healthcheck::Disabled);
    assert_eq!(check("{test: NONE}"), Healthcheck::Disabled);
    assert_eq!(check("{test: [NONE]}"), Healthcheck::Disabled);
    for (text, expected) in [
        ("{test: [CMD, a, b]}", vec!["CMD", "a", "b"]),
        ("{test: [CMD-SHELL, a b]}", vec!["CMD-SHELL", "a b"]),
        ("{test: a || b}", vec!["CMD-SHELL", "a || b"]),
        ("{interval: 5s}", vec![]),
    ] {
        let Healthcheck::Check { test, .. } = check(text) else { panic!("{text}") };
        assert_eq!(test, expected);
    }
}

#[test]
fn a_missing_file_of_variables_is_one_problem() {
    let jaco = "deployment: shop\nenvironment: missing.env\n";
    let compose = "services: {web: {image: 'a:${TAG:?}', command: ['$B'], user: x}}\n";
    let found = crate::support::problems(jaco, compose);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].file.as_str(), found[0].line), ("jaco.yaml", 2));
    let unreadable = crate::support::problems("deployment: [", compose);
    assert_eq!(unreadable.len(), 1, "{unreadable:?}");
}

#[test]
fn a_port_for_the_host_alone_is_left_out() {
    let out = resolved(
        NAME,
        "services: {db: {image: d, ports: ['127.0.0.1:5432:5432', '[::1]:1:1', '5433:5432']}}\n",
        &Memory::default(),
    );
    assert_eq!(out.document.services["db"].0.ports.len(), 1);
    assert_eq!(out.warnings.len(), 2);
}

#[test]
fn the_example_stacks_are_valid() {
    let stacks = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/stacks");
    let mut seen = 0;
    for stack in std::fs::read_dir(stacks).unwrap() {
        let stack = stack.unwrap().path();
        let read = |name: &str| std::fs::read_to_string(stack.join(name)).unwrap();
        let mut files = Memory::default();
        for entry in std::fs::read_dir(&stack).unwrap().map(|e| e.unwrap().path()) {
            let env = entry.extension().is_some_and(|e| e == "env");
            if let (true, Ok(text)) = (env, std::fs::read_to_string(&entry)) {
                let name = entry.file_name().unwrap().to_string_lossy().into_owned();
                files.0.insert(format!("/srv/app/{name}"), text);
            }
        }
        let document = resolved(&read("jaco.yaml"), &read("compose.yml"), &files).document;
        assert!(!document.services.is_empty(), "{stack:?}");
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn nothing_that_may_be_secret_is_printed_for_debugging() {
    let out = resolved(
        NAME,
        "services: {web: {image: a, environment: {K: hunter2}}}\n",
        &Memory::default(),
    );
    assert!(!format!("{out:?}").contains("hunter2"));
    assert!(!format!("{:?}", crate::support::compose("K: hunter2")).contains("hunter2"));
}
