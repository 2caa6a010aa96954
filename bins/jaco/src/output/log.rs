//! The program's own log, on standard error.

use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    cli::{GlobalArgs, LogLevel},
    dial::Environment,
};

/// The program's own parts: the libraries below them talk too much to be of help.
const OWN: [&str; 3] = ["jaco_cli", "jaco_client", "jaco_api"];

/// What is logged: the level of `--log-level`, then `--verbose`, then `JACO_LOG`, then `warn`. A
/// `JACO_LOG` that is no level is taken as a filter of its own.
#[must_use]
pub fn filter(global: &GlobalArgs, env: &Environment) -> String {
    let of = |level: LogLevel| {
        let own = OWN.map(|part| format!(",{part}={}", level.as_str()));
        format!("warn{}", own.concat())
    };
    if let Some(level) = global.log_level {
        return if level == LogLevel::Error { "error".to_owned() } else { of(level) };
    }
    if global.verbose {
        return of(LogLevel::Debug);
    }
    let level = |text: &str| <LogLevel as clap::ValueEnum>::from_str(text, true).ok();
    match env.var("JACO_LOG").filter(|text| !text.is_empty()) {
        Some(text) => level(&text).map_or(text, of),
        None => of(LogLevel::Warn),
    }
}

/// Starts logging.
pub fn start(global: &GlobalArgs, env: &Environment) {
    let filter = EnvFilter::try_new(filter(global, env)).unwrap_or_else(|_| EnvFilter::new("warn"));
    // A second start in one process (tests) keeps the first.
    let _ = fmt().with_env_filter(filter).with_writer(std::io::stderr).compact().try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_beats_verbose_beats_the_variable() {
        let env = |level| Environment::new([("JACO_LOG", level)], "/nonexistent");
        let flags = |log_level, verbose| GlobalArgs { log_level, verbose, ..GlobalArgs::default() };
        let level = |flags, env: &Environment| {
            filter(&flags, env).rsplit('=').next().unwrap_or_default().to_owned()
        };
        assert_eq!(level(flags(Some(LogLevel::Info), true), &env("error")), "info");
        assert_eq!(level(flags(None, true), &env("error")), "debug");
        assert_eq!(level(flags(None, false), &env("info")), "info");
        assert_eq!(level(flags(None, false), &env("")), "warn");
        assert_eq!(filter(&flags(None, false), &env("h2=trace")), "h2=trace");
    }
}
