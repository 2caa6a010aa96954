//! A reverse proxy for one upstream: `reverse_proxy <listen address> <upstream address>`. Ends with Ctrl-C.

use std::{env, error::Error, net::SocketAddr};

use jaco_api::model::{ReplicaId, Slot, TlsMode};
use jaco_ingress::{
    Ingress, Limits, Picture, Transport,
    route::{Route, RouteOptions, Upstream},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let addresses: Vec<SocketAddr> =
        env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let [listen, upstream] = *addresses else {
        return Err("usage: reverse_proxy <listen address> <upstream address>".into());
    };
    let replica =
        ReplicaId { deployment: "demo".parse()?, service: "web".parse()?, slot: Slot::Index(1) };
    let ingress = Ingress::new(Limits::default());
    ingress.set(Picture {
        routes: vec![Route {
            domain: String::new(),
            path: "/".to_owned(),
            tls: TlsMode::Off,
            has_certificate: false,
            deployment: "demo".parse()?,
            service: "web".parse()?,
            upstreams: vec![Upstream {
                address: upstream,
                replica,
                node: "here".parse()?,
                local: true,
                draining: false,
            }],
            options: RouteOptions::default(),
        }],
        ..Picture::default()
    });
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        // Without signals it runs until it is killed.
        if tokio::signal::ctrl_c().await.is_ok() {
            stopping.cancel();
        }
    });
    ingress.serve(TcpListener::bind(listen).await?, Transport::Plain, stop).await;
    Ok(())
}
