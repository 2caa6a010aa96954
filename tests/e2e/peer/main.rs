//! An upstream for the rig that speaks what an ingress has to carry: HTTP/1.1 and HTTP/2, WebSocket, gRPC,
//! lines over TCP with and without a PROXY protocol header, datagrams.
//!
//! It answers with the name of its container, so that a client sees which replica served. It knows nothing of
//! JACO and keeps nothing.

mod bodies;
mod datagrams;
mod health;
mod http;
mod lines;
mod proxied;
mod sockets;
mod state;
mod talk;

use std::{env, io, process::ExitCode, sync::Arc};

use tokio::{
    net::{TcpListener, UdpSocket},
    signal::unix::{SignalKind, signal},
};

use state::Peer;

const USAGE: &str = "usage: rig-peer serve | healthy | sick | well";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match *arguments.as_slice() {
        ["serve"] => serve(),
        ["healthy"] => health::ask("GET", "/healthy"),
        ["sick"] => health::ask("POST", "/sick"),
        ["well"] => health::ask("POST", "/well"),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, USAGE)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

/// One line of the log.
fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(io::stderr(), "{line}");
}

#[tokio::main]
async fn serve() -> io::Result<()> {
    let peer = Arc::new(Peer::new());
    // Before anybody can ask it to stop: the first process of a container has no default action.
    let mut terminate = signal(SignalKind::terminate())?;
    let web = TcpListener::bind("0.0.0.0:8080").await?;
    let plain = TcpListener::bind("0.0.0.0:6379").await?;
    let proxied = TcpListener::bind("0.0.0.0:6380").await?;
    let datagrams = UdpSocket::bind("0.0.0.0:5353").await?;
    tokio::spawn(lines::serve(plain, peer.clone(), lines::Header::None));
    tokio::spawn(lines::serve(proxied, peer.clone(), lines::Header::Proxy));
    tokio::spawn(datagrams::serve(datagrams, peer.clone()));
    let stopping = peer.stopping.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        say("stopping");
        stopping.cancel();
    });
    say(format_args!("{} serves", peer.host));
    http::serve(web, peer.clone()).await?;
    // Connections that were upgraded are no longer the web server's.
    peer.sockets.close();
    peer.sockets.wait().await;
    Ok(())
}
