//! The suite every engine must pass.
//!
//! It runs on the engine in memory and on real ones: [`all`] takes any [`ContainerRuntime`] and an
//! image the engine has, with `sh`, `sleep`, `echo`, `cat`, `stty`, `mkdir` and `nc` in it.
//! Everything it makes carries a label of its own and is removed again. It panics with what went
//! wrong. It connects to containers, so it runs where their networks are.

mod addresses;
mod exec;
mod files;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use jaco_api::model::{ContainerSpec, Health, Healthcheck, Mount, MountSource, Span, Timestamp};

use crate::container::{
    Container, ContainerRequest, ContainerRuntime, ContainerStatus, EventAction, ImageRef, Labels,
    LogQuery, NetworkJoin, NetworkRequest, RuntimeError, VolumeRequest,
};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

struct Bench<'a> {
    engine: &'a dyn ContainerRuntime,
    image: &'a str,
    /// Sets what one case makes apart from all others.
    case: &'static str,
}

/// Runs every case, one after the other.
///
/// # Panics
/// When the engine does not do what the trait promises.
pub async fn all(engine: &dyn ContainerRuntime, image: &str) {
    let bench = |case| Bench { engine, image, case };
    sweep(engine).await;
    it_says_what_it_is(bench("version")).await;
    images_are_found_or_not(bench("images")).await;
    networks_are_unique_by_name_and_stay_while_used(bench("networks")).await;
    volumes_keep_what_they_are_and_stay_while_used(bench("volumes")).await;
    what_is_missing_or_in_the_way_is_told_apart(bench("create")).await;
    a_container_is_made_started_stopped_and_removed(bench("life")).await;
    a_container_that_does_not_listen_is_killed_after_its_grace(bench("grace")).await;
    a_container_can_be_given_less_time_to_stop(bench("hurry")).await;
    a_container_that_ends_shows_its_exit_code(bench("exit")).await;
    a_program_that_does_not_exist_is_refused(bench("refused")).await;
    health_is_reported_with_its_output(bench("health")).await;
    output_is_read_from_the_end_and_followed_to_it(bench("logs")).await;
    events_of_ones_own_are_told_in_order(bench("events")).await;
    addresses::all(engine, image).await;
    exec::all(engine, image).await;
    files::all(engine, image).await;
    sweep(engine).await;
}

const LABEL: &str = "jaco.conformance";

/// Removes what an earlier run left.
async fn sweep(engine: &dyn ContainerRuntime) {
    for container in engine.list(&Labels::new()).await.expect("list") {
        if container.labels.contains_key(LABEL) {
            engine.remove(&container.id).await.expect("remove");
        }
    }
    for network in engine.networks(&Labels::new()).await.expect("networks") {
        if network.labels.contains_key(LABEL) {
            engine.remove_network(&network.id).await.expect("remove network");
        }
    }
}

impl Bench<'_> {
    fn name(&self, part: &str) -> String {
        format!("jaco-conformance-{}-{part}", self.case)
    }
    fn labels(&self) -> Labels {
        Labels::from([(LABEL.to_owned(), self.case.to_owned())])
    }
    fn request(&self, part: &str, script: &str) -> ContainerRequest {
        let spec = ContainerSpec {
            image: self.image.to_owned(),
            command: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
            stop_grace_period: Some(Span::secs(1)),
            ..ContainerSpec::default()
        };
        let (name, labels) = (self.name(part), self.labels());
        ContainerRequest {
            name,
            labels,
            spec: Arc::new(spec),
            networks: Vec::new(),
            files: Vec::new(),
            lead: None,
        }
    }
    async fn run(&self, request: &ContainerRequest) -> String {
        let id = self.engine.create(request).await.expect("create");
        self.engine.start(&id).await.expect("start");
        id
    }
    async fn inspect(&self, id: &str) -> Container {
        self.engine.inspect(id).await.expect("inspect")
    }
    async fn until(&self, id: &str, what: &str, holds: impl Fn(&Container) -> bool) -> Container {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let seen = self.inspect(id).await;
            if holds(&seen) {
                return seen;
            }
            let late = tokio::time::Instant::now() >= deadline;
            assert!(!late, "{}: not {what} in time: {seen:#?}", self.case);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    async fn network(&self, part: &str) -> String {
        let name = self.name(part);
        let request =
            NetworkRequest { name: name.clone(), labels: self.labels(), ..Default::default() };
        self.engine.create_network(&request).await.expect("create network");
        name
    }
    async fn remove_networks(&self) {
        for network in self.engine.networks(&self.labels()).await.expect("networks") {
            self.engine.remove_network(&network.id).await.expect("remove network");
        }
    }
}

async fn it_says_what_it_is(b: Bench<'_>) {
    b.engine.ping().await.expect("ping");
    let version = b.engine.version().await.expect("version");
    assert!(!version.name.is_empty() && !version.version.is_empty(), "{version:?}");
    assert!(version.platform.starts_with("linux/"), "{version:?}");
    assert!(version.cpus > 0 && version.memory_bytes > 0, "{version:?}");
}

async fn images_are_found_or_not(b: Bench<'_>) {
    let present = async |name: &str| {
        let image = ImageRef { name: name.to_owned(), platform: None };
        b.engine.image_present(&image).await.expect("image_present")
    };
    assert!(present(b.image).await, "{} is to be there", b.image);
    assert!(!present("jaco-conformance/nothing:1").await);
    let fetched_at = async |name: &str| {
        let image = ImageRef { name: name.to_owned(), platform: None };
        b.engine.image_fetched_at(&image).await.expect("image_fetched_at")
    };
    assert!(fetched_at(b.image).await.is_none_or(|at| at > Timestamp(0)));
    assert_eq!(fetched_at("jaco-conformance/nothing:1").await, None);
}

async fn networks_are_unique_by_name_and_stay_while_used(b: Bench<'_>) {
    let name = b.network("net").await;
    let found = b.engine.networks(&b.labels()).await.expect("networks");
    assert_eq!(found.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), [name.as_str()]);
    let again = NetworkRequest { name: name.clone(), ..NetworkRequest::default() };
    let error = b.engine.create_network(&again).await.expect_err("the name is in use");
    assert!(matches!(error, RuntimeError::Conflict { .. }), "{error:?}");

    let second = b.network("second").await;
    let mut request = b.request("member", "sleep 1000");
    request.networks = [&name, &second]
        .map(|n| NetworkJoin {
            network: n.clone(),
            aliases: vec!["member".to_owned()],
            ..NetworkJoin::default()
        })
        .to_vec();
    let member = b.run(&request).await;
    let seen = b.inspect(&member).await;
    assert!(seen.addresses.contains_key(&name) && seen.addresses.contains_key(&second), "{seen:?}");
    let error = b.engine.remove_network(&found[0].id).await.expect_err("it has a member");
    assert!(matches!(error, RuntimeError::Conflict { .. }), "{error:?}");
    b.engine.remove(&member).await.expect("remove");
    b.remove_networks().await;
    let error = b.engine.remove_network(&found[0].id).await.expect_err("it is gone");
    assert!(error.is_not_found(), "{error:?}");
}

async fn volumes_keep_what_they_are_and_stay_while_used(b: Bench<'_>) {
    let name = b.name("volume");
    assert_eq!(b.engine.volume(&name).await.expect("volume"), None);
    let request = VolumeRequest { name: name.clone(), labels: b.labels(), ..Default::default() };
    b.engine.create_volume(&request).await.expect("create volume");
    let again = VolumeRequest { labels: Labels::new(), ..request };
    b.engine.create_volume(&again).await.expect("one that exists is fine");
    let found = b.engine.volume(&name).await.expect("volume").expect("it was made");
    assert_eq!((&found.name, &found.labels), (&name, &b.labels()));

    let mut request = b.request("user", "sleep 1000");
    Arc::make_mut(&mut request.spec).mounts.push(Mount {
        source: MountSource::Volume {
            name: name.clone(),
            external: false,
            driver: String::new(),
            driver_opts: Default::default(),
            nocopy: false,
            subpath: None,
            labels: Default::default(),
        },
        target: "/data".to_owned(),
        read_only: false,
    });
    let user = b.engine.create(&request).await.expect("create");
    let error = b.engine.remove_volume(&name).await.expect_err("it is mounted");
    assert!(matches!(error, RuntimeError::Conflict { .. }), "{error:?}");
    b.engine.remove(&user).await.expect("remove");
    assert!(b.engine.volume(&name).await.expect("volume").is_some(), "named volumes outlive users");
    b.engine.remove_volume(&name).await.expect("remove volume");
    let error = b.engine.remove_volume(&name).await.expect_err("it is gone");
    assert!(error.is_not_found(), "{error:?}");
}

async fn what_is_missing_or_in_the_way_is_told_apart(b: Bench<'_>) {
    let mut request = b.request("x", "sleep 1000");
    Arc::make_mut(&mut request.spec).image = "jaco-conformance/nothing:1".to_owned();
    let error = b.engine.create(&request).await.expect_err("there is no such image");
    assert!(matches!(error, RuntimeError::ImageNotFound { .. }), "{error:?}");

    let mut request = b.request("x", "sleep 1000");
    let join =
        |network: &str| NetworkJoin { network: network.to_owned(), ..NetworkJoin::default() };
    let first = b.network("net").await;
    request.networks = vec![join(&first), join("jaco-conformance-no-such-network")];
    // Some engines look for it only when the container starts.
    let error = match b.engine.create(&request).await {
        Err(error) => error,
        Ok(id) => {
            let error = b.engine.start(&id).await.expect_err("there is no such network");
            b.engine.remove(&id).await.expect("remove");
            error
        }
    };
    assert!(error.is_not_found(), "{error:?}");
    assert!(b.engine.list(&b.labels()).await.expect("list").is_empty(), "all or nothing");

    request.networks.clear();
    let id = b.engine.create(&request).await.expect("create");
    let error = b.engine.create(&request).await.expect_err("the name is in use");
    assert!(matches!(error, RuntimeError::Conflict { .. }), "{error:?}");
    b.engine.remove(&id).await.expect("remove");
    b.remove_networks().await;
    for error in [
        b.engine.inspect(&id).await.err(),
        b.engine.start(&id).await.err(),
        b.engine.stop(&id).await.err(),
        b.engine.remove(&id).await.err(),
        b.engine.logs(&id, &LogQuery::default()).await.err(),
    ] {
        assert!(error.as_ref().is_some_and(RuntimeError::is_not_found), "{error:?}");
    }
}

async fn a_container_is_made_started_stopped_and_removed(b: Bench<'_>) {
    let script = "trap 'exit 7' TERM; while :; do sleep 0.05; done";
    let request = b.request("c", script);
    let id = b.engine.create(&request).await.expect("create");
    let seen = b.inspect(&request.name).await;
    assert_eq!((&seen.id, &seen.name, &seen.labels), (&id, &request.name, &request.labels));
    assert_eq!((seen.status, seen.started_at), (ContainerStatus::Created, None));

    b.engine.start(&id).await.expect("start");
    b.engine.start(&id).await.expect("starting what runs changes nothing");
    let seen = b.inspect(&id).await;
    assert_eq!((seen.status, seen.health), (ContainerStatus::Running, Health::None));
    let first = seen.started_at.expect("it was started");
    let listed = b.engine.list(&b.labels()).await.expect("list");
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].name, listed[0].status), (&request.name, ContainerStatus::Running));
    b.engine.stats(&id).await.expect("stats");

    // The shell needs a moment before it listens to signals; a stop before that takes the grace.
    b.engine.stop(&id).await.expect("stop");
    b.engine.stop(&id).await.expect("stopping what is stopped changes nothing");
    let seen = b.inspect(&id).await;
    assert_eq!(seen.status, ContainerStatus::Exited);
    assert!(matches!(seen.exit_code, Some(7 | 137)), "{seen:?}");
    assert!(seen.finished_at.is_some());
    b.engine.start(&id).await.expect("start again");
    assert!(b.inspect(&id).await.started_at.expect("started again") > first);
    b.engine.remove(&id).await.expect("what runs is removed too");
    assert!(b.engine.list(&b.labels()).await.expect("list").is_empty());
}

async fn a_container_that_does_not_listen_is_killed_after_its_grace(b: Bench<'_>) {
    let mut request = b.request("c", "");
    let spec = Arc::make_mut(&mut request.spec);
    spec.command = Some(vec!["sleep".to_owned(), "1000".to_owned()]);
    spec.stop_grace_period = Some(Span::secs(2));
    let id = b.run(&request).await;
    let began = tokio::time::Instant::now();
    b.engine.stop(&id).await.expect("stop");
    assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
    assert_eq!(b.inspect(&id).await.exit_code, Some(137));
    b.engine.remove(&id).await.expect("remove");
}

async fn a_container_can_be_given_less_time_to_stop(b: Bench<'_>) {
    let script = "trap 'exit 7' TERM; while :; do sleep 0.05; done";
    for (part, script, most) in [("c", "sleep 1000", 1), ("d", script, 60)] {
        let mut request = b.request(part, script);
        Arc::make_mut(&mut request.spec).stop_grace_period = Some(Span::secs(600));
        let id = b.run(&request).await;
        let began = tokio::time::Instant::now();
        b.engine.stop_within(&id, Duration::from_secs(most)).await.expect("stop");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        assert!(!b.inspect(&id).await.status.is_alive());
        b.engine.stop_within(&id, Duration::ZERO).await.expect("what is stopped stays so");
        b.engine.remove(&id).await.expect("remove");
        let error = b.engine.stop_within(&id, Duration::ZERO).await.expect_err("it is gone");
        assert!(error.is_not_found(), "{error:?}");
    }
}

async fn a_container_that_ends_shows_its_exit_code(b: Bench<'_>) {
    let id = b.run(&b.request("c", "exit 3")).await;
    let seen = b.until(&id, "ended", |c| c.status == ContainerStatus::Exited).await;
    assert_eq!((seen.exit_code, seen.oom_killed), (Some(3), false));
    // Not compared with the start: engines take the two times from different places.
    assert!(seen.finished_at.is_some());
    b.engine.remove(&id).await.expect("remove");
}

async fn a_program_that_does_not_exist_is_refused(b: Bench<'_>) {
    let mut request = b.request("c", "");
    Arc::make_mut(&mut request.spec).command = Some(vec!["/nonexistent/program".to_owned()]);
    let id = b.engine.create(&request).await.expect("create");
    let error = b.engine.start(&id).await.expect_err("there is no such program");
    assert!(!error.is_unreachable(), "{error:?}");
    assert!(error.to_string().contains("/nonexistent/program"), "the engine's words: {error}");
    let seen = b.inspect(&id).await;
    assert!(!seen.status.is_alive() && seen.exit_code == Some(127), "{seen:?}");
    b.engine.remove(&id).await.expect("remove");
}

async fn health_is_reported_with_its_output(b: Bench<'_>) {
    let mut events = b.engine.events(&b.labels()).await.expect("events");
    let check = |test: &str| Healthcheck::Check {
        test: vec!["CMD-SHELL".to_owned(), test.to_owned()],
        interval: Some(Span::secs(1)),
        timeout: Some(Span::secs(5)),
        start_period: None,
        start_interval: None,
        retries: Some(1),
    };
    for (test, expected) in [("exit 0", Health::Healthy), ("exit 1", Health::Unhealthy)] {
        let mut request = b.request("c", "sleep 1000");
        Arc::make_mut(&mut request.spec).healthcheck = Some(check(test));
        let id = b.run(&request).await;
        let first = b.inspect(&id).await.health;
        assert!([Health::Starting, expected].contains(&first), "{first:?}");
        let seen = b.until(&id, "decided", |c| c.health == expected).await;
        assert!(seen.health_output.is_some());
        let told = async {
            while let Some(event) = events.next().await {
                if event.expect("event").action == EventAction::Health(expected) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, told).await.expect("the verdict is an event too");
        b.engine.remove(&id).await.expect("remove");
    }
    let mut request = b.request("off", "sleep 1000");
    Arc::make_mut(&mut request.spec).healthcheck = Some(Healthcheck::Disabled);
    let id = b.run(&request).await;
    assert_eq!(b.inspect(&id).await.health, Health::None);
    b.engine.remove(&id).await.expect("remove");
}

async fn output_is_read_from_the_end_and_followed_to_it(b: Bench<'_>) {
    let id = b.run(&b.request("c", "echo one; echo two >&2; sleep 1; echo three; sleep 1")).await;
    let read = async |query: LogQuery| {
        let mut lines = b.engine.logs(&id, &query).await.expect("logs");
        let mut read = Vec::new();
        while let Some(line) = lines.next().await {
            read.push(line.expect("line"));
        }
        read
    };
    let follow = LogQuery { follow: true, ..LogQuery::default() };
    let all = tokio::time::timeout(PATIENCE, read(follow)).await.expect("it ends with its writer");
    let mut texts: Vec<_> = all.iter().map(|l| (l.text.as_str(), l.stderr)).collect();
    // The two streams keep no order between them.
    texts[..2].sort_unstable();
    assert_eq!(texts, [("one", false), ("two", true), ("three", false)]);
    b.until(&id, "ended", |c| c.status == ContainerStatus::Exited).await;
    let last = read(LogQuery { tail: Some(1), ..LogQuery::default() }).await;
    assert_eq!(last.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["three"]);
    let since = read(LogQuery { since: Some(all[2].at), ..LogQuery::default() }).await;
    assert_eq!(since, last);
    b.engine.remove(&id).await.expect("remove");
}

async fn events_of_ones_own_are_told_in_order(b: Bench<'_>) {
    let mut events = b.engine.events(&b.labels()).await.expect("events");
    let mut other = b.request("other", "exit 0");
    other.labels.insert(LABEL.to_owned(), "somebody else".to_owned());
    let other = b.run(&other).await;
    let id = b.run(&b.request("c", "exit 0")).await;
    b.until(&id, "ended", |c| c.status == ContainerStatus::Exited).await;
    b.engine.remove(&id).await.expect("remove");
    b.engine.remove(&other).await.expect("remove");
    use EventAction::{Created, Died, Other, Removed, Started};
    let mut told = Vec::new();
    let all = async {
        while told.last() != Some(&Removed) {
            let event = events.next().await.expect("the stream goes on").expect("event");
            assert_eq!((&event.container, event.labels.get(LABEL)), (&id, b.labels().get(LABEL)));
            if event.action != Other {
                told.push(event.action);
            }
        }
    };
    let all = tokio::time::timeout(PATIENCE, all).await;
    assert!(all.is_ok() && told == [Created, Started, Died, Removed], "{told:?}");
}
