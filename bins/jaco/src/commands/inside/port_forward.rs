//! `jaco port-forward`: a port of this machine that leads to a container, through the daemon.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use clap::Args;
use jaco_api::error::{ApiError, ErrorCode};
use jaco_client::{Client, ReplicaTarget, StatusQuery};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    commands::{complete, target::Container},
    error::Error,
    output::{Output, Talk},
};

/// Before connections are accepted again after that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Arguments of `jaco port-forward`.
#[derive(Debug, Args)]
pub struct PortForwardArgs {
    /// A service, whose connections go to a replica that runs, or one replica.
    #[arg(value_name = "DEPLOYMENT/SERVICE|REPLICA", add = complete::containers())]
    pub container: Container,
    /// Port of the container, and the port here if it is to be another one; 0 takes a free one.
    #[arg(required = true, value_name = "[LOCAL:]REMOTE")]
    pub ports: Vec<Ports>,
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub address: IpAddr,
}

/// A port here and one of a container: `[<local>:]<remote>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    local: u16,
    remote: u16,
}

/// What is no pair of ports.
#[derive(Debug, thiserror::Error)]
#[error("ports are written [<local>:]<remote>, numbers up to 65535")]
pub struct NoPorts;

impl FromStr for Ports {
    type Err = NoPorts;
    fn from_str(text: &str) -> Result<Self, NoPorts> {
        let number = |text: &str| text.parse::<u16>().map_err(|_| NoPorts);
        let ports = match text.split_once(':') {
            Some(("", remote)) => Self { local: 0, remote: number(remote)? },
            Some((local, remote)) => Self { local: number(local)?, remote: number(remote)? },
            None => Self { local: number(text)?, remote: number(text)? },
        };
        if ports.remote == 0 { Err(NoPorts) } else { Ok(ports) }
    }
}

/// One port, as it is printed.
#[derive(Debug, Serialize)]
struct Listening {
    local: SocketAddr,
    target: String,
    port: u16,
}

/// Listens until it is interrupted. A connection that cannot be made is told and closed; the next
/// one is tried anew, so a replica may be replaced meanwhile.
///
/// # Errors
/// `deployment_not_found`, `service_not_found`, `replica_not_found`; when an address is taken.
pub async fn run(args: &PortForwardArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let target = args.container.target();
    known(client, &target).await?;
    let mut listening = JoinSet::new();
    for ports in &args.ports {
        let address = SocketAddr::new(args.address, ports.local);
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let shown = Listening { local, target: args.container.to_string(), port: ports.remote };
        out.item(&shown, |out| {
            out.line(&format!("{local} -> {} port {}", shown.target, shown.port))
        })?;
        let forward = Forward {
            client: client.clone(),
            target: target.clone(),
            port: ports.remote,
            talk: out.talk(),
            verbose: out.verbose,
        };
        listening.spawn(forward.accept(listener));
    }
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Error::Terminal),
        Some(_) = listening.join_next() => Ok(()),
    }
}

/// What is to be reached must be there; that it runs is not needed yet.
async fn known(client: &Client, target: &ReplicaTarget) -> Result<(), Error> {
    let (deployment, service) = match target {
        ReplicaTarget::Replica(id) => {
            client.replica(id).await?;
            return Ok(());
        }
        ReplicaTarget::Service(deployment, service) => (deployment, service),
    };
    let query = StatusQuery { deployment: Some(deployment.clone()), ..StatusQuery::default() };
    let view = client.status(&query).await?;
    let mut services = view.deployments().flat_map(|d| &d.services);
    if services.any(|s| s.name == *service) {
        return Ok(());
    }
    let message = format!("deployment {deployment} has no service {service}");
    Err(jaco_client::Error::Api(ApiError::new(ErrorCode::ServiceNotFound, message)).into())
}

/// Where the connections of one port here lead.
#[derive(Clone)]
struct Forward {
    client: Client,
    target: ReplicaTarget,
    port: u16,
    talk: Talk,
    verbose: bool,
}

impl Forward {
    /// Accepts connections for ever, each carried by a task of its own.
    async fn accept(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => drop(connections.spawn(self.clone().carry(stream, from))),
                    Err(error) => {
                        // Too many open files, mostly: those that are open go on.
                        self.talk.warn(&format!("cannot accept a connection: {error}"));
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn carry(self, stream: TcpStream, from: SocketAddr) {
        // Small messages are not to wait for each other.
        let _ = stream.set_nodelay(true);
        let forwarded = match self.client.forward(&self.target, self.port).await {
            Ok(forwarded) => forwarded,
            Err(error) => {
                let why = format!("the connection of {from} cannot be made: {error}");
                return self.talk.warn(&why);
            }
        };
        if self.verbose {
            let place = &forwarded.place;
            let to = format!("{}@{} port {}", place.replica, place.node, self.port);
            self.talk.say(&format!("{from} -> {to}"));
        }
        if let Err(error) = forwarded.carry(stream).await {
            self.talk.warn(&format!("the connection of {from} was lost: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_one_or_two_numbers() {
        for (text, local, remote) in
            [("80", 80, 80), ("8080:80", 8080, 80), (":80", 0, 80), ("0:80", 0, 80)]
        {
            assert_eq!(text.parse::<Ports>().unwrap(), Ports { local, remote }, "{text}");
        }
        for bad in ["", "0", "80:", "80:0", "x", "70000", "1:2:3"] {
            assert!(bad.parse::<Ports>().is_err(), "{bad}");
        }
    }
}
