//! Files of containers of the engine, and connections to their ports.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bollard::{
    models::ContainerInspectResponse,
    query_parameters::{
        ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder,
        InspectContainerOptions, UploadToContainerOptionsBuilder,
    },
};
use futures::{StreamExt, TryStreamExt};
use tokio::net::TcpStream;

use super::{DockerRuntime, STOP_PATIENCE, containers::time, error, error::Engine as _};
use crate::container::{Connection, PathInfo, PathKind, RuntimeError, TarSource, TarStream};

/// Longest wait for a connection over a bridge of this host.
const CONNECT: Duration = Duration::from_secs(5);
/// Containers that use each other's network, at most so many in a row.
const BORROWED: usize = 4;

/// Bits of the engine's file modes.
const DIRECTORY: u32 = 1 << 31;
const LINK: u32 = 1 << 27;
/// Device, pipe, socket, character device, irregular.
const OTHER: u32 = 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19;
const PERMISSIONS: u32 = 0o777;

impl DockerRuntime {
    pub(super) async fn look_at_path(
        &self,
        id: &str,
        path: &str,
    ) -> Result<PathInfo, RuntimeError> {
        let client = self.client().await?;
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        let found = client.get_container_archive_info(id, Some(options)).await;
        let stat = match found.engine(self, "path") {
            Ok(stat) => stat,
            // The answer has no words: it may mean the container as well.
            Err(RuntimeError::NotFound { .. }) => {
                self.inspect_container(id).await?;
                return Err(RuntimeError::NoSuchPath { path: path.to_owned() });
            }
            Err(error) => return Err(error),
        };
        let kind = match stat.file_mode {
            mode if mode & DIRECTORY != 0 => PathKind::Directory,
            mode if mode & LINK != 0 => PathKind::Link(stat.link_target),
            mode if mode & OTHER != 0 => PathKind::Other,
            _ => PathKind::File,
        };
        Ok(PathInfo {
            name: stat.name,
            kind,
            size: stat.size.try_into().unwrap_or_default(),
            mode: stat.file_mode & PERMISSIONS,
            modified: time(stat.modification_time.as_deref()),
        })
    }

    pub(super) async fn archive_of(&self, id: &str, path: &str) -> Result<TarStream, RuntimeError> {
        // The stream is lazy: this is where it is found out that there is nothing.
        self.look_at_path(id, path).await?;
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let pieces = self.client().await?.download_from_container(id, Some(options));
        let runtime = self.clone();
        Ok(pieces.map_err(move |e| error::from(e, &runtime, "copy out")).boxed())
    }

    pub(super) async fn unpack_in(
        &self,
        id: &str,
        path: &str,
        tar: TarSource,
    ) -> Result<(), RuntimeError> {
        let mut found = self.look_at_path(id, path).await?;
        if let PathKind::Link(target) = &found.kind {
            // The engine has followed it to its end.
            found = self.look_at_path(id, target).await?;
        }
        if found.kind != PathKind::Directory {
            let message = format!("{path} is no directory");
            return Err(RuntimeError::Refused { status: 400, message });
        }
        let options = UploadToContainerOptionsBuilder::default()
            .path(path)
            // What is a directory stays one.
            .no_overwrite_dir_non_dir("true")
            .build();
        let broken = Arc::new(Mutex::new(None));
        let note = Arc::clone(&broken);
        let tar = tar.inspect_err(move |e| {
            let seen = std::io::Error::new(e.kind(), e.to_string());
            *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        });
        let client = self.client().await?.with_timeout(STOP_PATIENCE);
        let body = bollard::body_try_stream(tar);
        let unpacked = client.upload_to_container(id, Some(options), body).await;
        // Whatever the engine says then, the archive was not whole.
        let broken = broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        match broken {
            Some(source) => Err(RuntimeError::BrokenOff { source: source.into() }),
            None => unpacked.engine(self, "copy in"),
        }
    }

    pub(super) async fn dial(&self, id: &str, port: u16) -> Result<Connection, RuntimeError> {
        let mut refusal = RuntimeError::NoNetwork { container: id.to_owned() };
        for address in self.addresses(id).await? {
            let dialled = TcpStream::connect(SocketAddr::new(address, port));
            let failed = match tokio::time::timeout(CONNECT, dialled).await {
                Ok(Ok(stream)) => {
                    // Small messages are not to wait for each other.
                    let _ = stream.set_nodelay(true);
                    return Ok(Connection(Box::new(stream)));
                }
                Ok(Err(e)) => e.into(),
                Err(late) => late.into(),
            };
            let container = id.to_owned();
            refusal = RuntimeError::PortUnreachable { container, port, source: failed };
        }
        Err(refusal)
    }

    /// Where the ports of a container are, as this host reaches them.
    async fn addresses(&self, id: &str) -> Result<Vec<IpAddr>, RuntimeError> {
        let client = self.client().await?;
        let mut id = id.to_owned();
        for _ in 0..BORROWED {
            let found = client.inspect_container(&id, None::<InspectContainerOptions>).await;
            let found = found.engine(self, "inspect")?;
            let state = found.state.as_ref().and_then(|s| s.running);
            if !state.unwrap_or_default() {
                let message = format!("Container {id} is not running");
                return Err(RuntimeError::NotRunning { message });
            }
            let mode = found.host_config.as_ref().and_then(|h| h.network_mode.clone());
            let mode = mode.unwrap_or_default();
            match mode.strip_prefix("container:") {
                Some(lender) => id = lender.to_owned(),
                None if mode == "host" => return Ok(vec![Ipv4Addr::LOCALHOST.into()]),
                None => return Ok(own_addresses(found)),
            }
        }
        Ok(Vec::new())
    }
}

/// Its addresses in order of its networks' names.
fn own_addresses(found: ContainerInspectResponse) -> Vec<IpAddr> {
    let networks = found.network_settings.and_then(|n| n.networks).unwrap_or_default();
    let networks: BTreeMap<_, _> = networks.into_iter().collect();
    networks.into_values().filter_map(|n| n.ip_address?.parse().ok()).collect()
}
