//! What holds of companions whatever happens to the nodes, the replicas and the manifest.

use jaco_api::model::{
    Availability, DeploymentPhase, Intent, Mode, NodeCondition, RolloutPhase, ServiceSchedule, Span,
};
use proptest::prelude::*;

use super::properties::{Event, NODES, all_are_addressed, as_service, event, happen, unplaced};
use crate::{
    command::{Action, RolloutEnd},
    scheduler::check,
    testing::world::{World, companion, name, service},
};

/// The first service is the lead, with the schedule that was drawn; the second, where there is one, says
/// of what content its companion is. An odd content of the lead has a service of that name that lives
/// alone.
fn deploy(world: &mut World, services: &[(u8, ServiceSchedule)]) {
    let Some((content, schedule)) = services.first() else { return };
    let mut lead = ServiceSchedule { mode: Mode::Service, ..as_service("web", schedule) };
    let of_lead = format!("web:{content}");
    let side = services.get(1).map(|(c, s)| {
        let alone = c % 2 == 1 && s.replicas % 3 == 0;
        let schedule = ServiceSchedule { replicas: lead.replicas, ..companion("web") };
        let mut schedule = if alone { service(s.replicas % 3) } else { schedule };
        schedule.networks = [name("side")].into();
        (schedule, format!("side:{c}:{alone}"))
    });
    if side.as_ref().is_some_and(|(s, _)| s.beside.is_some()) {
        lead.networks.insert(name("side"));
        lead.networks_beside.insert(name("side"));
    }
    let mut all = vec![("web", lead, of_lead.as_str())];
    all.extend(side.iter().map(|(s, c)| ("side", s.clone(), c.as_str())));
    world.say(&format!("# {} {:?}", all[0].2, side.as_ref().map(|(_, c)| c)));
    world.deploy("shop", &all);
}

fn happens(world: &mut World, event: &Event) {
    match event {
        Event::Deploy(services) => deploy(world, services),
        other => happen(world, other),
    }
}

/// Each companion of the revision in force that is to run is beside what is there now, where that is.
fn beside_what_is_there(world: &World) -> Result<(), TestCaseError> {
    let state = world.state();
    if state.deployments().any(|d| d.phase != DeploymentPhase::Running) {
        return Ok(());
    }
    for replica in state.replicas().filter(|r| r.intent == Intent::Run) {
        let planned = state.service(&replica.id.deployment, &replica.id.service);
        let lead = planned.and_then(|p| p.schedule.beside.as_ref());
        let Some(beside) = replica.beside.as_ref().filter(|b| Some(&b.replica.service) == lead)
        else {
            continue;
        };
        let found = state.lead_of(replica).map(|l| l.generation);
        prop_assert_eq!(found, Some(beside.generation), "{}\n{}", replica.id, world.transcript());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn plans_with_companions_are_sound_complete_and_lead_to_pairs(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut world = World::new(&NODES);
        happen(&mut world, &Event::Room(false));
        world.deploy("shop", &[("web", service(2), "web:0"), ("side", companion("web"), "side:0")]);
        for event in &events {
            happens(&mut world, event);
            for round in 0..6 {
                let crowded = unplaced(&world);
                let plan = world.plan();
                let found = check::violations(world.state(), &plan);
                prop_assert!(found.is_empty(), "{:?}\n{}", found, world.transcript());
                // Panics with the transcript when a batch is refused.
                world.step();
                let again = world.plan();
                if again.batches.is_empty() {
                    beside_what_is_there(&world)?;
                    break;
                }
                prop_assert!(round < 5, "{:?}\n{}", again, world.transcript());
                let ends = plan.batches.iter().flat_map(|b| &b.actions).any(|a| {
                    matches!(a, Action::EndRollout(end) if *end != RolloutEnd::Completed)
                });
                let excused = ends || crowded || unplaced(&world);
                prop_assert!(excused, "{:?}\n{}", again, world.transcript());
            }
        }
        for node in NODES {
            world.node_condition(node, NodeCondition::Ready);
            world.node_availability(node, Availability::Active, false);
        }
        happen(&mut world, &Event::Room(true));
        happen(&mut world, &Event::Hold(false));
        let again = world.planned("shop", "web").map(|p| p.schedule.clone()).unwrap_or(service(1));
        let side = ServiceSchedule { replicas: again.replicas, ..companion("web") };
        world.deploy("shop", &[("web", again.clone(), "web:7"), ("side", side, "side:7")]);
        for _ in 0..80 {
            world.step();
            world.agents(&[]);
            world.pass_time(Span::secs(1));
        }
        prop_assert!(all_are_addressed(&world), "{}", world.transcript());
        if unplaced(&world) {
            return Ok(());
        }
        let (state, shop) = (world.state(), name("shop"));
        let rollout = &state.deployment(&shop).unwrap().rollout;
        let ended = rollout.as_ref().map_or(&RolloutPhase::Completed, |r| &r.phase);
        prop_assert_eq!(ended, &RolloutPhase::Completed, "{}", world.transcript());
        let wanted = if again.is_global() { NODES.len() } else { again.replicas as usize };
        let (web, side) = (name("web"), name("side"));
        let leads: Vec<_> = state.replicas_of_service(&shop, &web).cloned().collect();
        let companions: Vec<_> = state.replicas_of_service(&shop, &side).cloned().collect();
        prop_assert_eq!((leads.len(), companions.len()), (wanted, wanted), "{}", world.transcript());
        for (lead, companion) in leads.iter().zip(&companions) {
            let both = lead.is_running() && companion.is_running();
            prop_assert!(both && state.is_current(lead) && state.is_current(companion));
            let beside = companion.beside.as_ref().map(|b| (&b.replica, b.generation));
            prop_assert_eq!(beside, Some((&lead.id, lead.generation)), "{}", world.transcript());
            prop_assert_eq!(companion.node, lead.node);
        }
    }
}
