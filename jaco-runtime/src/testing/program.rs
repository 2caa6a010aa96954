//! The few commands the fake engine understands.
//!
//! A container's command is read as a tiny part of the shell: `echo`, `sleep`, `exit`, `true`,
//! `false`, `trap 'exit N' TERM` and endless loops. Everything else runs until it is stopped; `nc`
//! with `-p N` answers at a port, with what it is sent.

use std::{collections::BTreeSet, time::Duration};

/// One thing a program does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Writes a line.
    Echo {
        /// To standard error.
        stderr: bool,
        /// The text.
        text: String,
    },
    /// Waits.
    Sleep(Duration),
    /// Ends.
    Exit(i64),
    /// Never ends by itself.
    Forever,
}

/// What it does when asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnStop {
    /// Ends with this code.
    Exit(i64),
    /// Nothing: it has to be killed.
    Ignore,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// In order.
    pub(crate) actions: Vec<Action>,
    /// When asked to stop.
    pub(crate) on_stop: OnStop,
    /// Where it answers while it runs.
    pub(crate) ports: BTreeSet<u16>,
}

impl Program {
    /// The program of a command line; an empty one runs until it is stopped.
    pub(crate) fn of(argv: &[String]) -> Self {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        match words.as_slice() {
            [shell, "-c", script] if shell.ends_with("sh") => Self::script(script),
            [first, rest @ ..] if ["sleep", "true", "false", "echo"].contains(first) => {
                Self::script(&[&[*first], rest].concat().join(" "))
            }
            _ => Self {
                actions: vec![Action::Forever],
                on_stop: OnStop::Exit(143),
                ports: port(&words).into_iter().collect(),
            },
        }
    }

    /// The program of a shell script. As process 1 it ignores signals it does not trap.
    pub(crate) fn script(script: &str) -> Self {
        let (on_stop, body) = trap(script);
        let (mut actions, mut ports) = (Vec::new(), BTreeSet::new());
        for line in body.split([';', '\n']).flat_map(|l| l.split("&&")).map(str::trim) {
            ports.extend(port(&line.split_whitespace().collect::<Vec<_>>()));
            match action(line) {
                Some(Action::Forever) => {
                    actions.push(Action::Forever);
                    break;
                }
                Some(action) => actions.push(action),
                None => {}
            }
        }
        Self { actions, on_stop, ports }
    }

    /// The exit code a health check with this test has.
    pub(crate) fn check(test: &[String]) -> i64 {
        let argv = match test {
            [kind, rest @ ..] if kind == "CMD-SHELL" => {
                vec!["sh".to_owned(), "-c".to_owned(), rest.join(" ")]
            }
            [kind, rest @ ..] if kind == "CMD" => rest.to_vec(),
            other => other.to_vec(),
        };
        let exit = |a: &Action| if let Action::Exit(code) = a { Some(*code) } else { None };
        Self::of(&argv).actions.iter().find_map(exit).unwrap_or(0)
    }
}

/// `trap 'exit N' TERM` at the start of a script.
fn trap(script: &str) -> (OnStop, &str) {
    let parsed = script.trim_start().strip_prefix("trap ").and_then(|rest| {
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (command, rest) = rest[1..].split_once(quote)?;
        let rest = rest.trim_start().strip_prefix("TERM")?;
        let code = command.trim().strip_prefix("exit")?.trim().parse().unwrap_or(0);
        Some((OnStop::Exit(code), rest))
    });
    parsed.unwrap_or((OnStop::Ignore, script))
}

/// Where `nc … -p N …` answers.
fn port(words: &[&str]) -> Option<u16> {
    let at = words.iter().position(|w| *w == "-p").filter(|_| words.first() == Some(&"nc"))?;
    words.get(at + 1)?.parse().ok()
}

fn action(line: &str) -> Option<Action> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match word {
        "" => return None,
        "echo" => {
            let (text, stderr) = match rest.strip_suffix(">&2") {
                Some(text) => (text.trim_end(), true),
                None => (rest, false),
            };
            Action::Echo { stderr, text: text.trim_matches(['"', '\'']).to_owned() }
        }
        // `sleep infinity` is how many images wait.
        "sleep" => match Duration::try_from_secs_f64(rest.trim().parse().ok()?) {
            Ok(time) => Action::Sleep(time),
            Err(_) => Action::Forever,
        },
        "exit" => Action::Exit(rest.trim().parse().unwrap_or(0)),
        "true" | ":" => Action::Exit(0),
        "false" => Action::Exit(1),
        _ => Action::Forever,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read_up_to_the_first_endless_command() {
        let program = Program::script(
            "trap 'exit 7' TERM; echo ready; echo oops >&2; while :; do sleep 1; done",
        );
        assert_eq!(program.on_stop, OnStop::Exit(7));
        assert_eq!(
            program.actions,
            [
                Action::Echo { stderr: false, text: "ready".into() },
                Action::Echo { stderr: true, text: "oops".into() },
                Action::Forever
            ]
        );
        assert_eq!(Program::script("sleep 0.5; exit 3").actions[1], Action::Exit(3));
        assert_eq!(Program::check(&["CMD-SHELL".into(), "exit 1".into()]), 1);
        assert_eq!(Program::check(&["CMD".into(), "true".into()]), 0);
    }
}
