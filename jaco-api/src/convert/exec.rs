//! Commands in containers, and what is at a path of one.

use super::{InvalidMessage, millis};
use crate::{
    model::{self, PathKind, Timestamp},
    pb,
};

impl From<model::TerminalSize> for pb::TerminalSize {
    fn from(t: model::TerminalSize) -> Self {
        Self { rows: t.rows.into(), columns: t.columns.into() }
    }
}
impl TryFrom<pb::TerminalSize> for model::TerminalSize {
    type Error = InvalidMessage;
    fn try_from(t: pb::TerminalSize) -> Result<Self, InvalidMessage> {
        let characters = |field, n: u32| {
            u16::try_from(n).map_err(|_| InvalidMessage::new(field, "is no size of a terminal"))
        };
        let (rows, columns) = (characters("rows", t.rows)?, characters("columns", t.columns)?);
        Ok(Self { rows, columns })
    }
}

impl From<model::ExecCommand> for pb::ExecCommand {
    fn from(c: model::ExecCommand) -> Self {
        Self {
            command: c.command,
            environment: c.environment,
            user: c.user,
            working_dir: c.working_dir,
            terminal: c.terminal.map(Into::into),
            stdin: c.stdin,
        }
    }
}
impl TryFrom<pb::ExecCommand> for model::ExecCommand {
    type Error = InvalidMessage;
    fn try_from(c: pb::ExecCommand) -> Result<Self, InvalidMessage> {
        if c.command.first().is_none_or(String::is_empty) {
            return Err(InvalidMessage::new("command", "names no program"));
        }
        let name = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
        if let Some(bad) = c.environment.keys().find(|key| !name(key)) {
            let problem = format!("{bad:?} is no name of a variable");
            return Err(InvalidMessage::new("environment", problem));
        }
        Ok(Self {
            command: c.command,
            environment: c.environment,
            user: c.user,
            working_dir: c.working_dir,
            privileged: false,
            terminal: c.terminal.map(TryInto::try_into).transpose()?,
            stdin: c.stdin,
        })
    }
}

impl From<model::PathInfo> for pb::PathInfo {
    fn from(p: model::PathInfo) -> Self {
        let (kind, target) = match p.kind {
            PathKind::File => (pb::PathKind::File, String::new()),
            PathKind::Directory => (pb::PathKind::Directory, String::new()),
            PathKind::Link(target) => (pb::PathKind::Link, target),
            PathKind::Other => (pb::PathKind::Unspecified, String::new()),
        };
        Self {
            name: p.name,
            kind: kind.into(),
            target,
            size: p.size,
            mode: p.mode,
            modified: millis(p.modified),
        }
    }
}
impl From<pb::PathInfo> for model::PathInfo {
    fn from(p: pb::PathInfo) -> Self {
        let kind = match p.kind() {
            pb::PathKind::File => PathKind::File,
            pb::PathKind::Directory => PathKind::Directory,
            pb::PathKind::Link => PathKind::Link(p.target),
            pb::PathKind::Unspecified => PathKind::Other,
        };
        let modified = p.modified.map(Timestamp);
        Self { name: p.name, kind, size: p.size, mode: p.mode, modified }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_round_trip_and_need_a_program() {
        let command = model::ExecCommand {
            privileged: false,
            command: vec!["sh".into(), "-c".into(), "exit 3".into()],
            environment: [("A".into(), "x=y".into())].into(),
            user: Some("1000:1000".into()),
            working_dir: Some("/srv".into()),
            terminal: Some(model::TerminalSize { rows: 24, columns: 80 }),
            stdin: true,
        };
        let there = pb::ExecCommand::from(command.clone());
        assert_eq!(model::ExecCommand::try_from(there.clone()), Ok(command));
        let none = pb::ExecCommand { command: Vec::new(), ..there.clone() };
        assert_eq!(model::ExecCommand::try_from(none).unwrap_err().field, "command");
        let bad = pb::ExecCommand { environment: [("A=B".into(), "".into())].into(), ..there };
        assert_eq!(model::ExecCommand::try_from(bad).unwrap_err().field, "environment");
        let huge = pb::TerminalSize { rows: 70_000, columns: 80 };
        assert_eq!(model::TerminalSize::try_from(huge).unwrap_err().field, "rows");
    }

    #[test]
    fn paths_round_trip() {
        for kind in
            [PathKind::File, PathKind::Directory, PathKind::Link("/srv/x".into()), PathKind::Other]
        {
            let info = model::PathInfo {
                name: "x".into(),
                kind,
                size: 7,
                mode: 0o640,
                modified: Some(Timestamp(9)),
            };
            assert_eq!(model::PathInfo::from(pb::PathInfo::from(info.clone())), info);
        }
    }
}
