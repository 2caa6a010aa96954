//! `test`: everything that can run here, and a loud word about what cannot.

use std::{path::Path, process::Command, time::Instant};

use clap::Args;
use jaco_harness::{Rig, RigOptions};

use crate::{
    build,
    error::{Result, TaskError},
    machine::{cargo, has, is_root, run},
    programs::{self, program, tests},
    rig::load_images,
    say, setup,
};

const EXAMPLES: &[&str] = &["embed-node", "custom-runtime", "deploy-from-rust"];

#[derive(Args)]
pub(crate) struct Test {
    /// Leaves out the rig
    #[arg(long, conflicts_with = "require_rig")]
    no_rig: bool,
    /// Fails when the rig cannot run, instead of saying so
    #[arg(long, env = "JACO_REQUIRE_RIG")]
    require_rig: bool,
    /// Runs the rig only
    #[arg(long, conflicts_with = "no_rig")]
    only_rig: bool,
    /// For how long fresh seeds are simulated; 0 leaves them out
    #[arg(long, default_value_t = 2.0, value_name = "MINUTES")]
    sim_minutes: f64,
    /// Rig scenarios to run: those whose name holds one of these
    scenarios: Vec<String>,
}

struct Step {
    name: &'static str,
    outcome: Result<()>,
    seconds: u64,
}

fn step(steps: &mut Vec<Step>, name: &'static str, work: impl FnOnce() -> Result<()>) {
    say::step(name);
    let started = Instant::now();
    let outcome = work();
    if let Err(error) = &outcome {
        say::error(error);
    }
    steps.push(Step { name, outcome, seconds: started.elapsed().as_secs() });
}

impl Test {
    pub(crate) fn run(&self) -> Result<()> {
        let mut steps = Vec::new();
        if !self.only_rig {
            step(&mut steps, "Building", programs::build);
            step(&mut steps, "Tests in process, reference pages, example stacks", || {
                run(&mut programs::all_tests())
            });
            if !has("docker-compose") {
                say::loud("SKIPPED comparing manifests with docker-compose: `cargo xtask setup`");
            }
            if !(is_root() && has("ip") && has("nft")) {
                say::loud(
                    "SKIPPED sending packets through the firewall: needs root, `ip` and `nft`",
                );
            }
            if !(has("pebble") && has("named")) {
                say::loud(
                    "SKIPPED asking a real CA and a real name server for certificates: `cargo xtask setup`",
                );
            }
            mesh_devices_left_out();
            step(&mut steps, "Documentation tests", || {
                run(&mut cargo(&["test", "-q", "--workspace", "--doc"]))
            });
            step(&mut steps, "Examples", examples);
            if self.sim_minutes > 0.0 {
                step(&mut steps, "Simulator: fresh seeds", || fresh_seeds(self.sim_minutes));
            }
        }
        let skipped = if self.no_rig { Some("--no-rig".to_owned()) } else { rig_obstacle() };
        match &skipped {
            None => {
                if !self.only_rig {
                    step(&mut steps, "Rig: the runtime on a real engine", runtime_on_an_engine);
                }
                step(&mut steps, "Rig: real engines, real daemons", || self.rig());
            }
            Some(reason) if self.require_rig => {
                let reason = reason.clone();
                step(&mut steps, "Rig", || Err(TaskError::RigRequired { reason }));
            }
            Some(reason) => say::loud(&format!("SKIPPED the rig (real engines): {reason}")),
        }
        summary(&steps, skipped.as_deref())
    }

    fn rig(&self) -> Result<()> {
        let (directory, _) = build::binaries()?;
        for mut rig in tests("tests/e2e", &["rig"])? {
            run(rig.args(&self.scenarios).env("JACO_BIN_DIR", &directory))?;
        }
        Ok(())
    }
}

/// What needs an engine but no daemon: the suites of the runtime, and the example that embeds a node.
fn runtime_on_an_engine() -> Result<()> {
    let (_, binaries) = build::binaries()?;
    let suites = ["conformance", "agent_docker", "hooks_docker", "files_docker", "attributes"];
    let suites = tests("jaco-runtime", &suites)?;
    let rig = Rig::up(&RigOptions::default())?;
    load_images(&rig, &binaries)?;
    let engine = rig.host(0).engine().url();
    // Run where the containers' networks are.
    let inside = |suite: &Command| {
        let mut inside = rig.host(0).command(suite.get_program());
        inside.args(["-q"]).current_dir(suite.get_current_dir().unwrap_or(Path::new("/")));
        let files = rig.host(0).memory().join("files");
        inside.env("JACO_TEST_DOCKER", &engine).env("JACO_TEST_FILES", files);
        inside
    };
    let tested: Vec<_> = suites.iter().map(|suite| run(&mut inside(suite))).collect();
    let example = ["--docker", "shop-app:1"];
    let shown = run(program("example-embed-node").args(example).env("DOCKER_HOST", &engine));
    rig.down()?;
    tested.into_iter().chain([shown]).collect()
}

fn fresh_seeds(minutes: f64) -> Result<()> {
    run(program("jaco-sim").args(["--minutes", &minutes.to_string()]))
}

fn examples() -> Result<()> {
    for example in EXAMPLES {
        run(&mut program(&format!("example-{example}")))?;
    }
    Ok(())
}

/// Says which mesh devices the tests passed over.
fn mesh_devices_left_out() {
    // Asking for it, as the tests do, loads the module if there is one.
    if !Path::new("/sys/module/wireguard").exists() {
        say::loud("SKIPPED the mesh by the kernel, which has no WireGuard: `cargo xtask vm mesh`");
    }
    if !is_root() || !Path::new("/dev/net/tun").exists() {
        say::loud("SKIPPED the mesh in user space: it needs root and /dev/net/tun");
    }
}

/// Why the rig cannot run here.
fn rig_obstacle() -> Option<String> {
    if !is_root() {
        return Some("not root".to_owned());
    }
    setup::install_if_possible().err()
}

fn summary(steps: &[Step], skipped: Option<&str>) -> Result<()> {
    say::step("Summary");
    for step in steps {
        let word = if step.outcome.is_ok() { "ok" } else { "FAILED" };
        say::note(&format!("{word:>8}  {:>4} s  {}", step.seconds, step.name));
    }
    if let Some(reason) = skipped {
        say::note(&format!(" SKIPPED          Rig: {reason}"));
    }
    let failed: Vec<&str> = steps.iter().filter(|s| s.outcome.is_err()).map(|s| s.name).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let names = failed.join(", ");
    Err(TaskError::Steps { count: failed.len(), total: steps.len(), names })
}
