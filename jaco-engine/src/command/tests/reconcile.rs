use jaco_api::{
    error::ErrorCode,
    model::{
        AuditKind, Intent, NodeId, Placement, Reason, ReplicaId, ReplicaReport, ReplicaState,
        Report, ServiceSchedule, Slot, UpdateConfig,
    },
};

use super::{audited, deployment, refused, rollout};
use crate::{
    command::{Action, Command, DeleteDeployment, Outcome, Reconcile},
    state::snapshot,
    testing::builders::{Scenario, Stack, name, replica_id, schedule},
};

fn shop(image: &str, replicas: u32) -> Stack {
    Stack::new("shop").service("web", image, replicas)
}

fn in_place(image: &str, replicas: u32, parallelism: u32) -> Stack {
    let update = UpdateConfig { parallelism, ..UpdateConfig::default_for(true) };
    Stack::new("shop").scheduled("web", ServiceSchedule { update, ..schedule(image, replicas) })
}

fn create() -> Action {
    Action::Create { service: name("web"), node: NodeId(1), slot: None }
}

fn remove(id: &ReplicaId) -> Action {
    Action::Remove { replica: id.clone() }
}

fn advance(id: &ReplicaId) -> Action {
    Action::Advance { replica: id.clone() }
}

#[test]
fn a_plan_made_from_another_version_changes_nothing() {
    let mut s = Scenario::new();
    s.run(shop("web:1", 1));
    let version = deployment(&s, "shop").version;
    let stale = Reconcile { deployment: name("shop"), version, actions: vec![create()] };
    assert_eq!(s.run(Command::Reconcile(stale.clone())), Outcome::Done);
    let before = s.state.clone();
    assert_eq!(refused(&s.run(Command::Reconcile(stale))), ErrorCode::Conflict);
    assert_eq!(snapshot::write(&before.at_index(s.state.index())), snapshot::write(&s.state));
    let gone = Reconcile { deployment: name("nope"), version: 0, actions: vec![] };
    assert_eq!(refused(&s.run(Command::Reconcile(gone))), ErrorCode::Conflict);
}

#[test]
fn a_batch_is_taken_as_a_whole_or_not_at_all() {
    let mut s = Scenario::new();
    s.run(shop("web:1", 1));
    let bad = vec![create(), remove(&replica_id("shop", "web", 9))];
    assert_eq!(refused(&s.reconcile("shop", bad)), ErrorCode::Conflict);
    assert!(s.replicas("shop").is_empty());
    let nowhere = Action::Create { service: name("web"), node: NodeId(7), slot: None };
    assert_eq!(refused(&s.reconcile("shop", vec![nowhere])), ErrorCode::Conflict);
    let unknown = Action::Create { service: name("nope"), node: NodeId(1), slot: None };
    assert_eq!(refused(&s.reconcile("shop", vec![unknown])), ErrorCode::Conflict);
}

#[test]
fn indexes_are_never_used_again_in_the_life_of_a_deployment() {
    let mut s = Scenario::new();
    let ids = s.deploy(shop("web:1", 2));
    assert_eq!(ids, [replica_id("shop", "web", 1), replica_id("shop", "web", 2)]);
    assert_eq!(s.state.load(NodeId(1)), 2);
    s.reconcile("shop", vec![remove(&ids[1])]);
    assert_eq!(s.state.load(NodeId(1)), 1, "what is to go does not count");
    s.report(&ids[1], None);
    assert_eq!(s.create("shop", "web", 1), [replica_id("shop", "web", 3)]);
}

#[test]
fn a_global_replica_is_named_after_its_node() {
    let mut s = Scenario::new().with_nodes(2);
    let global = ServiceSchedule { placement: Some(Placement::Global), ..schedule("agent:1", 1) };
    s.run(Stack::new("shop").scheduled("web", global));
    let on = |n: u64| Action::Create {
        service: name("web"),
        node: NodeId(n),
        slot: Some(name(&format!("node-{n}"))),
    };
    assert_eq!(s.reconcile("shop", vec![on(1), on(2)]), Outcome::Done);
    let slots: Vec<_> = s.replicas("shop").into_iter().map(|r| r.id.slot).collect();
    assert_eq!(slots, [Slot::Node(name("node-1")), Slot::Node(name("node-2"))]);
    assert_eq!(refused(&s.reconcile("shop", vec![on(2)])), ErrorCode::Conflict);
}

#[test]
fn a_volume_stays_on_the_node_of_its_first_replica() {
    let mut s = Scenario::new();
    s.deploy(Stack::new("shop").stateful("db", "db:1"));
    let volume = s.state.volume("jaco_shop_db").unwrap();
    assert_eq!((volume.node, volume.external), (NodeId(1), false));
}

#[test]
fn an_image_is_fetched_before_the_next_generation() {
    let mut s = Scenario::new();
    let ids = s.deploy(in_place("web:1", 1, 1));
    s.run(in_place("web:2", 1, 1));
    s.reconcile("shop", vec![Action::Prepare { replica: ids[0].clone() }]);
    let wanted = s.state.service(&name("shop"), &name("web")).unwrap().container;
    let preparation = s.replica(&ids[0]).preparation.unwrap();
    assert_eq!((preparation.container, preparation.result), (wanted, None));

    let result = Err(Reason { code: Some(ErrorCode::ImagePullFailed), message: "no".into() });
    let report = |of, result| {
        Command::Report(Report {
            node: NodeId(1),
            replicas: vec![ReplicaReport {
                id: ids[0].clone(),
                observation: None,
                prepared: Some((of, result)),
                log_tail: None,
            }],
            removed_volumes: vec![],
        })
    };
    s.run(report(s.replica(&ids[0]).container, Ok(())));
    assert_eq!(s.replica(&ids[0]).preparation.unwrap().result, None, "it was asked for before");
    s.run(report(wanted, result.clone()));
    assert_eq!(s.replica(&ids[0]).preparation.unwrap().result, Some(result));
    assert!(s.replica(&ids[0]).is_running(), "what serves is left alone");

    assert_eq!(s.reconcile("shop", vec![advance(&ids[0])]), Outcome::Done);
    let replica = s.replica(&ids[0]);
    assert_eq!((replica.generation, replica.container, replica.preparation), (2, wanted, None));
    assert_eq!((replica.starting_at, replica.running_since), (None, None));
    assert_eq!(replica.observed.generation, 2);
    assert_eq!(rollout(&s, "shop").last_step["web"], s.now);
}

#[test]
fn start_first_never_goes_below_what_is_wanted() {
    let mut s = Scenario::new();
    let old = s.deploy(shop("web:1", 2));
    s.run(shop("web:2", 2));
    assert_eq!(refused(&s.reconcile("shop", vec![remove(&old[0])])), ErrorCode::Conflict);
    assert_eq!(audited(&s.state, AuditKind::RolloutInvariantHold), 1);
    assert_eq!(s.replica(&old[0]).intent, Intent::Run);

    let new = s.create("shop", "web", 1);
    assert_eq!(refused(&s.reconcile("shop", vec![remove(&old[0])])), ErrorCode::Conflict);
    s.observe(&new[0], ReplicaState::Running);
    assert_eq!(
        refused(&s.reconcile("shop", vec![remove(&old[0]), remove(&old[1])])),
        ErrorCode::Conflict
    );
    assert_eq!(s.reconcile("shop", vec![remove(&old[0])]), Outcome::Done);
}

#[test]
fn stop_first_never_takes_more_than_parallelism() {
    let mut s = Scenario::new();
    let ids = s.deploy(in_place("web:1", 3, 1));
    s.run(in_place("web:2", 3, 1));
    assert_eq!(
        refused(&s.reconcile("shop", vec![advance(&ids[0]), advance(&ids[1])])),
        ErrorCode::Conflict
    );
    assert_eq!(s.reconcile("shop", vec![advance(&ids[0])]), Outcome::Done);
    assert_eq!(refused(&s.reconcile("shop", vec![advance(&ids[1])])), ErrorCode::Conflict);
    assert_eq!(s.reconcile("shop", vec![advance(&ids[0])]), Outcome::Done, "it does not run");
    s.observe(&ids[0], ReplicaState::Running);
    assert_eq!(s.reconcile("shop", vec![advance(&ids[1])]), Outcome::Done);
}

#[test]
fn a_smaller_count_a_stop_and_a_deletion_are_not_held() {
    let mut s = Scenario::new();
    let old = s.deploy(shop("web:1", 3));
    s.run(shop("web:2", 1));
    assert_eq!(s.reconcile("shop", vec![remove(&old[0]), remove(&old[1])]), Outcome::Done);
    assert_eq!(refused(&s.reconcile("shop", vec![remove(&old[2])])), ErrorCode::Conflict);
    let volumes = false;
    s.run(Command::DeleteDeployment(DeleteDeployment { deployment: name("shop"), volumes }));
    assert_eq!(s.reconcile("shop", vec![remove(&old[2])]), Outcome::Done);
}

#[test]
fn why_nothing_can_be_placed_is_written_when_it_changes() {
    let mut s = Scenario::new();
    s.run(shop("web:1", 1));
    let say = |reason: Option<&str>| Action::Unplaced {
        service: name("web"),
        reason: reason.map(str::to_owned),
    };
    s.reconcile("shop", vec![say(Some("1 node: cordoned"))]);
    let version = deployment(&s, "shop").version;
    s.reconcile("shop", vec![say(Some("1 node: cordoned"))]);
    assert_eq!(deployment(&s, "shop").version, version);
    s.reconcile("shop", vec![say(None)]);
    assert!(deployment(&s, "shop").unplaced.is_empty());
}
