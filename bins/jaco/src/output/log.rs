//! The program's own log, on standard error.

use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    cli::{GlobalArgs, LogLevel},
    dial::Environment,
};

/// Which level holds: `--log-level`, then `--verbose`, then `JACO_LOG`, then `warn`.
#[must_use]
pub fn level(global: &GlobalArgs, env: &Environment) -> String {
    match (global.log_level, global.verbose) {
        (Some(level), _) => level.as_str().to_owned(),
        (None, true) => LogLevel::Debug.as_str().to_owned(),
        (None, false) => env
            .var("JACO_LOG")
            .filter(|l| !l.is_empty())
            .unwrap_or_else(|| LogLevel::Warn.as_str().to_owned()),
    }
}

/// Starts logging.
pub fn start(global: &GlobalArgs, env: &Environment) {
    let filter = EnvFilter::try_new(level(global, env)).unwrap_or_else(|_| EnvFilter::new("warn"));
    // A second start in one process (tests) keeps the first.
    let _ = fmt().with_env_filter(filter).with_writer(std::io::stderr).compact().try_init();
}
