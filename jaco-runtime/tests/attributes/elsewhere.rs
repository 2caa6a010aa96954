//! Accepted attributes that no container of the engine shows, with the test that shows each.

/// Attributes that act elsewhere.
pub(crate) struct Elsewhere {
    /// Their paths in a compose file.
    pub(crate) of: &'static [&'static str],
    /// File and name of the test.
    pub(crate) test: (&'static str, &'static str),
}

const fn by(of: &'static [&'static str], file: &'static str, test: &'static str) -> Elsewhere {
    Elsewhere { of, test: (file, test) }
}

const ACCEPTED: &str = "jaco-api/tests/manifest/accepted.rs";
const ATTRIBUTES: &str = "jaco-api/tests/manifest/attributes.rs";
const FOLDING: &str = "jaco-api/tests/manifest/folding.rs";
const FILES: &str = "jaco-api/tests/manifest/files.rs";
const PROXIED: &str = "jaco-api/tests/manifest/proxy_protocol.rs";
const PLACEMENT: &str = "jaco-engine/src/scheduler/tests/placement.rs";
const ROLLOUTS: &str = "jaco-engine/src/scheduler/tests/rollouts.rs";

/// All of them.
pub(crate) const ALL: &[Elsewhere] = &[
    // The network between hosts.
    by(
        &["services.*.deploy.endpoint_mode"],
        ATTRIBUTES,
        "the_endpoint_mode_is_no_part_of_the_container",
    ),
    // The client and the manifest.
    by(
        &["services.*.env_file.path", "services.*.env_file.required", "services.*.env_file.format"],
        ACCEPTED,
        "variables_and_env_files_are_resolved_once",
    ),
    by(
        &["services.*.extends.service", "services.*.extends.file"],
        FOLDING,
        "what_is_extended_may_be_in_another_file_and_extend_others",
    ),
    by(&["services.*.label_file"], FOLDING, "label_files_lie_below_labels"),
    by(
        &["include.path", "include.project_directory"],
        FOLDING,
        "an_include_may_be_several_files_over_each_other_with_a_directory_of_their_own",
    ),
    by(
        &["include.env_file"],
        FOLDING,
        "variables_of_an_included_file_are_those_of_its_env_files_and_the_project_s_win",
    ),
    // Files in memory: what a container finds is also in the suite that every engine passes.
    by(
        &[
            "secrets.*.file",
            "secrets.*.environment",
            "secrets.*.external",
            "configs.*.content",
            "configs.*.external",
            "configs.*.name",
            "services.*.secrets.source",
            "services.*.secrets.target",
            "services.*.secrets.uid",
            "services.*.secrets.gid",
            "services.*.secrets.mode",
            "services.*.configs.source",
            "services.*.configs.target",
            "services.*.configs.mode",
        ],
        FILES,
        "contents_come_from_files_variables_the_document_and_the_cluster",
    ),
    by(
        &[
            "secrets.*.content",
            "secrets.*.name",
            "secrets.*.external.name",
            "configs.*.file",
            "configs.*.environment",
            "configs.*.external.name",
            "services.*.configs.uid",
            "services.*.configs.gid",
        ],
        FILES,
        "secrets_and_configs_are_read_alike",
    ),
    by(
        &["secrets.*.content.base64", "configs.*.content.base64"],
        FILES,
        "bytes_that_are_no_text_arrive_as_they_are",
    ),
    by(&["services.*.profiles"], ACCEPTED, "services_of_a_profile_are_left_out_unless_named"),
    by(&["services.*.scale"], ATTRIBUTES, "the_number_of_replicas_is_that_of_the_nearest_word"),
    by(
        &["networks.*.external", "networks.*.enable_ipv4", "networks.*.enable_ipv6"],
        ATTRIBUTES,
        "networks_are_the_clusters",
    ),
    by(
        &["volumes.*.external", "volumes.*.external.name"],
        ACCEPTED,
        "volumes_in_every_form_make_a_service_stateful",
    ),
    // The agent of the node.
    by(
        &["services.*.pull_policy"],
        "jaco-runtime/tests/agent.rs",
        "a_missing_image_that_must_not_be_fetched_is_given_up_at_once",
    ),
    by(
        &["services.*.post_start.privileged", "services.*.pre_stop.privileged"],
        "jaco-runtime/tests/hooks_docker.rs",
        "a_privileged_hook_has_the_rights_of_the_host_and_no_other",
    ),
    by(
        &["services.*.pull_refresh_after"],
        "jaco-runtime/tests/hooks_docker.rs",
        "an_image_is_fetched_again_when_the_engine_has_had_it_for_too_long",
    ),
    by(
        &[
            "services.*.post_start.command",
            "services.*.post_start.user",
            "services.*.post_start.working_dir",
            "services.*.post_start.environment",
        ],
        "jaco-runtime/tests/hooks_docker.rs",
        "hooks_of_a_start_act_in_the_container_as_the_file_says",
    ),
    by(
        &[
            "services.*.pre_stop.command",
            "services.*.pre_stop.user",
            "services.*.pre_stop.working_dir",
            "services.*.pre_stop.environment",
        ],
        "jaco-runtime/tests/hooks_docker.rs",
        "hooks_of_a_stop_run_before_it_and_within_its_grace",
    ),
    by(
        &["services.*.deploy.restart_policy.max_attempts"],
        "jaco-runtime/tests/agent.rs",
        "three_crashes_in_a_row_are_the_end_with_exit_code_and_last_lines",
    ),
    by(
        &["services.*.deploy.restart_policy.condition"],
        "jaco-runtime/tests/agent.rs",
        "jobs_complete_and_are_not_run_again",
    ),
    by(
        &["services.*.deploy.restart_policy.delay"],
        "jaco-runtime/src/reconcile/step/tests.rs",
        "the_first_pause_before_a_restart_is_the_one_of_the_policy",
    ),
    // Names and ports.
    by(&["services.*.links"], ACCEPTED, "links_name_their_target_on_common_networks"),
    by(
        &[
            "services.*.ports.target",
            "services.*.ports.published",
            "services.*.ports.protocol",
            "services.*.ports.host_ip",
            "services.*.ports.mode",
        ],
        ACCEPTED,
        "ports_in_every_form",
    ),
    by(&["services.*.ports.x-jaco-proxy-protocol"], PROXIED, "a_port_asks_for_a_header"),
    // The scheduler.
    by(
        &["services.*.depends_on.*.required", "services.*.depends_on.*.restart"],
        ATTRIBUTES,
        "dependencies_in_every_form",
    ),
    by(
        &["services.*.depends_on.*.condition"],
        "jaco-engine/src/assignment/tests.rs",
        "a_dependency_is_waited_for_across_the_cluster_until_the_first_start",
    ),
    by(
        &["services.*.deploy.mode", "services.*.deploy.replicas"],
        PLACEMENT,
        "global_follows_nodes_and_never_renumbers",
    ),
    by(
        &["services.*.deploy.labels", "services.*.deploy.rollback_config"],
        ATTRIBUTES,
        "the_way_back_can_be_said_apart",
    ),
    by(
        &["services.*.deploy.resources.reservations.cpus"],
        PLACEMENT,
        "requests_that_fit_nowhere_say_so",
    ),
    by(
        &["services.*.deploy.update_config.delay", "services.*.deploy.update_config.monitor"],
        ROLLOUTS,
        "monitor_and_delay_are_waited_for",
    ),
    by(
        &["services.*.deploy.update_config.parallelism", "services.*.deploy.update_config.order"],
        ROLLOUTS,
        "parallelism_is_how_many_are_replaced_at_a_time",
    ),
    by(
        &["services.*.deploy.update_config.max_failure_ratio"],
        ROLLOUTS,
        "as_many_may_fail_as_the_ratio_says",
    ),
    by(
        &["services.*.deploy.update_config.failure_action"],
        ROLLOUTS,
        "pause_stops_where_it_is_and_continue_keeps_what_serves",
    ),
    by(
        &[
            "services.*.deploy.rollback_config.parallelism",
            "services.*.deploy.rollback_config.delay",
            "services.*.deploy.rollback_config.monitor",
            "services.*.deploy.rollback_config.max_failure_ratio",
            "services.*.deploy.rollback_config.order",
            "services.*.deploy.rollback_config.failure_action",
        ],
        ROLLOUTS,
        "the_way_back_is_gone_as_its_own_part_of_the_manifest_says",
    ),
    by(
        &["services.*.deploy.placement.constraints"],
        "jaco-engine/src/scheduler/tests/filters.rs",
        "constraints_are_read_as_compose_and_swarm_write_them",
    ),
    by(
        &["services.*.deploy.placement.max_replicas_per_node"],
        PLACEMENT,
        "max_replicas_per_node_holds",
    ),
    by(
        &["services.*.deploy.placement.preferences.spread"],
        "jaco-engine/src/scheduler/tests/spreading.rs",
        "replicas_are_spread_over_labels_before_nodes",
    ),
];
