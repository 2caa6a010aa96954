//! Log lines: to the journal under systemd, as text on a terminal, as JSON otherwise.
//!
//! Every line names its subsystem (the `target`), and none holds a secret: secrets have no text form.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::LevelFilter, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use crate::config::{LogFormat, LogLevel};

/// Changes which lines are written while the daemon runs.
pub(crate) struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoggingError {
    #[error("the journal cannot be reached (`log_format: journald` in jacod.yaml)")]
    Journal(#[source] io::Error),
    #[error("logging has begun already")]
    Begun(#[from] tracing_subscriber::util::TryInitError),
}

impl Logging {
    pub(crate) fn begin(level: LogLevel, format: LogFormat) -> Result<Self, LoggingError> {
        let (filter, handle) = reload::Layer::new(lines(level));
        let writer: Box<dyn Layer<_> + Send + Sync> = match resolve(format) {
            LogFormat::Journald => {
                Box::new(tracing_journald::layer().map_err(LoggingError::Journal)?)
            }
            LogFormat::Text => Box::new(
                tracing_subscriber::fmt::layer()
                    .with_ansi(io::stderr().is_terminal())
                    .with_writer(io::stderr),
            ),
            LogFormat::Json | LogFormat::Auto => {
                Box::new(tracing_subscriber::fmt::layer().json().with_writer(io::stderr))
            }
        };
        tracing_subscriber::registry().with(filter).with(writer).try_init()?;
        Ok(Self { filter: handle })
    }

    /// Writes these lines from now on.
    pub(crate) fn set_level(&self, level: LogLevel) {
        if let Err(error) = self.filter.reload(lines(level)) {
            tracing::error!(%error, "the log level could not be changed");
        }
    }
}

/// What `auto` means here.
fn resolve(format: LogFormat) -> LogFormat {
    match format {
        LogFormat::Auto if std::env::var_os("JOURNAL_STREAM").is_some() => LogFormat::Journald,
        LogFormat::Auto if io::stderr().is_terminal() => LogFormat::Text,
        LogFormat::Auto => LogFormat::Json,
        chosen => chosen,
    }
}

/// Our own lines of this level; those of libraries from `warn` on, unless everything is wanted.
fn lines(level: LogLevel) -> EnvFilter {
    let libraries = match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Error => LevelFilter::ERROR,
        _ => LevelFilter::WARN,
    };
    const OURS: &[&str] = &[
        "jacod",
        "jaco_engine",
        "jaco_runtime",
        "jaco_net",
        "jaco_ingress",
        "jaco_client",
        "jaco_api",
    ];
    let directives = OURS.iter().map(|name| format!("{name}={}", level.as_str()));
    let directives = directives.collect::<Vec<_>>().join(",");
    EnvFilter::builder().with_default_directive(libraries.into()).parse_lossy(directives)
}
