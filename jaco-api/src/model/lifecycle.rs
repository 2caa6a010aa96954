//! Commands that are run in a container at the turns of its life.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{ExecCommand, container::is_default};

/// A command that is run in a container after its start or before its stop.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables besides the container's own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub environment: BTreeMap<String, String>,
    /// User to run it as; the container's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Directory to run it in; the container's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// True when it has all the rights of the host, whatever the container has.
    #[serde(default, skip_serializing_if = "is_default")]
    pub privileged: bool,
}

impl Hook {
    /// What the engine is asked to run.
    #[must_use]
    pub fn to_exec(&self) -> ExecCommand {
        ExecCommand {
            command: self.command.clone(),
            environment: self.environment.clone(),
            user: self.user.clone(),
            working_dir: self.working_dir.clone(),
            privileged: self.privileged,
            terminal: None,
            stdin: false,
        }
    }
}

/// Shows the program alone: arguments and variables may be secret.
impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("program", &self.command.first()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ContainerSpec;

    #[test]
    fn defaults_are_left_out_of_the_canonical_form() {
        let hook = Hook { command: vec!["sync".to_owned()], ..Hook::default() };
        assert_eq!(serde_json::to_string(&hook).unwrap(), r#"{"command":["sync"]}"#);
        let spec = ContainerSpec { image: "a".to_owned(), ..ContainerSpec::default() };
        assert_eq!(spec.to_canonical(), br#"{"image":"a"}"#);
        let spec = ContainerSpec { pre_stop: vec![hook], ..spec };
        assert_eq!(ContainerSpec::from_canonical(&spec.to_canonical()).unwrap(), spec);
    }

    #[test]
    fn arguments_and_variables_are_never_shown() {
        let hook = Hook {
            command: vec!["login".to_owned(), "hunter2".to_owned()],
            environment: [("TOKEN".to_owned(), "hunter2".to_owned())].into(),
            ..Hook::default()
        };
        let shown = format!("{hook:?} {:?}", hook.to_exec());
        assert!(shown.contains("login") && !shown.contains("hunter2"), "{shown}");
    }
}
