//! Which cluster a command talks to, and how.
//!
//! [`resolve`] decides from flags, environment and contexts and says so as a value; it reads the
//! contexts file and looks whether the default CA certificate is there, and dials nothing.
//!
//! Whom to dial: `--server` or `--socket`, then `--context`, then `JACO_SERVER`, `JACO_SOCKET`,
//! `JACO_CONTEXT`, then the current context, then the local socket. Token and trust of a remote
//! server: flag, then environment, then the context.

pub mod context;

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use jaco_client::{Client, Notice, Trust};

use self::context::{Context, Contexts};
use crate::{
    cli::{Command, GlobalArgs},
    commands::node,
    error::Error,
    output::Output,
};

/// Where a node keeps the cluster's CA certificate.
pub const DEFAULT_CA: &str = "/var/lib/jaco/node/ca.crt";

/// The process's environment, as a value.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    vars: BTreeMap<String, String>,
    /// Where the CA certificate is looked for when none is named.
    pub default_ca: PathBuf,
}

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let vars = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect();
        Self { vars, default_ca: DEFAULT_CA.into() }
    }

    /// These variables and no others.
    pub fn new<K: Into<String>, V: Into<String>>(
        vars: impl IntoIterator<Item = (K, V)>,
        default_ca: impl Into<PathBuf>,
    ) -> Self {
        let vars = vars.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { vars, default_ca: default_ca.into() }
    }

    /// A variable that is set.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    /// A variable that is set to something.
    fn filled(&self, name: &str) -> Option<String> {
        self.var(name).filter(|v| !v.is_empty())
    }
}

/// How a cluster is reached.
#[derive(Clone, PartialEq, Eq)]
pub enum Manner {
    /// The local daemon.
    Socket(PathBuf),
    /// Nodes over TLS.
    Remote {
        /// `host:port`, in the order they are tried.
        servers: Vec<String>,
        /// The operator token.
        token: String,
        /// What the server must prove.
        trust: Trust,
    },
}

impl fmt::Debug for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => f.debug_tuple("Socket").field(path).finish(),
            Self::Remote { servers, trust, .. } => {
                f.debug_tuple("Remote").field(servers).field(trust).finish()
            }
        }
    }
}

/// Decides whom to dial.
///
/// # Errors
/// When a server has no token, a named CA certificate is missing, or a context does not exist.
pub fn resolve(flags: &GlobalArgs, env: &Environment) -> Result<Manner, Error> {
    if !flags.server.is_empty() {
        return remote(flags.server.clone(), None, flags, env);
    }
    if let Some(socket) = &flags.socket {
        return Ok(Manner::Socket(socket.clone()));
    }
    if let Some(name) = &flags.context {
        let context = Contexts::load(env)?.take(name)?;
        return remote(context.servers.clone(), Some(&context), flags, env);
    }
    if let Some(servers) = env.filled("JACO_SERVER") {
        let servers = servers.split(',').map(|s| s.trim().to_owned()).collect();
        return remote(servers, None, flags, env);
    }
    if let Some(socket) = env.filled("JACO_SOCKET") {
        return Ok(Manner::Socket(socket.into()));
    }
    let mut contexts = Contexts::load_if_there(env)?;
    match env.filled("JACO_CONTEXT").or_else(|| contexts.current.clone()) {
        Some(name) => {
            let context = contexts.take(&name)?;
            remote(context.servers.clone(), Some(&context), flags, env)
        }
        None => Ok(Manner::Socket(jaco_client::DEFAULT_SOCKET.into())),
    }
}

fn remote(
    servers: Vec<String>,
    context: Option<&Context>,
    flags: &GlobalArgs,
    env: &Environment,
) -> Result<Manner, Error> {
    let token = flags
        .token
        .clone()
        .or_else(|| env.filled("JACO_TOKEN"))
        .or_else(|| context.map(|c| c.token.clone()))
        .ok_or(Error::TokenMissing)?;
    Ok(Manner::Remote { servers, token, trust: trust(context, flags, env)? })
}

fn trust(context: Option<&Context>, flags: &GlobalArgs, env: &Environment) -> Result<Trust, Error> {
    if let Some(path) = &flags.ca_cert {
        return named(path);
    }
    if let Some(fingerprint) = &flags.ca_fingerprint {
        return Ok(Trust::Fingerprint(fingerprint.clone()));
    }
    if let Some(path) = env.filled("JACO_CA_CERT") {
        return named(Path::new(&path));
    }
    if let Some(fingerprint) = env.filled("JACO_CA_FINGERPRINT") {
        return Ok(Trust::Fingerprint(fingerprint));
    }
    if let Some(context) = context {
        if let Some(path) = &context.ca_cert {
            return named(path);
        }
        if let Some(fingerprint) = &context.ca_fingerprint {
            return Ok(Trust::Fingerprint(fingerprint.clone()));
        }
    }
    if env.default_ca.is_file() {
        return Ok(Trust::CaFile(env.default_ca.clone()));
    }
    Ok(Trust::Unverified)
}

fn named(path: &Path) -> Result<Trust, Error> {
    match fs::read_to_string(path) {
        Ok(pem) => Ok(Trust::CaPem(pem)),
        Err(source) => Err(Error::CaMissing { path: path.to_owned(), source }),
    }
}

/// A client for one command. It connects with the first call, so that what is wrong with the
/// command's own files is said first.
///
/// # Errors
/// When an address, the token or the CA certificate cannot be used.
pub async fn connect(
    manner: Manner,
    flags: &GlobalArgs,
    command: &Command,
    out: &Output,
) -> Result<Client, Error> {
    let talk = out.talk();
    let mut builder = Client::builder().on_notice(move |notice| match notice {
        Notice::NoLeader => talk.say("no leader, retrying"),
        Notice::StreamLost => talk.say("the connection was lost, opening it again"),
        Notice::NextServer { unreachable } => {
            talk.say(&format!("{unreachable} is unreachable, trying the next server"));
        }
        _ => {}
    });
    // The limit of these is on the waiting, not on one call.
    let waits = matches!(command, Command::Wait(_) | Command::Node(node::Command::Join(_)));
    if let Some(timeout) = flags.timeout.filter(|_| !waits) {
        builder = builder.timeout(timeout);
    }
    match manner {
        Manner::Socket(path) => builder = builder.socket(path),
        Manner::Remote { servers, token, trust } => {
            if trust == Trust::Unverified {
                out.warn(
                    "the server's certificate is not verified; pass --ca-cert or --ca-fingerprint",
                );
            }
            builder = builder.servers(servers).token(token).trust(trust);
        }
    }
    Ok(builder.lazy().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: [&str; 3] = ["flag-token", "env-token", "context-token"];

    struct Scene {
        home: tempfile::TempDir,
        vars: Vec<(String, String)>,
    }

    impl Scene {
        /// A current context `prod` and another one, `test`.
        fn with_contexts() -> Self {
            let home = tempfile::tempdir().unwrap();
            let vars = vec![("HOME".to_owned(), home.path().display().to_string())];
            let scene = Self { home, vars };
            let context = |server: &str| Context {
                servers: vec![server.to_owned()],
                token: T[2].to_owned(),
                ca_cert: None,
                ca_fingerprint: Some("context-fingerprint".into()),
            };
            let contexts = BTreeMap::from([
                ("prod".to_owned(), context("prod:7000")),
                ("test".to_owned(), context("test:7000")),
            ]);
            let all = Contexts { current: Some("prod".into()), contexts };
            all.store(&scene.env()).unwrap();
            scene
        }

        fn without_contexts() -> Self {
            let home = tempfile::tempdir().unwrap();
            let vars = vec![("HOME".to_owned(), home.path().display().to_string())];
            Self { home, vars }
        }

        fn set(mut self, vars: &[(&str, &str)]) -> Self {
            self.vars.extend(vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
            self
        }

        fn env(&self) -> Environment {
            Environment::new(self.vars.clone(), self.home.path().join("ca.crt"))
        }

        fn file(&self, name: &str) -> PathBuf {
            let path = self.home.path().join(name);
            fs::write(&path, name).unwrap();
            path
        }
    }

    /// Server and token, or the socket.
    fn who(flags: &GlobalArgs, scene: &Scene) -> (String, String) {
        match resolve(flags, &scene.env()).unwrap() {
            Manner::Socket(path) => (path.display().to_string(), String::new()),
            Manner::Remote { servers, token, .. } => (servers.join(","), token),
        }
    }

    fn pair(server: &str, token: &str) -> (String, String) {
        (server.to_owned(), token.to_owned())
    }

    fn server_flag() -> GlobalArgs {
        GlobalArgs { server: vec!["flag:7000".into()], ..GlobalArgs::default() }
    }

    #[test]
    fn the_socket_is_dialled_when_nothing_is_said() {
        let scene = Scene::without_contexts();
        assert_eq!(who(&GlobalArgs::default(), &scene), pair(jaco_client::DEFAULT_SOCKET, ""));
        let scene = scene.set(&[("JACO_SERVER", ""), ("JACO_SOCKET", ""), ("JACO_CONTEXT", "")]);
        assert_eq!(who(&GlobalArgs::default(), &scene), pair(jaco_client::DEFAULT_SOCKET, ""));
    }

    #[test]
    fn flags_beat_environment_beats_contexts() {
        let none = GlobalArgs::default();
        let scene = Scene::with_contexts();
        assert_eq!(who(&none, &scene), pair("prod:7000", T[2]));
        let scene = scene.set(&[("JACO_CONTEXT", "test")]);
        assert_eq!(who(&none, &scene), pair("test:7000", T[2]));
        let scene = scene.set(&[("JACO_SOCKET", "/env.sock")]);
        assert_eq!(who(&none, &scene), pair("/env.sock", ""));
        let scene = scene.set(&[("JACO_SERVER", "env:7000, env2:7000"), ("JACO_TOKEN", T[1])]);
        assert_eq!(who(&none, &scene), pair("env:7000,env2:7000", T[1]));
        let named = GlobalArgs { context: Some("prod".into()), ..GlobalArgs::default() };
        assert_eq!(who(&named, &scene), pair("prod:7000", T[1]));
        let socket = GlobalArgs { socket: Some("/flag.sock".into()), ..GlobalArgs::default() };
        assert_eq!(who(&socket, &scene), pair("/flag.sock", ""));
        let both = GlobalArgs { token: Some(T[0].into()), ..server_flag() };
        assert_eq!(who(&both, &scene), pair("flag:7000", T[0]));
        assert_eq!(who(&server_flag(), &scene), pair("flag:7000", T[1]));
    }

    #[test]
    fn a_server_without_a_token_is_refused() {
        let error = resolve(&server_flag(), &Scene::with_contexts().env()).unwrap_err();
        assert!(matches!(error, Error::TokenMissing), "{error:?}");
    }

    #[test]
    fn an_unknown_context_is_refused() {
        let scene = Scene::without_contexts().set(&[("JACO_CONTEXT", "prod")]);
        let error = resolve(&GlobalArgs::default(), &scene.env()).unwrap_err();
        assert!(matches!(error, Error::UnknownContext { .. }), "{error:?}");
    }

    fn trusted(flags: &GlobalArgs, scene: &Scene) -> Trust {
        let token = Some(T[0].to_owned());
        match resolve(&GlobalArgs { token, ..flags.clone() }, &scene.env()).unwrap() {
            Manner::Remote { trust, .. } => trust,
            Manner::Socket(_) => panic!("a socket"),
        }
    }

    #[test]
    fn trust_is_flag_then_environment_then_context_then_the_node_s_ca() {
        let flag = server_flag();
        let scene = Scene::with_contexts();
        assert_eq!(trusted(&flag, &scene), Trust::Unverified, "no CA is there");
        let default = scene.file("ca.crt");
        assert_eq!(trusted(&flag, &scene), Trust::CaFile(default));
        let none = GlobalArgs::default();
        assert_eq!(trusted(&none, &scene), Trust::Fingerprint("context-fingerprint".into()));
        let scene = scene.set(&[("JACO_CA_FINGERPRINT", "env-fingerprint")]);
        assert_eq!(trusted(&none, &scene), Trust::Fingerprint("env-fingerprint".into()));
        let env = scene.file("env-ca");
        let scene = scene.set(&[("JACO_CA_CERT", env.to_str().unwrap())]);
        assert_eq!(trusted(&none, &scene), Trust::CaPem("env-ca".into()));
        let print = GlobalArgs { ca_fingerprint: Some("flag-print".into()), ..flag.clone() };
        assert_eq!(trusted(&print, &scene), Trust::Fingerprint("flag-print".into()));
        let cert = GlobalArgs { ca_cert: Some(scene.file("flag-ca")), ..flag };
        assert_eq!(trusted(&cert, &scene), Trust::CaPem("flag-ca".into()));
    }

    #[test]
    fn a_ca_that_is_named_must_be_there() {
        let flags = GlobalArgs {
            token: Some(T[0].into()),
            ca_cert: Some("/nonexistent/ca.crt".into()),
            ..server_flag()
        };
        let error = resolve(&flags, &Scene::without_contexts().env()).unwrap_err();
        assert!(matches!(error, Error::CaMissing { .. }), "{error:?}");
    }
}
