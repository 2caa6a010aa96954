//! Runs seeds, each in a process of its own: nothing one run leaves behind can change another one.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::sabotage::Sabotage;

/// A run that takes longer is stuck.
const LONGEST: Duration = Duration::from_secs(240);

/// Which seeds are run, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program that runs one seed: `jaco-sim`.
    pub program: PathBuf,
    /// Seeds from here on.
    pub first: u64,
    /// As many as this, or for ever.
    pub count: Option<u64>,
    /// None is begun after so long.
    pub time: Option<Duration>,
    /// So many at a time.
    pub jobs: usize,
    /// Every run goes on after a failure.
    pub keep_going: bool,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
}

/// What a process said of its run.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its seed.
    pub seed: u64,
    /// Whether every promise was kept.
    pub ok: bool,
    /// What it said.
    pub output: String,
}

/// What came of all runs.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many there were.
    pub ran: u64,
    /// Those that failed.
    pub failed: Vec<Ran>,
}

/// Runs the seeds of a plan; `told` hears of each run when it ends.
///
/// # Errors
/// When no process can be started.
pub fn run_all(plan: &Plan, told: impl Fn(&Ran) + Sync) -> io::Result<Summary> {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let summary = Mutex::new(Summary::default());
    let failure = Mutex::new(None);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let late = plan.time.is_some_and(|time| began.elapsed() >= time);
                    let over = plan.count.is_some_and(|count| at >= count);
                    if late || over || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    match run_one(&plan.program, plan.first.wrapping_add(at), plan.sabotage) {
                        Ok(ran) => {
                            told(&ran);
                            let mut all = summary.lock().unwrap_or_else(PoisonError::into_inner);
                            all.ran += 1;
                            if !ran.ok {
                                stop.fetch_or(!plan.keep_going, Ordering::Relaxed);
                                all.failed.push(ran);
                            }
                        }
                        Err(error) => {
                            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(summary.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// Runs one seed in a process of its own.
///
/// # Errors
/// When it cannot be started.
#[expect(clippy::disallowed_methods, reason = "a thread of its own looks after a process")]
pub fn run_one(program: &Path, seed: u64, sabotage: Option<Sabotage>) -> io::Result<Ran> {
    let mut command = Command::new(program);
    command.args(["--seed", &seed.to_string()]);
    if let Some(sabotage) = sabotage {
        command.args(["--sabotage", sabotage.word()]);
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let id = child.id();
    let output = Arc::new(Mutex::new(Vec::new()));
    let readers = [read(child.stdout.take(), &output), read(child.stderr.take(), &output)];
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if began.elapsed() > LONGEST {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    for reader in readers.into_iter().flatten() {
        // It ends with the process.
        let _ = reader.join();
    }
    let bytes = output.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut output = String::from_utf8_lossy(&bytes).into_owned();
    if status.is_none() {
        output.push_str(&format!("process {id} was stuck after {} s\n", LONGEST.as_secs()));
    }
    Ok(Ran { seed, ok: status.is_some_and(|status: ExitStatus| status.success()), output })
}

/// Gathers what a process says.
fn read(
    from: Option<impl io::Read + Send + 'static>,
    to: &Arc<Mutex<Vec<u8>>>,
) -> Option<std::thread::JoinHandle<()>> {
    let (mut from, to) = (from?, Arc::clone(to));
    Some(std::thread::spawn(move || {
        let mut buffer = [0; 8 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
        }
    }))
}
