//! JACO's ingress alone, for the comparison of proxies.
//!
//! `proxy-node <plain> <TLS> <layer 4> <upstream> <domain> <routes> <chain and key>`: routes for `site-0.<domain>` and
//! so on, all to one upstream, and a layer 4 port to the same one. One worker thread; until it is killed.

use std::{env, error::Error, fs, net::SocketAddr};

use jaco_api::model::{ReplicaId, Slot, TlsMode};
use jaco_ingress::{
    Ingress, Limits, Picture, Transport,
    l4::{Bounds, Port, Target},
    route::{Route, RouteOptions, Upstream},
    store::{Certificate, Domain},
    tls::{Resolver, server_config},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// As in the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn upstream(address: SocketAddr) -> Result<Upstream> {
    let replica =
        ReplicaId { deployment: "bench".parse()?, service: "web".parse()?, slot: Slot::Index(1) };
    Ok(Upstream { address, replica, node: "here".parse()?, local: true, draining: false })
}

fn picture(to: SocketAddr, domain: &str, routes: usize) -> Result<Picture> {
    let route = |number: usize| -> Result<Route> {
        Ok(Route {
            domain: format!("site-{number}.{domain}"),
            path: "/".to_owned(),
            tls: TlsMode::Off,
            has_certificate: false,
            deployment: "bench".parse()?,
            service: "web".parse()?,
            upstreams: vec![upstream(to)?],
            options: RouteOptions::default(),
        })
    };
    let routes = (0..routes).map(route).collect::<Result<_>>()?;
    Ok(Picture { routes, ..Picture::default() })
}

fn tls(domain: &str, pem: &str) -> Result<Transport> {
    let pem = fs::read_to_string(pem)?;
    let domain: Domain = format!("*.{domain}").parse()?;
    let certificate = Certificate { chain: pem.clone(), key: pem.into() };
    let resolver = Resolver::default();
    let unserved = resolver.serve([(&domain, &certificate)], [], Some(&domain));
    if let Some(unserved) = unserved.into_iter().next() {
        return Err(unserved.error.into());
    }
    Ok(Transport::Tls(server_config(std::sync::Arc::new(resolver))?))
}

async fn serve(arguments: &[String]) -> Result<()> {
    let [plain, secure, port, to, domain, routes, pem] = arguments else {
        return Err("see the source".into());
    };
    let to: SocketAddr = to.parse()?;
    let mut limits = Limits::default();
    // The load comes from one address.
    limits.connections_per_ip = usize::MAX;
    let ingress = Ingress::new(limits);
    ingress.set(picture(to, domain, routes.parse()?)?);
    let target =
        Target { upstreams: vec![upstream(to)?], idle: Target::TCP_IDLE, proxy_header: None };
    let layer4 = Port::new(target, Bounds::default());
    let stop = CancellationToken::new();
    tokio::join!(
        ingress.serve(TcpListener::bind(plain).await?, Transport::Plain, stop.clone()),
        ingress.serve(TcpListener::bind(secure).await?, tls(domain, pem)?, stop.clone()),
        layer4.serve_tcp(TcpListener::bind(port).await?, stop.clone()),
    );
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build()?.block_on(async {
        // On the worker, as everything else.
        tokio::spawn(async move { serve(&arguments).await }).await?
    })
}
