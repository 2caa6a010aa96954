use jaco_api::model::{
    DeploymentPhase, FailureAction, Health, Mode, Observation, Placement, ReplicaState,
    RevisionOrigin, RolloutPhase, ServiceSchedule, Span, UpdateConfig, UpdateOrder,
};

use crate::testing::world::{World, name, seen, service, stateful};

fn updated(schedule: ServiceSchedule, change: impl FnOnce(&mut UpdateConfig)) -> ServiceSchedule {
    let mut update = schedule.update.clone();
    change(&mut update);
    ServiceSchedule { update, ..schedule }
}

/// A world in which `services` run at content `:1`.
fn running(nodes: &[&str], services: &[(&str, ServiceSchedule)]) -> World {
    let mut world = World::new(nodes);
    deploy(&mut world, services, 1);
    world.settle(&[]);
    world.say("--- running");
    world
}

fn deploy(world: &mut World, services: &[(&str, ServiceSchedule)], version: u32) {
    let contents: Vec<_> = services.iter().map(|(n, _)| format!("{n}:{version}")).collect();
    let services: Vec<_> =
        services.iter().zip(&contents).map(|((n, s), c)| (*n, s.clone(), c.as_str())).collect();
    world.deploy("shop", &services);
}

fn phase(world: &World) -> RolloutPhase {
    let deployment = world.state().deployment(&name("shop")).unwrap();
    assert_eq!(deployment.phase, DeploymentPhase::Running);
    deployment.rollout.as_ref().unwrap().phase.clone()
}

/// How many replicas of the service run.
fn serving(world: &World, service: &str) -> usize {
    world
        .state()
        .replicas_of_service(&name("shop"), &name(service))
        .filter(|r| r.is_running())
        .count()
}

#[test]
fn an_env_edit_rolls_start_first_one_at_a_time() {
    let services = [("web", service(3))];
    let mut world = running(&["a", "b", "c"], &services);
    deploy(&mut world, &services, 2);
    for _ in 0..20 {
        world.step();
        assert!(serving(&world, "web") >= 3);
        world.agents(&[]);
    }
    world.show();
    assert_eq!(phase(&world), RolloutPhase::Completed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn monitor_and_delay_are_waited_for() {
    let schedule = updated(service(2), |u| {
        u.monitor = Span::secs(5);
        u.delay = Span::secs(30);
    });
    let mut world = running(&["a"], &[("web", schedule.clone())]);
    deploy(&mut world, &[("web", schedule)], 2);
    for _ in 0..16 {
        world.step();
        world.agents(&[]);
        if let Some(at) = world.plan().wake_at().filter(|_| world.plan().batches.is_empty()) {
            world.pass_time(Span::from(at.since(world.now())));
        }
    }
    assert_eq!(phase(&world), RolloutPhase::Completed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn parallelism_is_how_many_are_replaced_at_a_time() {
    for (parallelism, order) in
        [(2, UpdateOrder::StartFirst), (2, UpdateOrder::StopFirst), (0, UpdateOrder::StopFirst)]
    {
        let schedule = updated(service(5), |u| {
            u.parallelism = parallelism;
            u.order = order;
        });
        let mut world = running(&["a", "b"], &[("web", schedule.clone())]);
        deploy(&mut world, &[("web", schedule.clone())], 2);
        let mut least = 5;
        for _ in 0..40 {
            world.step();
            least = least.min(serving(&world, "web"));
            world.agents(&[]);
        }
        assert_eq!(phase(&world), RolloutPhase::Completed);
        assert_eq!(
            least,
            schedule.floor(5, RevisionOrigin::Apply) as usize,
            "{parallelism} {order:?}"
        );
    }
}

#[test]
fn stop_first_fetches_the_image_before_it_stops_anything() {
    let services = [("db", stateful(1, "shop_data"))];
    let mut world = running(&["a", "b"], &services);
    deploy(&mut world, &services, 2);
    world.step();
    assert_eq!(serving(&world, "db"), 1);
    world.step();
    world.prepared("shop.db.1", Ok(()));
    world.settle(&[]);
    world.show();
    assert_eq!(phase(&world), RolloutPhase::Completed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_wrong_image_rolls_back_with_the_engines_words() {
    let services = [("db", stateful(1, "shop_data")), ("web", service(2))];
    let mut world = running(&["a", "b"], &services);
    deploy(&mut world, &services, 2);
    world.step();
    let words = "manifest for web:2 not found: manifest unknown";
    let failed = Observation { pull_failures: 3, ..seen(ReplicaState::Pulling, words) };
    world.say("web:2 cannot be fetched");
    world.observe("shop.web.3", failed);
    world.step();
    assert_eq!((serving(&world, "web"), serving(&world, "db")), (2, 1));
    world.settle(&[]);
    world.show();
    assert_eq!((serving(&world, "web"), serving(&world, "db")), (2, 1));
    assert_eq!(phase(&world), RolloutPhase::Failed);
    let rollout = world.state().deployment(&name("shop")).unwrap().rollout.clone().unwrap();
    assert!(rollout.reason.unwrap().contains(words));
    assert_eq!(world.planned("shop", "web").unwrap().schedule.image, "web:1");
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn an_image_that_cannot_be_prepared_stops_nothing() {
    let services = [("db", stateful(1, "shop_data"))];
    let mut world = running(&["a"], &services);
    deploy(&mut world, &services, 2);
    world.step();
    world.prepared("shop.db.1", Err("no such image: db:2"));
    world.settle(&["db:2"]);
    world.show();
    assert_eq!((serving(&world, "db"), phase(&world)), (1, RolloutPhase::Failed));
    let replica = world.state().replicas().next().unwrap();
    assert_eq!(replica.generation, 1, "nothing was ever stopped");
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn failing_health_rolls_back() {
    let services = [("web", service(2))];
    let mut world = running(&["a", "b"], &services);
    deploy(&mut world, &services, 2);
    world.step();
    let sick = Observation {
        health: Health::Unhealthy,
        ..seen(ReplicaState::Degraded, "connection refused")
    };
    world.say("web.3 is unhealthy");
    world.observe("shop.web.3", sick);
    world.settle(&["web:2"]);
    world.show();
    assert_eq!((serving(&world, "web"), phase(&world)), (2, RolloutPhase::Failed));
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_step_times_out_after_its_start_and_never_while_pulling() {
    let services = [("web", service(2))];
    let mut world = running(&["a", "b"], &services);
    deploy(&mut world, &services, 2);
    world.step();
    world.enter("shop.web.3", ReplicaState::Pulling, "1.2 of 3.4 GB");
    world.pass_time(Span::secs(3_600));
    assert!(!world.step(), "an hour of fetching is no failure");
    world.enter("shop.web.3", ReplicaState::Starting, "");
    world.pass_time(Span::secs(59));
    assert!(!world.step());
    world.pass_time(Span::secs(1));
    world.settle(&["web:2"]);
    assert_eq!((serving(&world, "web"), phase(&world)), (2, RolloutPhase::Failed));
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn the_way_back_can_fail_too_and_ends() {
    let services = [("db", stateful(1, "shop_data"))];
    let mut world = running(&["a"], &services);
    deploy(&mut world, &services, 2);
    world.settle(&["db:9"]);
    deploy(&mut world, &services, 3);
    world.step();
    world.prepared("shop.db.1", Ok(()));
    world.step();
    world.enter("shop.db.1", ReplicaState::Failed, "exited with code 1");
    world.step();
    assert_eq!(phase(&world), RolloutPhase::RollingBack);
    world.step();
    world.enter("shop.db.1", ReplicaState::Failed, "data is of a newer version");
    world.settle(&["db:2"]);
    world.show();
    assert_eq!(phase(&world), RolloutPhase::Failed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn the_way_back_is_gone_as_its_own_part_of_the_manifest_says() {
    // There one at a time; back the same way, or all that are left at once.
    for (apart, least_running) in [(None, 2), (Some(0), 1)] {
        let mut schedule =
            ServiceSchedule { update: UpdateConfig::default_for(true), ..service(3) };
        schedule.rollback =
            apart.map(|parallelism| UpdateConfig { parallelism, ..schedule.update.clone() });
        let services = [("web", schedule)];
        let mut world = running(&["a", "b", "c"], &services);
        deploy(&mut world, &services, 2);
        let outdated = |world: &World| world.state().replicas().filter(|r| r.revision == 1).count();
        while outdated(&world) > 0 {
            world.step();
            world.agents(&[]);
        }
        world.enter("shop.web.3", ReplicaState::Failed, "exited with code 1");
        world.step();
        assert_eq!(phase(&world), RolloutPhase::RollingBack);
        let mut least = 3;
        for _ in 0..20 {
            world.step();
            least = least.min(serving(&world, "web"));
            world.agents(&[]);
        }
        assert_eq!(phase(&world), RolloutPhase::Failed, "{}", world.transcript());
        assert_eq!(least, least_running, "{apart:?}\n{}", world.transcript());
    }
}

#[test]
fn as_many_may_fail_as_the_ratio_says() {
    for (permille, phase_after) in [(499, RolloutPhase::RollingBack), (500, RolloutPhase::Rolling)]
    {
        let schedule = updated(service(2), |u| u.max_failure_permille = permille);
        let mut world = running(&["a", "b"], &[("web", schedule.clone())]);
        deploy(&mut world, &[("web", schedule)], 2);
        world.step();
        let first = world.state().replicas().find(|r| r.revision == 2).unwrap().id.to_string();
        world.enter(&first, ReplicaState::Failed, "exited with code 3");
        world.step();
        assert_eq!(phase(&world), phase_after, "{permille}\n{}", world.transcript());
    }
}

#[test]
fn pause_stops_where_it_is_and_continue_keeps_what_serves() {
    for action in [FailureAction::Pause, FailureAction::Continue] {
        let schedule = updated(service(2), |u| u.failure_action = action);
        let mut world = running(&["a", "b"], &[("web", schedule.clone())]);
        deploy(&mut world, &[("web", schedule.clone())], 2);
        for _ in 0..10 {
            world.step();
            let new: Vec<_> = world
                .state()
                .replicas()
                .filter(|r| r.revision == 2 && r.observed.state == ReplicaState::Pending)
                .map(|r| r.id.to_string())
                .collect();
            for id in new {
                world.enter(&id, ReplicaState::Failed, "exited with code 3");
            }
            world.agents(&["web:2"]);
        }
        assert_eq!(serving(&world, "web"), 2, "{action:?}\n{}", world.transcript());
        world.show();
        insta::assert_snapshot!(format!("{action:?}"), world.transcript());
    }
}

#[test]
fn global_replaces_in_place_node_by_node() {
    let schedule = ServiceSchedule { placement: Some(Placement::Global), ..service(0) };
    let services = [("agent", schedule)];
    let mut world = running(&["a", "b", "c"], &services);
    deploy(&mut world, &services, 2);
    for _ in 0..20 {
        world.step();
        assert!(serving(&world, "agent") >= 2);
        world.agents(&[]);
    }
    world.show();
    assert_eq!(phase(&world), RolloutPhase::Completed);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_completed_job_is_done_until_its_content_changes() {
    let job = ServiceSchedule { mode: Mode::Job, ..service(1) };
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("migrate", job.clone(), "m:1")]);
    world.step();
    world.enter("shop.migrate.1", ReplicaState::Completed, "");
    assert!(!world.step(), "it is not run again");
    world.deploy("shop", &[("migrate", job, "m:2")]);
    world.step();
    world.enter("shop.migrate.2", ReplicaState::Completed, "");
    world.settle(&[]);
    world.show();
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_failed_replica_stays_failed_until_the_next_apply() {
    let mut world = World::new(&["a"]);
    world.deploy("shop", &[("web", service(1), "web:1")]);
    world.step();
    world.enter("shop.web.1", ReplicaState::Failed, "exited with code 1");
    assert!(!world.step(), "nothing replaces it");
    world.deploy("shop", &[("web", service(1), "web:1")]);
    world.settle(&[]);
    world.show();
    assert_eq!(serving(&world, "web"), 1);
    insta::assert_snapshot!(world.transcript());
}

#[test]
fn a_dropped_service_goes_when_the_rollout_that_drops_it_has_ended() {
    let (web, cache) = (("web", service(1)), ("cache", service(1)));
    let mut world = running(&["a"], &[web.clone(), cache]);
    deploy(&mut world, &[web], 2);
    world.step();
    assert_eq!(serving(&world, "cache"), 1, "the old web still needs it");
    world.settle(&[]);
    world.show();
    assert_eq!(serving(&world, "cache"), 0);
    insta::assert_snapshot!(world.transcript());
}
