//! The promises of JACO on a real engine. Run by `cargo xtask test`; names on the command line select.
#![allow(clippy::unwrap_used, reason = "a panic is how a scenario fails")]

mod access;
mod bad_input;
mod corpus;
mod crash;
mod faults;
mod fleet;
mod harness;
mod hooks;
mod idle;
mod inside;
mod lifecycle;
mod restart;
mod rollouts;
mod secrets;
mod speed;
mod stacks;

use std::process::ExitCode;

use fleet::{
    addresses, anywhere, catching_up, certificates, companions, cron, crowds, doctor, draining,
    hostile, instruments, issuers, joining, leadership, membership, minority, networks,
    own_certificates, ports, power, protocols, recovery, route_options, secrecy, singleton, spread,
    strangers, updates, visitors, wire,
};
use jaco_e2e::{Bench, Fleet, Scenario, Scenarios};

macro_rules! scenarios {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$(Scenario { name: stringify!($name), run: $module::$name }),*]
    };
}

const MEASURED_ON_ONE: &[Scenario<Bench>] =
    scenarios![speed::ten_replicas_run_soon, idle::fifty_replicas_cost_nothing];

const MEASURED_ON_MANY: &[Scenario<Fleet>] = scenarios![
    instruments::the_instruments_work,
    spread::replicas_of_a_lost_host_run_elsewhere,
    leadership::writes_go_on_when_the_leader_is_killed,
];

const ONE_HOST: &[Scenario<Bench>] = scenarios![
    harness::the_rig_runs_containers,
    lifecycle::nothing_answers_before_init_but_status,
    lifecycle::a_stack_lives_and_dies_over_the_socket,
    lifecycle::a_stack_lives_and_dies_over_tls,
    rollouts::an_edit_rolls_one_by_one,
    rollouts::a_wrong_image_rolls_back_by_itself,
    rollouts::revisions_can_be_restored,
    hooks::hooks_run_once_for_each_start_and_stop,
    hooks::a_hook_that_fails_rolls_back_with_its_words,
    access::every_token_gets_the_right_answer,
    access::strangers_are_refused,
    secrets::no_secret_is_on_disk_in_the_clear,
    inside::commands_run_with_their_bytes_terminals_and_exit_codes,
    inside::files_and_connections_go_through_the_daemon,
    restart::restarts_and_upgrades_leave_containers_alone,
    restart::an_engine_that_comes_back_is_used_again,
    faults::a_container_that_exits_is_given_up_after_three_times,
    faults::a_container_that_eats_memory_is_reported_as_such,
    faults::a_container_that_is_never_healthy_is_given_up,
    faults::a_flapping_health_check_is_seen,
    corpus::forty_manifests_run,
    bad_input::bad_manifests_are_refused_without_change,
    bad_input::a_daemon_that_cannot_start_says_why,
    bad_input::a_full_disk_is_survived,
    crash::nothing_acknowledged_is_lost_when_killed,
];

const MANY_HOSTS: &[Scenario<Fleet>] = scenarios![
    joining::a_token_opens_the_door_once,
    wire::nothing_between_hosts_is_readable,
    strangers::only_members_reach_the_inner_ports,
    membership::members_come_and_go_without_a_trace,
    membership::a_dead_host_is_removed_by_force,
    anywhere::any_node_serves_every_command,
    addresses::each_host_has_its_block_until_all_have_let_go,
    addresses::a_replica_without_a_block_waits_for_another_pool,
    networks::a_network_spans_hosts_and_ends_at_its_deployment,
    networks::networks_of_one_deployment_are_apart,
    networks::damaged_rules_are_restored_at_once,
    recovery::what_is_damaged_by_hand_comes_back,
    doctor::the_doctor_names_what_is_broken_and_repairs_it,
    recovery::a_deleted_deployment_leaves_no_trace_on_any_host,
    recovery::a_host_that_cannot_isolate_runs_nothing,
    recovery::a_taken_port_53_is_told_and_waited_for,
    recovery::names_of_a_lost_host_are_forgotten_and_come_back,
    networks::a_service_has_one_address_that_leads_to_healthy_replicas,
    visitors::every_node_serves_every_route_and_port,
    crowds::an_update_is_not_noticed_by_visitors,
    crowds::a_program_that_ends_at_once_cuts_nobody_off,
    crowds::visitors_are_led_around_what_fails,
    hostile::hostile_visitors_cost_the_others_nothing,
    certificates::a_domain_comes_to_its_certificate,
    certificates::wildcards_and_closed_ports_are_proved_otherwise,
    certificates::a_ca_that_is_no_good_is_told_and_waited_for,
    certificates::a_ca_that_has_had_enough_or_talks_nonsense_is_left_alone,
    issuers::an_order_survives_its_leaders,
    issuers::every_phase_survives_its_leader,
    certificates::a_certificate_is_renewed_while_it_serves,
    own_certificates::ports_and_certificates_of_ones_own,
    route_options::options_of_a_route_hold,
    protocols::every_protocol_goes_through_every_node,
    ports::tcp_and_udp_go_through_every_node,
    spread::replicas_of_a_dead_engine_run_elsewhere,
    cron::a_tick_runs_once_though_the_leader_dies_within_its_second,
    catching_up::a_node_that_was_away_for_long_holds_the_same_state,
    minority::one_of_three_goes_on_and_changes_nothing,
    minority::one_of_two_goes_on_and_changes_nothing,
    singleton::a_singleton_never_runs_twice,
    secrecy::a_secret_is_where_it_must_be_and_nowhere_else,
    updates::a_rolling_update_fails_no_request,
    updates::a_stop_first_update_keeps_its_floor,
    updates::a_version_that_does_not_work_takes_nothing_away,
    companions::companions_share_the_fate_of_their_leads,
    draining::a_drain_loses_nothing,
    draining::a_drain_that_cannot_be_says_why,
    draining::an_interrupted_drain_goes_on,
    power::a_full_stop_keeps_containers_and_state,
    power::a_full_stop_of_live_restoring_engines_touches_nothing,
];

fn main() -> ExitCode {
    jaco_e2e::main(&Scenarios {
        measured_on_one: MEASURED_ON_ONE,
        measured_on_many: MEASURED_ON_MANY,
        one_host: ONE_HOST,
        many_hosts: MANY_HOSTS,
    })
}
