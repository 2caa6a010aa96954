//! The reverse proxy over real sockets on loopback.

mod balance;
mod http1;
mod http2;
mod limits;
mod options;
mod replicas;
mod smuggling;
mod support;
mod tls;
