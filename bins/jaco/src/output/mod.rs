//! What is printed, and where: data to standard output, talk to standard error.
//!
//! A command describes its result once; the format chosen on the command line decides whether it
//! becomes a table, JSON or YAML. Progress is shown on terminals only.

pub mod log;
pub mod progress;
pub mod style;
pub mod table;

use std::{
    io::{self, IsTerminal as _, Write},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use jaco_api::{manifest::Diagnostic, model::Timestamp};
use serde::Serialize;

use crate::{
    cli::{ColorChoice, Format, GlobalArgs},
    dial::Environment,
    error::Error,
};

/// Standard error: warnings, notices, errors. Clones write to the same place.
#[derive(Clone)]
pub struct Talk {
    sink: Arc<Mutex<Box<dyn Write + Send>>>,
    color: bool,
    quiet: bool,
}

impl Talk {
    fn line(&self, text: &str) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing can be said when standard error is gone.
        let _ = writeln!(sink, "{text}");
    }

    /// Bytes as they are.
    fn bytes(&self, bytes: &[u8]) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = sink.write_all(bytes).and_then(|()| sink.flush());
    }

    /// Something that must be seen.
    pub fn warn(&self, text: &str) {
        self.line(&format!("{} {text}", style::paint(style::WARNING, "warning:", self.color)));
    }

    /// Something that is good to know; silent with `-q`.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }
}

/// Where a command's result and remarks go.
pub struct Output {
    out: Box<dyn Write + Send>,
    talk: Talk,
    /// How results are written.
    pub format: Format,
    /// Say less.
    pub quiet: bool,
    /// Say more.
    pub verbose: bool,
    /// Whether standard output takes colours.
    pub color: bool,
    /// Columns of the terminal behind standard output; `None` when it is no terminal.
    pub terminal: Option<Width>,
    /// Whether standard error is a terminal, so that progress can be drawn there.
    pub draws: bool,
    now: fn() -> Timestamp,
}

/// How wide a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Whatever the terminal says when a table is drawn.
    Ask,
    /// So many columns.
    Columns(u16),
}

impl Output {
    /// The process's standard output and error.
    #[must_use]
    pub fn of_process(global: &GlobalArgs, env: &Environment) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let colors = |terminal| match global.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                terminal
                    && env.var("NO_COLOR").is_none_or(|v| v.is_empty())
                    && env.var("TERM").is_none_or(|t| t != "dumb")
            }
        };
        let terminal = out.is_terminal();
        Self {
            color: colors(terminal),
            terminal: terminal.then_some(Width::Ask),
            draws: err.is_terminal() && !global.quiet,
            talk: Talk {
                color: colors(err.is_terminal()),
                sink: Arc::new(Mutex::new(Box::new(err))),
                quiet: global.quiet,
            },
            out: Box::new(io::BufWriter::new(out)),
            format: global.output,
            quiet: global.quiet,
            verbose: global.verbose,
            now: || Timestamp::from_system_time(std::time::SystemTime::now()),
        }
    }

    /// Any two writers: no terminal, no colours, a fixed time. For tests and embedding.
    #[must_use]
    pub fn to_writers(
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
        format: Format,
        now: fn() -> Timestamp,
    ) -> Self {
        Self {
            out,
            talk: Talk { sink: Arc::new(Mutex::new(err)), color: false, quiet: false },
            format,
            quiet: false,
            verbose: false,
            color: false,
            terminal: None,
            draws: false,
            now,
        }
    }

    /// The present time, for ages.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Standard error.
    #[must_use]
    pub fn talk(&self) -> Talk {
        self.talk.clone()
    }

    /// Something that must be seen, on standard error.
    pub fn warn(&self, text: &str) {
        self.talk.warn(text);
    }

    /// Something that is good to know, on standard error; silent with `-q`.
    pub fn say(&self, text: &str) {
        self.talk.say(text);
    }

    /// One line of data.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn line(&mut self, text: &str) -> Result<(), Error> {
        writeln!(self.out, "{text}").map_err(Error::Output)
    }

    /// Text that already ends its lines.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn text(&mut self, text: &str) -> Result<(), Error> {
        self.out.write_all(text.as_bytes()).map_err(Error::Output)
    }

    /// Bytes as they are, written out at once.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).and_then(|()| self.out.flush()).map_err(Error::Output)
    }

    /// Bytes as they are, to standard error.
    pub fn error_bytes(&self, bytes: &[u8]) {
        self.talk.bytes(bytes);
    }

    /// One result: `human` writes it as text, unless JSON or YAML was asked for.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn result<T: Serialize>(
        &mut self,
        value: &T,
        human: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.format {
            Format::Table => human(self),
            Format::Json => {
                serde_json::to_writer_pretty(&mut self.out, value).map_err(json_error)?;
                self.line("")
            }
            Format::Yaml => {
                let text = yaml(value)?;
                self.text(&text)
            }
        }
    }

    /// One of a stream of results: a line of JSON, a YAML document, or what `human` writes. Written
    /// out at once.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn item<T: Serialize>(
        &mut self,
        value: &T,
        human: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.piece(value, human)?;
        self.flush()
    }

    /// As [`Output::item`], written out with what follows.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn piece<T: Serialize>(
        &mut self,
        value: &T,
        human: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.format {
            Format::Table => human(self)?,
            Format::Json => {
                serde_json::to_writer(&mut self.out, value).map_err(json_error)?;
                self.line("")?;
            }
            Format::Yaml => {
                let text = yaml(value)?;
                self.text("---\n")?;
                self.text(&text)?;
            }
        }
        Ok(())
    }

    /// A value as YAML, whatever the format.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn yaml<T: Serialize>(&mut self, value: &T) -> Result<(), Error> {
        let text = yaml(value)?;
        self.text(&text)
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// When standard output is gone.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.out.flush().map_err(Error::Output)
    }

    /// Warnings of a manifest, on standard error.
    pub fn warnings(&self, warnings: &[Diagnostic]) {
        if !warnings.is_empty() {
            self.talk.say(jaco_api::manifest::render(warnings, self.talk.color).trim_end());
        }
    }

    /// Says why the command failed, and gives its exit code. With `-o json` or `-o yaml` the problems of a
    /// manifest are data: a list on standard output.
    #[must_use]
    pub fn fail(&mut self, error: &Error) -> ExitCode {
        let as_data = self.format != Format::Table && !error.diagnostics().is_empty();
        // When standard output is gone there is still standard error.
        let as_data = as_data && self.result(&error.diagnostics(), |_| Ok(())).is_ok();
        // What was already printed belongs before the error; a broken pipe is no further news.
        let _ = self.out.flush();
        if let Some(report) = error.report(self.talk.color, !as_data) {
            self.talk.line(report.trim_end());
        }
        ExitCode::from(error.exit_code())
    }
}

fn json_error(error: serde_json::Error) -> Error {
    Error::Output(error.into())
}

fn yaml<T: Serialize>(value: &T) -> Result<String, Error> {
    let mut text =
        serde_saphyr::to_string(value).map_err(|e| Error::Output(io::Error::other(e)))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
