//! What a container shares with its host, and its limits: what is made of it and what is refused.

use std::fmt::Write as _;

use jaco_api::{
    error::ErrorCode,
    manifest::{privileges, render},
    model::{
        BindAllowlist, CgroupMode, ContainerSpec, DependencyCondition, DeviceRequest, EndpointMode,
        FailureAction, Healthcheck, HostNamespace, IpcMode, MountSource, Recursion, Relabel,
        RevisionOrigin, Span, UpdateOrder,
    },
};

use crate::support::{NAME, document, problems, service};

fn text(attributes: &str) -> String {
    format!("services:\n  web:\n    image: nginx\n    {attributes}\nvolumes: {{data: }}\n")
}

/// A container with these attributes, and the label that allows everything.
fn of(attributes: &str) -> ContainerSpec {
    let label = "labels: {jaco.io/allow-privileged: 'true'}";
    service(&text(&format!("{label}\n    {attributes}")), "web").1
}

#[test]
fn what_holds_its_default_is_no_part_of_the_document() {
    let json = serde_json::to_value(service(&text("init:"), "web").1).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["image", "networks", "references"]);
    assert_eq!(json["networks"].to_string(), r#"[{"network":"default"}]"#);
}

#[test]
fn namespaces_of_the_host() {
    let spec =
        of("pid: host\n    uts: host\n    userns_mode: host\n    ipc: host\n    cgroup: host");
    let host = Some(HostNamespace::Host);
    assert_eq!((spec.pid, spec.uts, spec.userns), (host, host, host));
    assert_eq!((spec.ipc, spec.cgroup), (Some(IpcMode::Host), Some(CgroupMode::Host)));
    for (word, mode) in
        [("shareable", IpcMode::Shareable), ("private", IpcMode::Private), ("none", IpcMode::None)]
    {
        assert_eq!(of(&format!("ipc: {word}")).ipc, Some(mode));
    }
    assert_eq!(of("cgroup: private").cgroup, Some(CgroupMode::Private));
    let spec = of("runtime: runsc\n    cgroup_parent: /batch\n    storage_opt: {size: 1G}");
    assert_eq!(spec.runtime.as_deref(), Some("runsc"));
    assert_eq!(spec.cgroup_parent.as_deref(), Some("/batch"));
    assert_eq!(spec.storage_opt["size"], "1G");
}

#[test]
fn devices_in_every_form() {
    let spec = of(
        "devices: ['/dev/b:/dev/c:r', /dev/a, '/dev/d:rw', {source: /dev/e, target: /dev/f, permissions: m}, vendor.com/net=nic0, {source: vendor.com/net=nic1}]\n    device_cgroup_rules: ['c 189:* rmw', 'a *:* rwm']",
    );
    let devices: Vec<_> = spec
        .devices
        .iter()
        .map(|d| (d.source.as_str(), d.target.as_str(), d.permissions.as_str()))
        .collect();
    assert_eq!(
        devices,
        [
            ("/dev/a", "/dev/a", "rwm"),
            ("/dev/b", "/dev/c", "r"),
            ("/dev/d", "/dev/d", "rw"),
            ("/dev/e", "/dev/f", "m"),
        ]
    );
    assert_eq!(spec.device_requests[0].driver, DeviceRequest::CDI);
    assert_eq!(spec.device_requests[0].device_ids, ["vendor.com/net=nic0", "vendor.com/net=nic1"]);
    assert_eq!(spec.device_cgroup_rules, ["c 189:* rmw", "a *:* rwm"]);
}

#[test]
fn gpus_in_every_form_equal_no_access_to_the_host() {
    let gpu = || vec!["gpu".to_owned()];
    for (attributes, request) in [
        ("gpus: all", DeviceRequest { count: -1, capabilities: gpu(), ..Default::default() }),
        (
            "gpus: [{driver: nvidia, count: 2, options: [virtualization=false]}]",
            DeviceRequest {
                driver: "nvidia".into(),
                count: 2,
                capabilities: gpu(),
                options: [("virtualization".to_owned(), "false".to_owned())].into(),
                ..Default::default()
            },
        ),
        (
            "deploy: {resources: {reservations: {devices: [{capabilities: [utility, gpu], device_ids: ['0', '3']}]}}}",
            DeviceRequest {
                device_ids: vec!["0".into(), "3".into()],
                capabilities: vec!["gpu".into(), "utility".into()],
                ..Default::default()
            },
        ),
        (
            "deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: all}]}}}",
            DeviceRequest { count: -1, capabilities: gpu(), ..Default::default() },
        ),
    ] {
        let (_, spec) = service(&text(attributes), "web");
        assert_eq!(spec.device_requests, [request], "{attributes}");
        assert_eq!(privileges(&spec, &BindAllowlist::default()), [""; 0], "{attributes}");
    }
}

#[test]
fn limits_of_the_kernel() {
    let spec = of(r#"cpu_period: 100ms
    cpu_quota: 50000
    cpu_rt_period: 1s
    cpu_rt_runtime: 950000
    mem_swappiness: 0
    oom_kill_disable: true
    mem_limit: 64m
    blkio_config:
      weight: 300
      weight_device: [{path: /dev/sda, weight: 400}]
      device_read_bps: [{path: /dev/sdb, rate: '12mb'}]
      device_write_bps: [{path: /dev/sdb, rate: 1024k}]
      device_read_iops: [{path: /dev/sdb, rate: 120}]
      device_write_iops: [{path: /dev/sdb, rate: 30}]"#);
    let r = &spec.resources;
    assert_eq!((r.cpu_period_us, r.cpu_quota_us), (100_000, 50_000));
    assert_eq!((r.cpu_rt_period_us, r.cpu_rt_runtime_us), (1_000_000, 950_000));
    assert_eq!((r.memory_swappiness, r.oom_kill_disable), (Some(0), true));
    let io = &r.block_io;
    assert_eq!((io.weight, io.weight_device["/dev/sda"]), (300, 400));
    assert_eq!((io.read_bps["/dev/sdb"], io.write_bps["/dev/sdb"]), (12 << 20, 1 << 20));
    assert_eq!((io.read_iops["/dev/sdb"], io.write_iops["/dev/sdb"]), (120, 30));
    assert_eq!(of("cpu_quota: -1").resources.cpu_quota_us, -1);
}

#[test]
fn options_of_mounts() {
    let spec = of(r#"volumes:
      - {type: volume, source: data, target: /a, volume: {subpath: x/y}}
      - {type: volume, target: /b, volume: {labels: {team: blue}}}
      - {type: bind, source: /srv, target: /c, read_only: true, bind: {recursive: writable}}
      - {type: bind, source: /srv, target: /d, bind: {selinux: z, recursive: enabled}}
      - "/srv:/e:ro,Z"
      - {type: image, source: 'docs:1', target: /f, image: {subpath: html}}
    tmpfs: /g:uid=1000,size=1m,exec"#);
    let at = |target: &str| spec.mounts.iter().find(|m| m.target == target).unwrap();
    assert!(matches!(&at("/a").source, MountSource::Volume { subpath: Some(s), .. } if s == "x/y"));
    assert!(
        matches!(&at("/b").source, MountSource::Volume { labels, .. } if labels["team"] == "blue")
    );
    let bind = |target| match &at(target).source {
        MountSource::Bind { selinux, recursive, .. } => (*selinux, *recursive),
        other => panic!("{other:?}"),
    };
    assert_eq!(bind("/c"), (None, Some(Recursion::Writable)));
    assert_eq!(bind("/d"), (Some(Relabel::Shared), None));
    assert_eq!(bind("/e"), (Some(Relabel::Private), None));
    let image = MountSource::Image { name: "docs:1".into(), subpath: Some("html".into()) };
    assert_eq!(at("/f").source, image);
    assert!(at("/f").read_only, "nothing can be written to an image");
    let options = vec!["exec".to_owned(), "uid=1000".to_owned()];
    assert_eq!(at("/g").source, MountSource::Tmpfs { size_bytes: 1 << 20, mode: 0, options });
}

#[test]
fn options_of_attachments_and_checks() {
    let spec = of(
        "networks: {default: {gw_priority: 5, interface_name: front0, driver_opts: {a: b}}}\n    healthcheck: {test: x, start_interval: 500ms}",
    );
    let attachment = &spec.networks[0];
    assert_eq!((attachment.gw_priority, attachment.interface_name.as_deref()), (5, Some("front0")));
    assert_eq!(attachment.driver_opts["a"], "b");
    let Some(Healthcheck::Check { start_interval, .. }) = spec.healthcheck else { panic!() };
    assert_eq!(start_interval, Some(Span(500)));
}

#[test]
fn the_endpoint_mode_is_no_part_of_the_container() {
    let of = |deploy: &str| service(&text(deploy), "web");
    let (schedule, spec) = of("");
    assert_eq!(schedule.endpoint, EndpointMode::Vip, "as Compose has it");
    assert_eq!(schedule.virtual_networks().map(|n| n.as_str()).collect::<Vec<_>>(), ["default"]);
    assert_eq!(of("deploy: {endpoint_mode: vip}").0, schedule);
    let (other, same) = of("deploy: {endpoint_mode: dnsrr}");
    assert_eq!(other.endpoint, EndpointMode::Dnsrr);
    assert_eq!(other.virtual_networks().count(), 0);
    assert_eq!(spec.digest(), same.digest(), "nothing is restarted");
}

#[test]
fn what_ends_or_has_no_network_has_no_address_whatever_is_written() {
    for (attributes, why) in [
        ("deploy: {mode: replicated-job}", "it runs to its end"),
        ("deploy: {mode: global-job}", "it runs to its end"),
        ("deploy: {restart_policy: {condition: on-failure}}", "it runs to its end"),
        ("network_mode: none", "it has no network of its own"),
        ("network_mode: service:db", "it has no network of its own"),
    ] {
        let with = |mode: &str| {
            let attributes = match attributes.strip_prefix("deploy: {") {
                Some(rest) => format!("deploy: {{{mode}{rest}"),
                None => format!("{attributes}\n    deploy: {{{mode}}}"),
            };
            format!("services:\n  db: {{image: a}}\n  web:\n    image: b\n    {attributes}\n")
        };
        let (plain, _) = service(&with(""), "web");
        assert_eq!(plain.endpoint, EndpointMode::Dnsrr, "{attributes}");
        let written = with("endpoint_mode: vip, ");
        let (schedule, _) = service(&written, "web");
        assert_eq!((schedule.endpoint, schedule.virtual_networks().count()), (plain.endpoint, 0));
        let said = render(&problems(NAME, &written), false);
        let message = format!("warning: `web` has no virtual address: {why}");
        assert!(said.contains(&message), "{attributes}: {said}");
        let silent = render(&problems(NAME, &with("endpoint_mode: dnsrr, ")), false);
        assert!(!silent.contains("virtual address"), "{silent}");
    }
}

#[test]
fn a_service_has_no_address_where_only_what_is_beside_it_is() {
    let compose = "services:\n  web: {image: a, networks: [front]}\n  \
        logs: {image: b, pid: 'service:web', networks: [back, front]}\n\
        networks: {front: , back: }\n";
    let all = document(compose).services;
    let on = |name: &str| {
        let networks = all[name].0.virtual_networks().map(ToString::to_string);
        networks.collect::<Vec<_>>().join(" ")
    };
    assert_eq!((on("web"), on("logs")), ("front".to_owned(), "back front".to_owned()));
    assert_eq!(all["web"].0.networks.len(), 2, "its nodes need both");
}

#[test]
fn the_way_back_can_be_said_apart() {
    let (schedule, _) = service(
        &text(
            "deploy: {labels: {team: blue}, update_config: {parallelism: 1, order: stop-first}, rollback_config: {parallelism: 0, failure_action: continue, max_failure_ratio: 0.5}}",
        ),
        "web",
    );
    assert_eq!(schedule.service_labels["team"], "blue");
    let back = schedule.update_for(RevisionOrigin::AutoRollback(1));
    assert_eq!((back.parallelism, back.max_failure_permille), (0, 500));
    assert_eq!(
        (back.order, back.failure_action),
        (UpdateOrder::StopFirst, FailureAction::Continue)
    );
    assert_eq!(schedule.update_for(RevisionOrigin::Apply).parallelism, 1);
    let (same, _) = service(&text("deploy: {update_config: {parallelism: 3}}"), "web");
    assert_eq!(same.update_for(RevisionOrigin::Rollback(1)).parallelism, 3);
}

#[test]
fn dependencies_in_every_form() {
    let text = "services:\n  web:\n    image: a\n    depends_on:\n      db: {condition: service_healthy, required: true}\n      job: {condition: service_completed_successfully}\n      cache: {restart: true}\n      none: {required: false}\n  db: {image: d}\n  job: {image: j}\n  cache: {image: c}\n";
    let depends_on = &document(text).services["web"].0.depends_on;
    let found: Vec<_> = depends_on.iter().map(|(name, how)| (name.as_str(), *how)).collect();
    use DependencyCondition::{Completed, Healthy, Started};
    assert_eq!(found, [("cache", Started), ("db", Healthy), ("job", Completed)]);
    let found = problems(NAME, text);
    assert_eq!(found.len(), 1, "{}", render(&found, false));
    assert!(found[0].message.contains("`depends_on.restart` has no effect"), "{found:?}");
}

#[test]
fn the_number_of_replicas_is_that_of_the_nearest_word() {
    for (attributes, replicas) in
        [("init:", 1), ("scale: 2", 2), ("scale: 2\n    deploy: {replicas: 3}", 3)]
    {
        assert_eq!(service(&text(attributes), "web").0.replicas, replicas, "{attributes}");
    }
}

/// Every attribute that equals access to the host, and the reason that is given.
#[test]
fn access_to_the_host_needs_the_label_that_allows_it() {
    for (attribute, reason) in [
        ("privileged: true", "privileged"),
        ("security_opt: ['seccomp=unconfined']", "security_opt seccomp=unconfined"),
        ("cap_add: [SYS_ADMIN]", "cap_add SYS_ADMIN"),
        ("pid: host", "pid host"),
        ("ipc: host", "ipc host"),
        ("uts: host", "uts host"),
        ("userns_mode: host", "userns_mode host"),
        ("cgroup: host", "cgroup host"),
        ("cgroup_parent: /system.slice", "cgroup_parent /system.slice"),
        ("devices: [/dev/sda]", "device /dev/sda"),
        ("devices: [vendor.com/net=nic0]", "device vendor.com/net=nic0"),
        ("gpus: [{driver: cdi, device_ids: [v.com/gpu=0]}]", "device v.com/gpu=0"),
        ("device_cgroup_rules: ['b 8:* rwm']", "device_cgroup_rules b 8:* rwm"),
        ("runtime: runc", "runtime runc"),
        ("sysctls: {vm.swappiness: 1, net.core.somaxconn: 9}", "sysctls vm.swappiness"),
        ("sysctls: [kernel/panic=1]", "sysctls kernel/panic"),
        ("volumes: ['/srv:/srv']", "bind mount of /srv"),
    ] {
        assert_eq!(privileges(&of(attribute), &BindAllowlist::default()), [reason], "{attribute}");
        let found = problems(NAME, &text(attribute));
        let [problem] = &found[..] else { panic!("{attribute}: {}", render(&found, false)) };
        assert_eq!(problem.code, ErrorCode::PrivilegeDenied, "{attribute}");
        assert!(problem.message.ends_with(reason), "{}", problem.message);
        let at_the_attribute = problem.line == 4;
        // Rights that come from a request for devices have no place of their own.
        assert!(at_the_attribute || attribute.starts_with("gpus"), "{attribute}: {problem:?}");
    }
}

#[test]
fn what_stays_in_the_container_needs_no_label() {
    for attribute in [
        "ipc: shareable",
        "cgroup: private",
        "cap_add: [CHOWN]",
        "sysctls: {net.core.somaxconn: 9, fs.mqueue.msg_max: 1, kernel.shmmax: 1, kernel.sem: '1 2'}",
        "oom_score_adj: -900",
        "blkio_config: {weight: 10}",
        "cpu_rt_runtime: 1ms",
        "storage_opt: {size: 1G}",
        "gpus: all",
        "devices: []",
        "volumes: [{type: image, source: docs, target: /docs}]",
    ] {
        let (_, spec) = service(&text(attribute), "web");
        assert_eq!(privileges(&spec, &BindAllowlist::default()), [""; 0], "{attribute}");
    }
}

#[test]
fn wrong_values_are_refused() {
    let mut out = String::new();
    for (title, attributes) in [
        (
            "namespaces",
            "pid: container:x\n    ipc: service:db\n    uts: hots\n    userns_mode: keep-id\n    cgroup: hsot",
        ),
        ("names", "cgroup_parent: a/../b\n    runtime: /usr/bin/runc"),
        (
            "hostname of the host",
            "uts: host\n    hostname: web\n    labels: {jaco.io/allow-privileged: 'true'}",
        ),
        (
            "devices",
            "devices: [dev/a, '/dev/a:/dev/b:x', 'a:b:c:d', {target: /dev/x}, {source: /dev/x, permision: r}]\n    device_cgroup_rules: ['c 1:2', 'd *:* r']",
        ),
        (
            "gpus",
            "gpus: 2\n    deploy: {resources: {reservations: {devices: [{count: 1}, {capabilities: [gpu], count: 1, device_ids: [a]}, {capabilities: [gpu], count: many}], generic_resources: []}}}",
        ),
        (
            "limits",
            "cpu_period: 10\n    cpu_quota: fast\n    mem_swappiness: 101\n    cpu_rt_period: 2s\n    oom_kill_disable: perhaps",
        ),
        (
            "limits that exclude each other",
            "cpus: 1\n    cpu_quota: 50ms\n    cpu_rt_period: 1ms\n    cpu_rt_runtime: 2ms",
        ),
        ("no limit of memory", "oom_kill_disable: true"),
        (
            "disks",
            "blkio_config: {weight: 5, wieght: 1, device_read_bps: [{path: sda, rate: 1}, {rate: 1}, {path: /dev/sda}, {path: /dev/sdb, rate: fast}]}",
        ),
        (
            "mounts",
            "volumes: [{type: volume, target: /a, volume: {subpath: x}}, {type: volume, source: data, target: /b, volume: {subpath: ../x, labels: {a: b}}}, {type: image, target: /c}, {type: image, source: 'a b', target: /d}, {type: cluster, target: /e}]",
        ),
        (
            "bind mounts",
            "volumes: [{type: bind, source: /a, target: /a, bind: {selinux: x}}, {type: bind, source: /b, target: /b, bind: {selinux: z, recursive: disabled}}, {type: bind, source: /c, target: /c, bind: {selinux: Z, create_host_path: false}}, {type: bind, source: /d, target: /d, bind: {recursive: readonly}}]\n    labels: {jaco.io/allow-privileged: 'true'}",
        ),
        ("tmpfs", "tmpfs: [/a:uid, '/b:noexec=1', '/c:whatever=1']"),
        (
            "attachments",
            "networks: {default: {interface_name: a-name-that-is-too-long, gw_priority: high, mac_address: '02:00:00:00:00:01'}}",
        ),
        (
            "the way back",
            "deploy: {rollback_config: {order: stop-first, failure_action: rollback, parallel: 1}}",
        ),
        (
            "never",
            "mac_address: x\n    provider: {type: x}\n    models: [x]\n    use_api_socket: true\n    credential_spec: {file: x}",
        ),
    ] {
        let found = problems(NAME, &text(attributes));
        assert!(!found.is_empty(), "nothing is said about: {title}");
        let _ = writeln!(out, "=== {title} ===\n{}", render(&found, false));
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(out) });
}

#[test]
fn below_what_has_no_effect_nothing_is_checked() {
    let text = "services:\n  web:\n    image: a\n    build: {contxt: ., args: [a]}\n    develop: {wacth: []}\n";
    assert_eq!(document(text).services.len(), 1);
}

#[test]
fn networks_are_the_clusters() {
    let found = problems(
        NAME,
        "services: {web: {image: a}}\nnetworks: {a: {driver: macvlan}, b: {enable_ipv6: true}, c: {enable_ipv4: false}, d: {ipam: {config: []}}, e: {external: {name: x}}, f: {attachable: true}}\n",
    );
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(render(&found, false)) });
}
