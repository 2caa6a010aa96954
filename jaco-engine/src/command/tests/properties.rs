//! What holds after every sequence of commands.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::model::{
    Concurrency, CronSchedule, DeploymentName, EndpointMode, Mode, NodeId, Observation, ReplicaId,
    ReplicaReport, ReplicaState, Report, RouteOptions, ServiceSchedule, Slot, Span, SubnetKey,
    Timestamp, VirtualAddressKey, overlap,
};
use proptest::prelude::*;

use crate::{
    command::{
        Action, Command, DeleteDeployment, HoldDeployment, IssueToken, Outcome, Reconcile,
        ReleaseSubnets, RestartDeployment, RevokeToken, RollbackDeployment, RolloutEnd,
        ScaleDeployment, SetSetting, Tick, decode, encode,
    },
    state::{State, snapshot},
    testing::builders::{SENTINEL, Scenario, Stack, name, schedule, sealed, token},
};

/// A step in small numbers; what they mean depends on the state it meets.
#[derive(Debug, Clone)]
struct Step {
    kind: u8,
    deployment: u8,
    a: u8,
    b: u8,
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (0..30u8, 0..2u8, any::<u8>(), any::<u8>());
    let step = step.prop_map(|(kind, deployment, a, b)| Step { kind, deployment, a, b });
    proptest::collection::vec(step, 1..most)
}

const STATES: &[ReplicaState] = &[
    ReplicaState::Pulling,
    ReplicaState::Starting,
    ReplicaState::Running,
    ReplicaState::Running,
    ReplicaState::Degraded,
    ReplicaState::Failed,
    ReplicaState::Completed,
];

/// Few blocks, of several lengths: some requests find none.
const POOLS: &[&str] =
    &["10.8.0.0/24:25", "10.8.0.0/24:26", "10.8.0.0/24:27", "10.8.0.0/24:26, 10.9.0.0/28:29"];

/// Few addresses of services: some requests find none, and some pools are too small for what is in use.
const RANGES: &[&str] = &["10.7.0.0/29", "10.7.0.0/29", "10.7.0.0/28", "10.7.0.8/29"];

impl Step {
    fn stack(&self) -> Stack {
        let deployment = self.deployment();
        let image = format!("web:{}", self.a % 4);
        // As in real documents, which networks a container is on follows from what it is.
        let names = ["default", "back", "front"].into_iter().take(1 + usize::from(self.a % 4) / 2);
        let networks = names.map(name).collect();
        // What a name leads to does not.
        let endpoint = match self.b % 7 {
            0 | 1 => EndpointMode::Dnsrr,
            _ => EndpointMode::Vip,
        };
        let replicas = u32::from(self.b % 3);
        let web = ServiceSchedule { networks, endpoint, ..schedule(&image, replicas) };
        let stack = Stack::new(deployment.as_ref()).scheduled("web", web);
        let stack = if self.a.is_multiple_of(3) { stack.stateful("db", "db:1") } else { stack };
        let stack = if self.a % 3 == 1 { stack.scheduled("backup", self.backup()) } else { stack };
        if !self.b.is_multiple_of(5) {
            return stack;
        }
        let users = BTreeMap::from([("ann".to_owned(), sealed(SENTINEL.as_bytes()))]);
        let basic_auth = if self.b.is_multiple_of(2) { users } else { BTreeMap::new() };
        let options = RouteOptions { basic_auth, strip_path: true, ..RouteOptions::default() };
        stack.route("shop.example", "/", "web").options(options)
    }

    fn backup(&self) -> ServiceSchedule {
        let concurrency = [Concurrency::Forbid, Concurrency::Replace, Concurrency::Allow];
        let cron = CronSchedule {
            concurrency: concurrency[usize::from(self.b % 3)],
            starting_deadline: Span::secs(10),
            ..CronSchedule::new(["* * * * * *", "*/2 * * * * *"][usize::from(self.b % 2)])
        };
        let image = format!("backup:{}", self.b % 2);
        ServiceSchedule { cron: Some(cron), mode: Mode::Job, ..schedule(&image, 1) }
    }

    fn tick(&self, state: &State) -> Tick {
        let deployment = self.deployment();
        let row = state.deployment(&deployment);
        let last = row.and_then(|d| d.ticks.get("backup")).map_or(0, |t| t.last.0);
        Tick {
            revision: row.map_or(0, |d| d.revision) - u64::from(self.b == 9 && row.is_some()),
            service: name("backup"),
            tick: Timestamp((last + u64::from(self.a % 4) * 1000).saturating_sub(1000)),
            deployment,
        }
    }

    fn of_run(&self, state: &State) -> Vec<Action> {
        let (service, reason) = (name("backup"), "why".to_owned());
        let ticks = state.deployment(&self.deployment()).and_then(|d| d.ticks.get("backup"));
        let runs = ticks.map(|t| t.runs.as_slice()).unwrap_or_default();
        let tick =
            runs.get(usize::from(self.a) % runs.len().max(1)).map_or(Timestamp(0), |r| r.tick);
        vec![match self.b % 4 {
            0 | 1 => Action::StartRun { service, tick, node: NodeId(1 + u64::from(self.a % 2)) },
            2 => Action::CancelRun { service, tick, reason },
            _ => Action::DropRun { service, tick },
        }]
    }

    fn deployment(&self) -> DeploymentName {
        name(["shop", "blog"][usize::from(self.deployment)])
    }

    fn replica(&self, state: &State) -> Option<ReplicaId> {
        let name = self.deployment();
        let ids: Vec<_> = state.replicas_of(&name).map(|r| r.id.clone()).collect();
        ids.get(usize::from(self.a) % ids.len().max(1)).cloned()
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let service = name(["web", "db"][usize::from(self.b % 2)]);
        let reason = "why".to_owned();
        let replica = self.replica(state);
        let action = match (self.kind, replica) {
            (12, _) | (_, None) => {
                Action::Create { service, node: NodeId(1 + u64::from(self.a % 2)), slot: None }
            }
            (29, _) => Action::Address { service },
            (13, Some(replica)) => Action::Prepare { replica },
            (14, Some(replica)) => Action::Advance { replica },
            (15 | 16, Some(replica)) => Action::Remove { replica },
            (17, _) if self.a.is_multiple_of(3) => Action::CountFailure { service, reason },
            (17, _) => {
                Action::Unplaced { service, reason: (self.a.is_multiple_of(2)).then_some(reason) }
            }
            _ => Action::EndRollout(match self.a % 4 {
                0 => RolloutEnd::Completed,
                1 => RolloutEnd::Paused { reason },
                2 => RolloutEnd::RolledBack { reason },
                _ => RolloutEnd::Failed { reason },
            }),
        };
        vec![action]
    }

    fn report(&self, state: &State) -> Report {
        let id = self.replica(state);
        let row = id.as_ref().and_then(|id| state.replica(id));
        let observation = row.filter(|_| !self.b.is_multiple_of(4)).map(|row| Observation {
            generation: row.generation - u64::from(self.b % 7 == 1 && row.generation > 1),
            state: STATES[usize::from(self.b) % STATES.len()],
            restarts: u32::from(self.b % 2),
            ..Observation::default()
        });
        let asked = row.and_then(|r| r.preparation.as_ref()).map(|p| p.container);
        let prepared = asked.filter(|_| self.b.is_multiple_of(3)).map(|of| (of, Ok(())));
        let replicas = id
            .map(|id| ReplicaReport { id, observation, prepared, log_tail: None })
            .into_iter()
            .collect();
        let removing = state.volumes().filter(|v| v.removing).map(|v| v.name.clone());
        Report {
            node: row.map_or(NodeId(1), |r| r.node),
            replicas,
            removed_volumes: removing.collect(),
        }
    }

    fn command(&self, state: &State) -> Command {
        let deployment = self.deployment();
        match self.kind {
            0..=3 => self.stack().into(),
            4 => Command::RollbackDeployment(RollbackDeployment {
                deployment,
                to: (self.a.is_multiple_of(2)).then_some(u64::from(self.b % 8)),
            }),
            5 => Command::DeleteDeployment(DeleteDeployment {
                deployment,
                volumes: self.a.is_multiple_of(2),
            }),
            6 => Command::ScaleDeployment(ScaleDeployment {
                deployment,
                replicas: BTreeMap::from([(name("web"), u32::from(self.a % 4))]),
            }),
            7 => Command::RestartDeployment(RestartDeployment {
                deployment,
                services: BTreeSet::new(),
            }),
            8 => Command::HoldDeployment(HoldDeployment {
                deployment,
                stopped: self.a.is_multiple_of(2),
            }),
            9 => Command::IssueToken(IssueToken {
                token: token("ci", &format!("{}-{}", self.a, self.b)),
                rotate: self.a.is_multiple_of(2),
            }),
            10 => Command::RevokeToken(RevokeToken { identity: name("ci") }),
            22 => Command::ReleaseSubnets(ReleaseSubnets {
                subnets: state
                    .quarantined_until(u64::from(self.a) * 2)
                    .map(|s| jaco_api::model::Subnet::clone(s))
                    .collect(),
            }),
            23 => Command::SetSetting(SetSetting {
                key: "address_pools".into(),
                value: POOLS[usize::from(self.b) % POOLS.len()].into(),
            }),
            11 => Command::SetSetting(SetSetting {
                key: "revision_retention".into(),
                value: (2 + self.a % 4).to_string(),
            }),
            28 => Command::SetSetting(SetSetting {
                key: "service_pool".into(),
                value: RANGES[usize::from(self.b) % RANGES.len()].into(),
            }),
            24 | 25 => Command::Tick(self.tick(state)),
            12..=18 | 26 | 29 => Command::Reconcile(Reconcile {
                version: state.deployment(&deployment).map_or(0, |d| d.version)
                    + u64::from(self.b % 16 == 15),
                actions: if self.kind == 26 { self.of_run(state) } else { self.actions(state) },
                deployment,
            }),
            _ => Command::Report(self.report(state)),
        }
    }
}

/// Indexes and counts as they were kept equal those that the rows give.
fn check_indexes(state: &State) {
    let mut rebuilt = state.clone();
    rebuilt.rebuild_indexes();
    assert_eq!(state.node_names, rebuilt.node_names);
    assert_eq!(state.token_hashes, rebuilt.token_hashes);
    assert_eq!(state.replicas_by_node, rebuilt.replicas_by_node);
    assert_eq!(state.events_by_replica, rebuilt.events_by_replica);
    assert_eq!(state.routes, rebuilt.routes);
    assert_eq!(state.ports, rebuilt.ports);
    assert_eq!(state.load, rebuilt.load);
    assert_eq!(state.subnets_by_node, rebuilt.subnets_by_node);
    assert_eq!(state.subnets_by_address, rebuilt.subnets_by_address);
    assert_eq!(state.quarantine, rebuilt.quarantine);
    assert_eq!(state.services_by_address, rebuilt.services_by_address);
    assert_eq!(state.blocks, rebuilt.blocks);
    let documents = |s: &State| -> Vec<_> {
        s.documents.iter().map(|(digest, row)| (*digest, row.references)).collect()
    };
    assert_eq!(documents(state), documents(&rebuilt));
    assert!(state.documents.iter().all(|(_, row)| row.references > 0), "none is kept for nothing");
    for replica in state.replicas() {
        assert!(state.document(&replica.container).is_some(), "{} has its document", replica.id);
    }
    for revision in state.revisions.iter().flat_map(|(_, r)| r.services.values()) {
        assert!(state.document(&revision.container).is_some());
    }
}

/// What was given out in the present life of each deployment.
#[derive(Default)]
struct Lives {
    revisions: BTreeMap<DeploymentName, u64>,
    replicas: BTreeSet<ReplicaId>,
    versions: BTreeMap<DeploymentName, u64>,
}

impl Lives {
    fn check(&mut self, old: &State, new: &State) {
        for name in ["shop", "blog"].map(name::<DeploymentName>) {
            let Some(row) = new.deployment(&name) else {
                self.revisions.remove(&name);
                self.replicas.retain(|id| id.deployment != name);
                assert_eq!(new.replicas_of(&name).count(), 0);
                assert_eq!(new.revisions(&name).count(), 0);
                continue;
            };
            let highest = self.revisions.entry(name.clone()).or_insert(0);
            assert!(row.revision >= *highest && row.revision <= *highest + 1);
            *highest = row.revision;
            assert!(new.revision_in_force(&name).is_some());
            if let Some(rollout) = row.rollout.as_ref().filter(|r| r.ended_at.is_none()) {
                assert!(new.revision(&name, rollout.from).is_some(), "a rollout can go back");
                assert_eq!(rollout.to, row.revision);
            }
            let same = old.deployment(&name) == Some(row)
                && old.replicas_of(&name).eq(new.replicas_of(&name));
            let version = self.versions.insert(name.clone(), row.version).unwrap_or(0);
            assert_eq!(version == row.version, same, "a version for every change");
            assert!(row.version >= version);
        }
        for replica in new.replicas().filter(|r| old.replica(&r.id).is_none()) {
            assert!(matches!(replica.id.slot, Slot::Index(_)));
            assert!(self.replicas.insert(replica.id.clone()), "{} twice", replica.id);
        }
    }
}

/// No tick is decided twice, and what was decided of one stays so as long as it is kept.
fn check_runs(old: &State, new: &State) {
    for row in new.deployments() {
        let former = old.deployment(&row.name).and_then(|d| d.ticks.get("backup"));
        let Some(ticks) = row.ticks.get("backup") else { continue };
        assert!(ticks.runs.is_sorted_by(|a, b| a.tick < b.tick), "{:?}", ticks.runs);
        assert!(ticks.runs.iter().all(|r| r.tick <= ticks.last));
        for run in &ticks.runs {
            let known = former.and_then(|f| f.run(run.tick));
            let is_new = former.is_none_or(|f| run.tick > f.last);
            assert_eq!(known.is_none(), is_new, "{} is decided again", run.tick);
            let of_tick = |r: &&std::sync::Arc<jaco_api::model::Replica>| {
                r.tick == Some(run.tick) && r.intent == jaco_api::model::Intent::Run
            };
            assert!(new.replicas_of(&row.name).filter(of_tick).count() <= 1, "{} twice", run.tick);
        }
    }
}

/// Blocks have no address in common; each is there as long as a replica needs it, and no longer; it
/// is somebody else's only after its quarantine.
fn check_subnets(old: &State, new: &State, command: &Command) {
    let all: Vec<_> = new.subnets().collect();
    for (at, row) in all.iter().enumerate() {
        assert!(all[..at].iter().all(|other| !overlap(other.prefix, row.prefix)), "{all:?}");
        let SubnetKey { deployment, network, node } = &row.key;
        let needed = new.needed_networks(deployment, *node);
        let was_released = old.subnet(&row.key).is_some_and(|r| r.released.is_some());
        match (row.released, needed) {
            (Some(_), Some(needed)) => assert!(!needed.contains(network), "{row:?}"),
            // What a container is on may be forgotten with its revision: nothing is taken away then.
            (Some(_), None) => assert!(was_released, "{row:?} {command:?}"),
            (None, _) => assert!(new.replicas_of_on(deployment, *node).count() > 0, "{row:?}"),
        }
    }
    for replica in new.replicas().filter(|r| new.is_current(r)) {
        let networks = new.service_of(replica).map(|s| s.schedule.networks.clone());
        for network in networks.unwrap_or_default() {
            let deployment = replica.id.deployment.clone();
            let key = SubnetKey { deployment, network, node: replica.node };
            let row = new.subnet(&key).unwrap_or_else(|| panic!("{key:?} is missing"));
            assert_eq!(row.released, None, "{row:?}");
        }
    }
    for row in old.subnets() {
        let kept = new.subnet(&row.key).is_some_and(|now| now.prefix == row.prefix);
        let ended = row.released.is_some() && matches!(command, Command::ReleaseSubnets(_));
        assert!(kept || ended, "{row:?} is lost by {command:?}");
    }
    let counted = new.blocks();
    assert_eq!(counted.used + counted.quarantined, all.len() as u64);
    assert_eq!(new.next_block().is_some(), counted.free() > 0);
}

/// Virtual addresses are single ones of the pool; each is there while its service asks for it, the same
/// all the time, and no longer than something of the service is there.
fn check_addresses(old: &State, new: &State) {
    let asks = |state: &State, key: &VirtualAddressKey| {
        let planned = state.service(&key.deployment, &key.service);
        planned.is_some_and(|p| p.schedule.virtual_networks().any(|n| *n == key.network))
    };
    let mut taken = BTreeSet::new();
    for row in new.virtual_addresses() {
        let VirtualAddressKey { deployment, network, service } = &row.key;
        assert!(new.settings().service_pool.contains(row.address), "{row:?}");
        assert!(taken.insert(row.address), "{row:?} is somebody else's");
        assert_eq!(new.virtual_address(deployment, network, service), Some(row.address));
        let there = new.replicas_of_service(deployment, service).count();
        assert!(asks(new, &row.key) || there > 0, "{row:?} is nobody's");
        assert!(new.needs_address(&row.key), "{row:?} is kept for nothing");
        let known = old.virtual_addresses.contains(&row.key);
        assert!(known || asks(new, &row.key), "{row:?} is given to nobody");
    }
    for row in old.virtual_addresses() {
        let now = new.virtual_addresses.find(&row.key);
        assert!(now.is_none_or(|now| now == row), "{row:?} has become {now:?}");
        let asked = asks(old, &row.key) && asks(new, &row.key);
        assert!(now.is_some() || !asked, "{row:?} is lost");
    }
    for replica in new.replicas().filter(|r| r.tick.is_none() && new.is_current(r)) {
        let ReplicaId { deployment, service, .. } = &replica.id;
        if old.replicas_of_service(deployment, service).next().is_none() {
            let planned = new.service(deployment, service).unwrap();
            let lacks = new.lacking_addresses(deployment, service, &planned.schedule).next();
            assert_eq!(lacks, None, "{} is there before its address", replica.id);
        }
    }
    let count = new.virtual_address_count();
    assert_eq!(count.used, taken.len() as u64);
    assert_eq!(new.next_virtual_address().is_some(), count.free() > 0);
}

fn check_bounds(state: &State) {
    for replica in state.replicas() {
        assert!(state.events_of(&replica.id).count() <= 20);
    }
    for (name, count) in state.revisions.iter().fold(BTreeMap::new(), |mut counts, ((n, _), _)| {
        *counts.entry(n.clone()).or_insert(0usize) += 1;
        counts
    }) {
        let kept = state.settings().revision_retention as usize;
        assert!(count <= kept + 2, "{name} keeps {count}");
    }
}

/// Two nodes, few blocks and few addresses of services.
fn scenario() -> Scenario {
    let mut s = Scenario::new();
    for (key, value) in [("address_pools", POOLS[1]), ("service_pool", RANGES[0])] {
        let (key, value) = (key.to_owned(), value.to_owned());
        assert_eq!(s.run(Command::SetSetting(SetSetting { key, value })), Outcome::Done);
    }
    s.with_nodes(2)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn commands_keep_what_the_state_promises(steps in steps(120)) {
        let mut s = scenario();
        let mut lives = Lives::default();
        for step in &steps {
            let old = s.state.clone();
            s.pass(Span::secs(1));
            let command = step.command(&old);
            let outcome = s.run(command.clone());
            check_subnets(&old, &s.state, &command);
            check_addresses(&old, &s.state);
            check_runs(&old, &s.state);
            lives.check(&old, &s.state);
            check_indexes(&s.state);
            check_bounds(&s.state);
            if matches!(outcome, Outcome::Rejected(_)) {
                prop_assert!(old.replicas.same_as(&s.state.replicas));
                prop_assert!(old.deployments.same_as(&s.state.deployments));
                prop_assert!(old.subnets.same_as(&s.state.subnets));
                prop_assert!(old.virtual_addresses.same_as(&s.state.virtual_addresses));
                prop_assert!(old.documents.same_as(&s.state.documents));
            }
        }
    }

    #[test]
    fn two_replicas_of_the_log_and_a_snapshot_agree(steps in steps(80), cut in any::<prop::sample::Index>()) {
        let start = scenario();
        let mut s = start.clone();
        let mut outcomes = Vec::new();
        for step in &steps {
            let command = step.command(&s.state);
            s.pass(Span::secs(1));
            outcomes.push(s.run(command));
        }
        let log: Vec<_> = s.log.iter().map(|(index, entry)| (*index, encode(entry))).collect();
        let cut = cut.index(log.len());
        let mut second = start.state;
        for (n, (index, bytes)) in log.iter().enumerate() {
            prop_assert!(!holds(bytes, SENTINEL));
            if n == cut {
                second = snapshot::read(&snapshot::write(&second)).unwrap();
            }
            let (next, outcome) = second.apply(*index, &decode(bytes).unwrap());
            prop_assert_eq!(&outcome, &outcomes[n]);
            second = next;
        }
        let bytes = snapshot::write(&s.state);
        prop_assert!(!holds(&bytes, SENTINEL));
        prop_assert_eq!(&bytes, &snapshot::write(&second));
        let read = snapshot::read(&bytes).unwrap();
        check_indexes(&read);
        prop_assert_eq!(bytes, snapshot::write(&read));
    }
}
