//! Names, asked over real sockets on loopback addresses.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod dig;
mod forwarded;
mod sockets;
mod wire;
mod world;
