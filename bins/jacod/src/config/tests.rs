use super::*;

fn refused(text: &str) -> String {
    parse("jacod.yaml", text).expect_err(text).to_string()
}

#[test]
fn an_empty_file_means_the_defaults() {
    for text in ["", "# nothing\n", "---\n", "data_dir:\n"] {
        assert_eq!(parse("f", text).unwrap(), Config::default(), "{text:?}");
    }
}

/// "Every key works or does not exist": each one changes what is configured.
#[test]
fn every_key_has_an_effect() {
    let lines = [
        "data_dir: /d",
        "node_name: a",
        "listen_addr: 127.0.0.1:1",
        "cluster_addr: 127.0.0.1:2",
        "advertise_addr: 10.0.0.1",
        "unix_socket: /s",
        "socket_group: g",
        "engine_socket: unix:///e",
        "files_dir: /f",
        "wg_port: 51821",
        "mesh: userspace",
        "dns: {forwarders: [10.0.0.1, '10.0.0.2:5353'], forwarder_timeout: 500ms, listen: [127.0.0.54]}",
        "http_addr: 127.0.0.1:8080",
        "https_addr: 127.0.0.1:8443",
        "acme_enabled: false",
        "acme_ca: https://ca.example/directory",
        "acme_email: ops@example.com",
        "acme_staging_ca: https://dry.example/directory",
        "acme_skip_staging: true",
        "acme_ca_bundle: /ca.pem",
        "acme_challenge: tls-alpn-01",
        "acme_eab: {key_id: k, key_file: /eab}",
        "acme_dns: {server: 10.0.0.53, zones: [example.com], key: {name: k, file: /tsig}, secondaries: [10.0.0.54]}",
        "trusted_proxies: [10.0.0.5, 10.1.0.0/16]",
        "repair: 'off'",
        "ipam_pool: 10.128.0.0/12:26",
        "metrics_addr: 127.0.0.1:9",
        "log_level: debug",
        "log_format: json",
    ];
    let named: Vec<_> = lines.iter().map(|l| l.split(':').next().unwrap()).collect();
    assert_eq!(named, KEYS);
    for line in lines {
        assert_ne!(parse("f", line).unwrap(), Config::default(), "{line}");
    }
    let all = parse("f", &lines.join("\n")).unwrap();
    assert_eq!(all.data_dir, Path::new("/d"));
    assert_eq!(all.node_name, Some("a".parse().unwrap()));
    assert_eq!(all.listen_addr, "127.0.0.1:1".parse().unwrap());
    assert_eq!(all.cluster_addr, "127.0.0.1:2".parse().unwrap());
    assert_eq!(all.advertise_addr, Some("10.0.0.1".parse().unwrap()));
    assert_eq!(all.unix_socket, Path::new("/s"));
    assert_eq!((all.socket_group.as_str(), all.engine_socket.as_str()), ("g", "unix:///e"));
    assert_eq!(all.files_dir, Path::new("/f"));
    assert_eq!((all.wg_port, all.mesh), (51821, MeshMode::Userspace));
    assert_eq!(all.forwarders, ["10.0.0.1:53".parse().unwrap(), "10.0.0.2:5353".parse().unwrap()]);
    assert_eq!(all.forwarder_timeout, Duration::from_millis(500));
    assert_eq!(all.http_addr, Some("127.0.0.1:8080".parse().unwrap()));
    assert_eq!(parse("f", "http_addr: ''").unwrap().http_addr, None, "off");
    assert_eq!(all.https_addr, Some("127.0.0.1:8443".parse().unwrap()));
    assert_eq!(parse("f", "https_addr: ''").unwrap().https_addr, None, "off");
    let acme = &all.acme;
    assert_eq!((acme.enabled, acme.skip_staging), (false, true));
    assert_eq!(acme.ca, "https://ca.example/directory");
    assert_eq!(acme.staging_ca.as_deref(), Some("https://dry.example/directory"));
    assert_eq!(acme.email.as_deref(), Some("ops@example.com"));
    assert_eq!(acme.ca_bundle.as_deref(), Some(Path::new("/ca.pem")));
    assert_eq!(acme.challenge, acme::Challenge::TlsAlpn01);
    let eab = acme.eab.as_ref().unwrap();
    assert_eq!((eab.key_id.as_str(), eab.key_file.as_path()), ("k", Path::new("/eab")));
    let Some(acme::Dns::Update { server, zones, key, secondaries, .. }) = &acme.dns else {
        panic!("{acme:?}")
    };
    assert_eq!(
        (server.to_string(), zones.as_slice()),
        ("10.0.0.53:53".into(), ["example.com".into()].as_slice())
    );
    assert_eq!(key.as_ref().unwrap().algorithm, "hmac-sha256");
    assert_eq!(secondaries.len(), 1);
    let exec = parse("f", "acme_dns: {exec: /bin/dns}\nacme_challenge: dns-01").unwrap().acme.dns;
    assert!(
        matches!(exec, Some(acme::Dns::Exec { program, .. }) if program == Path::new("/bin/dns"))
    );
    let proxies: Vec<_> = all.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.5/32", "10.1.0.0/16"]);
    assert_eq!(all.repair, Repair::Off);
    assert_eq!(all.dns_listen, ["127.0.0.54:53".parse().unwrap()]);
    assert_eq!(all.address_pools.unwrap().to_string(), "10.128.0.0/12:26");
    assert_eq!(all.metrics_addr, Some("127.0.0.1:9".parse().unwrap()));
    assert_eq!((all.log_level, all.log_format), (LogLevel::Debug, LogFormat::Json));
}

#[test]
fn every_problem_names_its_place() {
    for (text, expected) in [
        ("data_dri: /d\n", "jacod.yaml:1:1: there is no key `data_dri`; the keys are data_dir, "),
        ("# c\ndata_dir: d\n", "jacod.yaml:2:11: `data_dir` must be an absolute path"),
        ("node_name: Web_1\n", "jacod.yaml:1:12: `node_name` may hold only lowercase"),
        ("node_name: 42\n", "jacod.yaml:1:12: `node_name` must not be a number"),
        ("listen_addr: 7000\n", "jacod.yaml:1:14: `listen_addr` must be an IP address and a port"),
        ("advertise_addr: 10.0.0.1:7000\n", "jacod.yaml:1:17: `advertise_addr` must be an IP"),
        ("advertise_addr: 0.0.0.0\n", "jacod.yaml:1:17: `advertise_addr` must be an address that"),
        ("socket_group: ''\n", "jacod.yaml:1:15: `socket_group` must not be empty"),
        ("engine_socket: /run/d.sock\n", "jacod.yaml:1:16: `engine_socket` must be unix://"),
        ("log_level: loud\n", "jacod.yaml:1:12: unknown variant `loud`"),
        ("log_level: info\nlog_level: warn\n", "jacod.yaml:2:1: `log_level` is set twice"),
        ("data_dir: [/d]\n", "jacod.yaml:1:11: expected string scalar"),
        ("- data_dir\n", "jacod.yaml:1:1: expected mapping start"),
        ("data_dir: '/d\n", "jacod.yaml:1:11: "),
        ("cluster_addr: 0.0.0.0:7000\n", "jacod.yaml:1:15: `cluster_addr` needs another port"),
        ("wg_port: 0\n", "jacod.yaml:1:10: `wg_port` must be a port from 1"),
        ("wg_port: 70000\n", "jacod.yaml:1:10: "),
        ("mesh: on\n", "jacod.yaml:1:7: unknown variant `on`"),
        ("http_addr: 80\n", "jacod.yaml:1:12: `http_addr` must be an IP address and a port"),
        ("https_addr: x\n", "jacod.yaml:1:13: `https_addr` must be an IP address and a port"),
        ("acme_ca: http://ca.example/\n", "jacod.yaml:1:10: `acme_ca` must be the https URL"),
        ("acme_email: ops\n", "jacod.yaml:1:13: `acme_email` must be an e-mail address"),
        ("acme_ca_bundle: ca.pem\n", "jacod.yaml:1:17: `acme_ca_bundle` must be an absolute path"),
        ("acme_challenge: dns-01\n", "jacod.yaml:1:17: `acme_challenge` dns-01 needs `acme_dns`"),
        ("acme_challenge: http\n", "jacod.yaml:1:17: unknown variant `http`"),
        ("acme_dns: {}\n", "jacod.yaml:1:11: `acme_dns` needs either `exec`"),
        ("acme_dns: {server: 10.0.0.1}\n", "jacod.yaml:1:11: `acme_dns` needs `zones`"),
        ("acme_dns: {exec: dns.sh}\n", "jacod.yaml:1:18: `acme_dns` must be an absolute path"),
        ("acme_eab: {key_id: k}\n", "jacod.yaml:1:12: missing field `key_file`"),
        ("trusted_proxies: [10.0.0.0/33]\n", "jacod.yaml:1:19: `trusted_proxies` must be an IP"),
        ("dns: {forwarders: [x]}\n", "jacod.yaml:1:20: `dns.forwarders` must be an IP"),
        ("dns: {listen: 1}\n", "jacod.yaml:1:15: expected sequence start"),
        ("dns: {listen: [10.0.0.1]}\n", "jacod.yaml:1:16: `dns.listen` must be a loopback address"),
        ("dns: {forwarder_timeout: 2}\n", "jacod.yaml:1:26: `dns.forwarder_timeout` must be from"),
        ("dns: {forwarder_timeout: 1h}\n", "jacod.yaml:1:26: `dns.forwarder_timeout` must be from"),
        ("ipam_pool: 10.0.0.0\n", "jacod.yaml:1:12: `ipam_pool` "),
        (
            "metrics_addr: 9100\n",
            "jacod.yaml:1:15: `metrics_addr` must be an IP address and a port",
        ),
        ("listen_addr: 0.0.0.0:7001\n", "jacod.yaml:1:14: `listen_addr` needs another port"),
    ] {
        let message = refused(text);
        assert!(message.starts_with(expected), "{text:?} gave {message:?}, expected {expected:?}");
    }
}

#[test]
fn keys_of_features_to_come_are_refused_as_such() {
    let error = parse("jacod.yaml", "data_dir: /d\ndashboard_addr:\n  - 10.0.0.1\n").unwrap_err();
    let at = |place: &Place| place.line == 3;
    assert!(matches!(&error, ConfigError::NotBuilt { key: "dashboard_addr", place } if at(place)));
    for key in ["dashboard_addr", "node_status_interval", "otlp_endpoint"] {
        let error = parse("f", &format!("{key}: x\n")).unwrap_err();
        assert!(matches!(error, ConfigError::NotBuilt { key: k, .. } if k == key), "{error}");
    }
}

#[test]
fn a_missing_file_is_an_error_only_when_it_was_named() {
    let path = Path::new("/nonexistent/jacod.yaml");
    assert_eq!(load(path, false).unwrap(), Config::default());
    assert!(matches!(load(path, true), Err(ConfigError::Read { .. })));
}

#[test]
fn binary_files_are_refused_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jacod.yaml");
    fs::write(&path, b"data_dir: /d\nno\xffpe").unwrap();
    let error = load(&path, true).unwrap_err();
    assert!(
        matches!(&error, ConfigError::Parse { place, .. } if (place.line, place.column) == (2, 3))
    );
}

/// The documentation lists exactly the keys there are, with their defaults.
#[test]
fn the_documentation_names_every_key() {
    let page = include_str!("../../../../docs/operations/jacod-yaml.md");
    for key in KEYS {
        assert!(page.contains(&format!("| `{key}` |")), "{key} is not documented");
    }
    let documented = page.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next());
    let keys: Vec<_> = documented.take(KEYS.len()).collect();
    assert_eq!(keys, KEYS);
}
