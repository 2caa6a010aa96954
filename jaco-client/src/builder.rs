//! Saying which cluster to talk to, and how.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    Client, Error, Trust,
    endpoint::{Endpoint, ServerAddr},
};

/// Where the local daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/jaco/jaco.sock";

/// Something a person may want to know while a call is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The cluster has no leader; the call is repeated for a while. Given once per call.
    NoLeader,
    /// A stream broke off; it is opened again where it was. Given once per outage.
    StreamLost,
    /// This server is unreachable; the next one is tried.
    NextServer {
        /// The server that did not answer.
        unreachable: String,
    },
}

pub(crate) type NoticeHook = Arc<dyn Fn(Notice) + Send + Sync>;

/// Builds a [`Client`]: the local socket unless servers are named.
#[derive(Clone)]
#[must_use]
pub struct Builder {
    socket: PathBuf,
    servers: Vec<String>,
    token: Option<SecretString>,
    trust: Option<Trust>,
    timeout: Option<Duration>,
    retry_for: Duration,
    notice: NoticeHook,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("socket", &self.socket)
            .field("servers", &self.servers)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            socket: DEFAULT_SOCKET.into(),
            servers: Vec::new(),
            token: None,
            trust: None,
            timeout: None,
            retry_for: Duration::from_secs(10),
            notice: Arc::new(|_| ()),
        }
    }
}

impl Builder {
    /// The local daemon's socket.
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = path.into();
        self
    }

    /// A remote node, `host:port`. May be called several times: the next one is tried when one is
    /// unreachable.
    pub fn server(mut self, address: impl Into<String>) -> Self {
        self.servers.push(address.into());
        self
    }

    /// Several remote nodes.
    pub fn servers<S: Into<String>>(mut self, addresses: impl IntoIterator<Item = S>) -> Self {
        self.servers.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// The operator token; needed for remote nodes.
    pub fn token(mut self, token: impl Into<SecretString>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// What remote nodes must prove; needed for remote nodes.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Longest time a call may take, repeats included. Streams: until the first answer.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How long calls are repeated while the cluster has no leader; 10 s unless set.
    pub fn retry_for(mut self, limit: Duration) -> Self {
        self.retry_for = limit;
        self
    }

    /// Called with what a person may want to know.
    pub fn on_notice(mut self, hook: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        self.notice = Arc::new(hook);
        self
    }

    /// Connects to the first server that answers.
    ///
    /// # Errors
    /// When none can be reached, or one proves to be something else.
    pub async fn connect(self) -> Result<Client, Error> {
        let client = self.lazy().await?;
        client.reach().await?;
        Ok(client)
    }

    /// A client that connects with its first call.
    ///
    /// # Errors
    /// When an address, token or CA certificate cannot be used.
    pub async fn lazy(self) -> Result<Client, Error> {
        let endpoints = if self.servers.is_empty() {
            vec![Endpoint::Unix(self.socket.clone())]
        } else {
            let token = self.token.as_ref().ok_or(Error::TokenMissing)?.expose_secret();
            if token.len() != 64 || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(Error::TokenMalformed);
            }
            let config = self.trust.as_ref().ok_or(Error::TrustMissing)?.tls_config().await?;
            self.servers
                .iter()
                .map(|s| Ok(Endpoint::Tls(s.parse::<ServerAddr>()?, Arc::clone(&config))))
                .collect::<Result<_, Error>>()?
        };
        // On the socket the caller is known by its user id: a token there would be ignored.
        let token = self.token.filter(|_| !self.servers.is_empty());
        Client::assemble(endpoints, token.as_ref(), self.timeout, self.retry_for, self.notice)
    }
}
