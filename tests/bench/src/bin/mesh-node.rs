//! One end of the mesh for a bench, in the network namespace in which it is started.
//!
//! `mesh-node <own number> <other's number> <mtu> [<other's endpoint>]`; goes when its input ends.

use std::{env, error::Error, io::Read as _, time::Duration};

use jaco_net::{MeshConfig, MeshDevice as _, MeshPeer, PrivateKey, UserspaceMesh};

/// As in the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn key(number: u8) -> PrivateKey {
    PrivateKey::new([number; 32])
}

fn address(number: u8) -> Result<ipnet::IpNet, ipnet::AddrParseError> {
    format!("10.243.0.{number}/32").parse()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [own, other, mtu, rest @ ..] = &arguments[..] else { return Err("see the source".into()) };
    let (own, other): (u8, u8) = (own.parse()?, other.parse()?);
    let peer = MeshPeer {
        endpoint: rest.first().map(|endpoint| endpoint.parse()).transpose()?,
        allowed: [address(other)?].into(),
        keepalive: Some(Duration::from_secs(25)),
    };
    let config = MeshConfig {
        addresses: [address(own)?].into(),
        listen_port: 51820,
        mtu: mtu.parse()?,
        peers: [(key(other).public(), peer)].into(),
    };
    let mesh = UserspaceMesh::named("jaco0");
    mesh.apply(&key(own), &config).await?;
    tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await??;
    mesh.remove().await?;
    Ok(())
}
