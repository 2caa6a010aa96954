//! Looking at one engine with its own tool, independently of what JACO says.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{HarnessError, Result, Run};

/// A container as the engine shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name, without the leading slash.
    pub name: String,
    /// `running`, `exited`, …
    pub status: String,
    /// Process id of its first process on the machine; 0 when it does not run.
    pub pid: i32,
    /// When it started, as the engine writes it.
    pub started_at: String,
    /// Verdict of the health check, if it has one.
    pub health: Option<String>,
    /// Image it was made from.
    pub image: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Environment, `NAME=value`.
    pub environment: Vec<String>,
    /// Address by network.
    pub addresses: BTreeMap<String, String>,
}

/// One engine, by its socket.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: PathBuf,
}

impl Engine {
    /// The engine behind this socket.
    #[must_use]
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Its socket as jacod.yaml writes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Runs `docker` against this engine and returns what it printed.
    ///
    /// # Errors
    /// It fails.
    pub fn docker(&self, arguments: &[&str]) -> Result<String> {
        self.command(arguments).text().map(|text| text.trim_end().to_owned())
    }

    /// `docker` against this engine, to be run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.arg("-H").arg(self.url()).args(arguments);
        command
    }

    /// Makes an image of a directory or tar file; `changes` are Dockerfile instructions.
    ///
    /// # Errors
    /// The engine refuses it.
    pub fn import(&self, tar: &Path, name: &str, changes: &[&str]) -> Result<()> {
        let mut arguments = vec!["import"];
        arguments.extend(changes.iter().flat_map(|change| ["-c", *change]));
        let tar = tar.to_string_lossy();
        arguments.extend([tar.as_ref(), name]);
        self.docker(&arguments).map(drop)
    }

    /// Every container with this label, or every one; `label` is `key` or `key=value`.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn containers(&self, label: Option<&str>) -> Result<Vec<Container>> {
        let mut arguments = vec!["ps", "-aq", "--no-trunc"];
        let filter = label.map(|label| format!("label={label}"));
        arguments.extend(filter.iter().flat_map(|filter| ["--filter", filter]));
        let ids = self.docker(&arguments)?;
        let ids: Vec<&str> = ids.lines().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        // One that was removed since it was listed makes `inspect` fail though it prints the others.
        let mut command = self.command(&[&["inspect"][..], &ids].concat());
        let text = command.everything()?.stdout;
        let parsed: Vec<Value> = serde_json::from_slice(&text).map_err(|source| {
            let output = String::from_utf8_lossy(&text).into_owned();
            HarnessError::NotJson { line: "docker inspect".to_owned(), output, source }
        })?;
        let mut containers: Vec<Container> = parsed.iter().map(container).collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    /// Names of the networks with this label, or of every one that is not the engine's own.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn networks(&self) -> Result<Vec<String>> {
        let names = self.docker(&["network", "ls", "--format", "{{.Name}}"])?;
        let own = ["bridge", "host", "none"];
        Ok(names.lines().filter(|name| !own.contains(name)).map(str::to_owned).collect())
    }

    /// Names of the volumes.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn volumes(&self) -> Result<Vec<String>> {
        let names = self.docker(&["volume", "ls", "-q"])?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Names of every container, network and volume that is not the engine's own.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn everything(&self) -> Result<Vec<String>> {
        let containers = self.containers(None)?.into_iter().map(|container| container.name);
        Ok(containers.chain(self.networks()?).chain(self.volumes()?).collect())
    }

    /// Removes every container, network and volume: for the end of a test. Whatever is left is seen by the next one,
    /// or goes with the engine.
    pub fn remove_everything(&self) {
        let lines = |arguments: &[&str]| self.docker(arguments).unwrap_or_default();
        let remove = |words: &[&str], names: &str| {
            let names: Vec<&str> = names.lines().collect();
            if !names.is_empty() {
                let _ = self.docker(&[words, &names].concat());
            }
        };
        remove(&["rm", "-f", "-v"], &lines(&["ps", "-aq"]));
        for network in self.networks().unwrap_or_default() {
            // The engine sometimes leaves there something of a container that is gone.
            let format = "{{range .Containers}}{{println .Name}}{{end}}";
            let attached = lines(&["network", "inspect", &network, "--format", format]);
            for name in attached.lines().filter(|name| !name.is_empty()) {
                let _ = self.docker(&["network", "disconnect", "-f", &network, name]);
            }
            remove(&["network", "rm"], &network);
        }
        remove(&["volume", "rm", "-f"], &lines(&["volume", "ls", "-q"]));
    }
}

fn container(value: &Value) -> Container {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let state = &value["State"];
    let networks = object(&value["NetworkSettings"]["Networks"]);
    Container {
        id: text(&value["Id"]),
        name: text(&value["Name"]).trim_start_matches('/').to_owned(),
        status: text(&state["Status"]),
        pid: state["Pid"].as_i64().and_then(|pid| pid.try_into().ok()).unwrap_or(0),
        started_at: text(&state["StartedAt"]),
        health: state["Health"]["Status"].as_str().map(str::to_owned),
        image: text(&value["Config"]["Image"]),
        labels: object(&value["Config"]["Labels"])
            .iter()
            .map(|(k, v)| (k.clone(), text(v)))
            .collect(),
        environment: value["Config"]["Env"].as_array().into_iter().flatten().map(text).collect(),
        addresses: networks.iter().map(|(k, v)| (k.clone(), text(&v["IPAddress"]))).collect(),
    }
}
