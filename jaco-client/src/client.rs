//! The connection to a cluster: which server, which token, when to try again.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{Builder, Error, Notice, builder::NoticeHook, endpoint::Endpoint};

/// A cluster, as a value. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// Never empty.
    servers: Vec<Server>,
    /// The server that answered last.
    current: AtomicUsize,
    pub(crate) authorization: Option<MetadataValue<Ascii>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry_for: Duration,
    notice: NoticeHook,
}

struct Server {
    endpoint: Endpoint,
    channel: Mutex<Option<Channel>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.inner.servers.iter().map(|s| s.endpoint.to_string()).collect();
        f.debug_struct("Client").field("servers", &servers).finish_non_exhaustive()
    }
}

impl Client {
    /// Says which cluster to talk to, and how.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A client over an existing connection, usually inside the process.
    #[must_use]
    pub fn from_channel(channel: Channel) -> Self {
        Self::over(
            vec![Endpoint::Ready(channel)],
            None,
            None,
            Duration::from_secs(10),
            Arc::new(|_| ()),
        )
    }

    pub(crate) fn assemble(
        endpoints: Vec<Endpoint>,
        token: Option<&SecretString>,
        timeout: Option<Duration>,
        retry_for: Duration,
        notice: NoticeHook,
    ) -> Result<Self, Error> {
        let authorization = token
            .map(|t| {
                let mut value =
                    MetadataValue::<Ascii>::try_from(format!("Bearer {}", t.expose_secret()))
                        .map_err(|_| Error::TokenMalformed)?;
                value.set_sensitive(true);
                Ok::<_, Error>(value)
            })
            .transpose()?;
        Ok(Self::over(endpoints, authorization, timeout, retry_for, notice))
    }

    fn over(
        endpoints: Vec<Endpoint>,
        authorization: Option<MetadataValue<Ascii>>,
        timeout: Option<Duration>,
        retry_for: Duration,
        notice: NoticeHook,
    ) -> Self {
        let servers = endpoints
            .into_iter()
            .map(|endpoint| Server { endpoint, channel: Mutex::new(None) })
            .collect();
        Self {
            inner: Arc::new(Inner {
                servers,
                current: AtomicUsize::new(0),
                authorization,
                timeout,
                retry_for,
                notice,
            }),
        }
    }

    /// Connects to the first server that answers, without a call.
    pub(crate) async fn reach(&self) -> Result<(), Error> {
        let mut tried = 0;
        loop {
            match self.inner.channel().await {
                Ok(_) => return Ok(()),
                Err(e) if e.is_unreachable() => {
                    tried += 1;
                    self.inner.skip(e, tried)?;
                }
                Err(e) => return Err(e),
            }
        }
    }
}

impl Inner {
    fn server(&self) -> &Server {
        &self.servers[self.current.load(Ordering::Relaxed) % self.servers.len()]
    }

    /// The present server's connection, made now if there is none.
    pub(crate) async fn channel(&self) -> Result<Channel, Error> {
        let server = self.server();
        let mut slot = server.channel.lock().await;
        if let Some(channel) = &*slot {
            return Ok(channel.clone());
        }
        let channel = server.endpoint.dial().await?;
        tracing::debug!(server = %server.endpoint, "connected");
        *slot = Some(channel.clone());
        Ok(channel)
    }

    /// Turns to the next server after `error`, or gives up when `tried` servers were all.
    pub(crate) fn skip(&self, error: Error, tried: usize) -> Result<(), Error> {
        let count = self.servers.len();
        let unreachable = self.server().endpoint.to_string();
        self.current.fetch_add(1, Ordering::Relaxed);
        if tried < count {
            self.notify(Notice::NextServer { unreachable });
            return Ok(());
        }
        Err(if count == 1 { error } else { Error::NoServer { count, last: Box::new(error) } })
    }

    /// Forgets the present server's connection, so that the next call dials.
    pub(crate) async fn hang_up(&self) {
        *self.server().channel.lock().await = None;
    }

    pub(crate) fn notify(&self, notice: Notice) {
        (self.notice)(notice);
    }
}
