//! What commands do that are run in a container in memory: a tiny part of the shell.
//!
//! `echo`, `cat`, `read`, `sleep`, `exit`, `true`, `false`, `mkdir -p`, `pwd` and `stty size`, one
//! after the other, with `$NAME`, `> file`, `>> file`, `< file` and `>&2`. They work on the files
//! and the environment of their container.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, DuplexStream},
    sync::{mpsc, watch},
};

use super::FakeRuntime;
use crate::container::{ExecOutput, TerminalSize};

/// Programs that are there.
const PROGRAMS: [&str; 10] =
    ["echo", "cat", "read", "sleep", "exit", "true", "false", "mkdir", "pwd", "stty"];

/// Where a command runs.
pub(super) struct Shell {
    pub(super) engine: FakeRuntime,
    pub(super) container: String,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) directory: String,
    pub(super) input: BufReader<DuplexStream>,
    pub(super) output: mpsc::Sender<ExecOutput>,
    pub(super) terminal: Option<watch::Receiver<TerminalSize>>,
}

/// The reader of the output has gone.
struct Gone;

/// One command with where it reads from and writes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    words: Vec<String>,
    from: Option<String>,
    to: Option<(String, bool)>,
    stderr: bool,
}

impl Shell {
    /// The script of a command line, or why it cannot be executed: the exit code and the words.
    pub(super) fn script(
        scripts: &BTreeMap<String, String>,
        argv: &[String],
    ) -> Result<String, (i64, String)> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err((126, "no command specified".to_owned()));
        };
        let base = program.rsplit('/').next().unwrap_or(program);
        if let Some(script) = scripts.get(program) {
            return Ok(script.clone());
        }
        match arguments {
            [flag, script, ..] if base == "sh" && flag == "-c" => Ok(script.clone()),
            _ if base == "sh" => Ok("while read".to_owned()),
            _ if PROGRAMS.contains(&base) && !program.starts_with("/nonexistent") => {
                let words = arguments.iter().map(|a| format!(" '{a}'"));
                Ok(format!("{base}{}", words.collect::<String>()))
            }
            _ => Err((127, format!("exec: \"{program}\": executable file not found in $PATH"))),
        }
    }

    /// Runs a script to its end; its exit code.
    pub(super) async fn run(mut self, script: &str) -> i64 {
        // A shell at a terminal: every line that is typed is a script.
        if script == "while read" {
            return self.converse().await;
        }
        self.lines(script).await.map_or(141, |(_, code)| code)
    }

    async fn converse(&mut self) -> i64 {
        let mut code = 0;
        let mut typed = String::new();
        while self.input.read_line(&mut typed).await.is_ok_and(|n| n > 0) {
            match Box::pin(self.lines(typed.trim_end())).await {
                Ok((false, last)) => code = last,
                Ok((true, last)) => return last,
                Err(Gone) => return 141,
            }
            typed.clear();
        }
        code
    }

    /// Whether the script said to end, and the last exit code.
    async fn lines(&mut self, script: &str) -> Result<(bool, i64), Gone> {
        let mut code = 0;
        for (needs_success, line) in parse(script) {
            if needs_success && code != 0 {
                continue;
            }
            let line = Line {
                words: line.words.iter().map(|w| self.expand(w)).collect(),
                from: line.from.map(|w| self.expand(&w)),
                to: line.to.map(|(w, append)| (self.expand(&w), append)),
                ..line
            };
            let Some(program) = line.words.first().cloned() else { continue };
            if program == "exit" {
                let said = line.words.get(1).and_then(|w| w.parse().ok());
                return Ok((true, said.unwrap_or(code)));
            }
            code = self.command(&program, &line).await?;
        }
        Ok((false, code))
    }

    fn expand(&self, word: &str) -> String {
        let mut parts = word.split('$');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, rest) = part.split_at(end.unwrap_or(part.len()));
            text.push_str(self.environment.get(name).map_or("", String::as_str));
            text.push_str(rest);
        }
        text
    }

    async fn command(&mut self, program: &str, line: &Line) -> Result<i64, Gone> {
        let arguments = &line.words[1..];
        match program {
            "true" | ":" => Ok(0),
            "false" => Ok(1),
            "echo" => self.write(line, format!("{}\n", arguments.join(" ")).as_bytes()).await,
            "pwd" => self.write(line, format!("{}\n", self.directory).as_bytes()).await,
            "sleep" => {
                let time = arguments.first().and_then(|t| t.parse().ok());
                match time.and_then(|t| Duration::try_from_secs_f64(t).ok()) {
                    Some(time) => tokio::time::sleep(time).await,
                    None => std::future::pending().await,
                }
                Ok(0)
            }
            "mkdir" => {
                for path in arguments.iter().filter(|a| !a.starts_with('-')) {
                    let path = self.path(path);
                    self.files(|tree| tree.make_directory(&path));
                }
                Ok(0)
            }
            "read" => self.read(arguments).await,
            "cat" => self.cat(line, arguments).await,
            "stty" => match self.terminal.as_ref().map(|t| *t.borrow()) {
                Some(TerminalSize { rows, columns }) => {
                    self.write(line, format!("{rows} {columns}\n").as_bytes()).await
                }
                None => self.complain("stty: standard input: Not a tty").await,
            },
            other => {
                self.complain(&format!("sh: {other}: not found")).await?;
                Ok(127)
            }
        }
    }

    async fn read(&mut self, arguments: &[String]) -> Result<i64, Gone> {
        let mut typed = String::new();
        let read = self.input.read_line(&mut typed).await.unwrap_or(0);
        let names = arguments.iter().filter(|a| !a.starts_with('-'));
        for name in names {
            self.environment.insert(name.clone(), typed.trim_end().to_owned());
        }
        Ok(i64::from(read == 0))
    }

    async fn cat(&mut self, line: &Line, arguments: &[String]) -> Result<i64, Gone> {
        let files = if arguments.is_empty() { line.from.as_slice() } else { arguments };
        if files.is_empty() {
            let mut bytes = vec![0; 8192];
            while let Ok(n @ 1..) = self.input.read(&mut bytes).await {
                self.write(line, &bytes[..n]).await?;
            }
            return Ok(0);
        }
        let mut code = 0;
        for file in files {
            let path = self.path(file);
            match self.files(|tree| tree.read(&path)) {
                Some(bytes) => drop(self.write(line, &bytes).await?),
                None => {
                    let why = format!("cat: can't open '{file}': No such file or directory");
                    code = self.complain(&why).await?;
                }
            }
        }
        Ok(code)
    }

    fn path(&self, path: &str) -> String {
        if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.directory) }
    }

    fn files<T: Default>(&self, work: impl FnOnce(&mut super::tree::Tree) -> T) -> T {
        let mut world = self.engine.lock();
        world.find_mut(&self.container).map(|f| work(&mut f.tree)).unwrap_or_default()
    }

    async fn complain(&self, text: &str) -> Result<i64, Gone> {
        self.send(true, format!("{text}\n").as_bytes()).await?;
        Ok(1)
    }

    async fn write(&self, line: &Line, bytes: &[u8]) -> Result<i64, Gone> {
        let Some((file, append)) = &line.to else {
            self.send(line.stderr, bytes).await?;
            return Ok(0);
        };
        let path = self.path(file);
        let written = self.files(|tree| Some(tree.write(&path, bytes, *append)));
        match written {
            Some(Ok(())) => Ok(0),
            _ => self.complain(&format!("sh: can't create {file}: nonexistent directory")).await,
        }
    }

    async fn send(&self, stderr: bool, bytes: &[u8]) -> Result<(), Gone> {
        let (stderr, bytes) = match &self.terminal {
            Some(_) => (false, cooked(bytes)),
            None => (stderr, Bytes::copy_from_slice(bytes)),
        };
        self.output.send(ExecOutput { stderr, bytes }).await.map_err(|_| Gone)
    }
}

/// Output as a terminal shows it.
pub(super) fn cooked(bytes: &[u8]) -> Bytes {
    let parts: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    parts.join(&b"\r\n"[..]).into()
}

/// Commands, and whether each wants the one before it to have succeeded.
fn parse(script: &str) -> Vec<(bool, Line)> {
    let mut lines = Vec::new();
    let mut needs_success = false;
    let mut line = Line::default();
    let mut words = words(script).into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "\0;" | "\0&&" => {
                lines.push((needs_success, std::mem::take(&mut line)));
                needs_success = word == "\0&&";
            }
            "\0>&2" => line.stderr = true,
            "\0<" => line.from = words.next(),
            "\0>" => line.to = words.next().map(|w| (w, false)),
            "\0>>" => line.to = words.next().map(|w| (w, true)),
            _ => line.words.push(word),
        }
    }
    lines.push((needs_success, line));
    lines
}

/// Words without their quotes; an operator begins with NUL.
fn words(script: &str) -> Vec<String> {
    const OPERATORS: [(&str, &str); 7] = [
        (">&2", "\0>&2"),
        (">>", "\0>>"),
        (">", "\0>"),
        ("<", "\0<"),
        ("&&", "\0&&"),
        (";", "\0;"),
        ("\n", "\0;"),
    ];
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        if let Some((text, operator)) = OPERATORS.iter().find(|(text, _)| rest.starts_with(text)) {
            words.extend(word.take());
            words.push((*operator).to_owned());
            rest = &rest[text.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\'' | '"' => {
                let (quoted, after) = rest.split_once(c).unwrap_or((rest, ""));
                word.get_or_insert_default().push_str(quoted);
                rest = after;
            }
            ' ' | '\t' => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_come_apart_into_commands() {
        let lines = parse("echo 'a; b' c > /f && cat < /f >&2; exit 3");
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].1.words, ["echo", "a; b", "c"]);
        assert_eq!(lines[0].1.to, Some(("/f".to_owned(), false)));
        assert_eq!(
            lines[1],
            (
                true,
                Line {
                    words: vec!["cat".to_owned()],
                    from: Some("/f".to_owned()),
                    to: None,
                    stderr: true,
                }
            )
        );
        assert_eq!((lines[2].0, lines[2].1.words.len()), (false, 2));
    }

    #[test]
    fn what_is_not_there_cannot_be_executed() {
        let argv = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let none = BTreeMap::new();
        assert_eq!(Shell::script(&none, &argv(&["frobnicate"])).unwrap_err().0, 127);
        assert_eq!(Shell::script(&none, &argv(&["/bin/echo", "x"])).unwrap(), "echo 'x'");
        let mine = BTreeMap::from([("frobnicate".to_owned(), "exit 7".to_owned())]);
        assert_eq!(Shell::script(&mine, &argv(&["frobnicate"])).unwrap(), "exit 7");
    }
}
