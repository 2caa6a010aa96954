//! The tables of keys cover the whole Compose Specification, and the documentation says what they say.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use jaco_api::{manifest::supported, model::Settings};

/// The attributes of the Compose Specification, from its JSON schema.
const SPECIFICATION: &[(&str, &str)] = &[
    ("a compose file", "configs include models name networks secrets services version volumes"),
    (
        "a service",
        "annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends external_links extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging mac_address mem_limit mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles provider pull_policy pull_refresh_after read_only restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes volumes_from working_dir",
    ),
    (
        "`deploy`",
        "endpoint_mode labels mode placement replicas resources restart_policy rollback_config update_config",
    ),
    ("`update_config`", "delay failure_action max_failure_ratio monitor order parallelism"),
    ("`restart_policy`", "condition delay max_attempts window"),
    ("`placement`", "constraints max_replicas_per_node preferences"),
    ("`limits`", "cpus memory pids"),
    ("`reservations`", "cpus devices generic_resources memory"),
    ("a port", "app_protocol host_ip mode name protocol published target"),
    ("a volume of a service", "bind consistency image read_only source target tmpfs type volume"),
    ("a bind mount", "create_host_path propagation recursive selinux"),
    ("the options of a volume", "labels nocopy subpath"),
    ("the options of a tmpfs", "mode size"),
    ("a dependency", "condition required restart"),
    (
        "a network of a service",
        "aliases driver_opts gw_priority interface_name ipv4_address ipv6_address link_local_ips mac_address priority",
    ),
    ("the logging of a service", "driver options"),
    ("a health check", "disable interval retries start_interval start_period test timeout"),
    (
        "a network",
        "attachable driver driver_opts enable_ipv4 enable_ipv6 external internal ipam labels name",
    ),
    ("a volume", "driver driver_opts external labels name"),
];

#[test]
fn no_attribute_of_the_specification_is_unknown() {
    let known: BTreeSet<(&str, &str)> = supported().iter().map(|s| (s.of, s.name)).collect();
    for (of, names) in SPECIFICATION {
        for name in names.split(' ') {
            assert!(known.contains(&(*of, name)), "{name} of {of} is in no table");
        }
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
            let _ = write!(text, "\n## In {of}\n\n| key | |\n|---|---|\n");
        }
        let support = key.support.replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {support} |", key.name);
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
