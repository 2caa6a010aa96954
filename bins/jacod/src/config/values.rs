//! Values of `jacod.yaml`, from text. Pure: what is refused says what is needed instead.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use jaco_api::model::Span;
use serde_saphyr::{Location, Spanned};

use super::{ConfigError, Place};

pub(super) fn absolute(
    key: &'static str,
    written: Option<Spanned<String>>,
    default: PathBuf,
    refuse: impl Fn(&'static str, &Spanned<String>, String) -> ConfigError,
) -> Result<PathBuf, ConfigError> {
    let Some(written) = written else { return Ok(default) };
    if Path::new(&written.value).is_absolute() {
        return Ok(written.value.into());
    }
    Err(refuse(key, &written, "must be an absolute path".to_owned()))
}

pub(super) fn filled(
    key: &'static str,
    written: Option<Spanned<String>>,
    default: String,
    refuse: impl Fn(&'static str, &Spanned<String>, String) -> ConfigError,
) -> Result<String, ConfigError> {
    let Some(written) = written else { return Ok(default) };
    if !written.value.trim().is_empty() {
        return Ok(written.value);
    }
    Err(refuse(key, &written, "must not be empty".to_owned()))
}

pub(super) fn engine(
    written: Option<Spanned<String>>,
    default: String,
    refuse: impl Fn(&'static str, &Spanned<String>, String) -> ConfigError,
) -> Result<String, ConfigError> {
    let Some(written) = written else { return Ok(default) };
    match written.value.strip_prefix("unix://") {
        Some(path) if Path::new(path).is_absolute() => Ok(written.value),
        _ => Err(refuse(
            "engine_socket",
            &written,
            "must be unix:// and an absolute path".to_owned(),
        )),
    }
}

pub(super) fn socket_address(
    key: &'static str,
    written: &Option<Spanned<String>>,
    refuse: impl Fn(&'static str, &Spanned<String>, String) -> ConfigError,
) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(written) = written else { return Ok(None) };
    written.value.parse().map(Some).map_err(|_| {
        refuse(key, written, "must be an IP address and a port, like 0.0.0.0:7000".to_owned())
    })
}

/// As [`socket_address`]; an empty text means nowhere.
pub(super) fn listener(
    key: &'static str,
    written: &Option<Spanned<String>>,
    default: Option<SocketAddr>,
    refuse: impl Fn(&'static str, &Spanned<String>, String) -> ConfigError,
) -> Result<Option<SocketAddr>, ConfigError> {
    match written {
        Some(written) if written.value.is_empty() => Ok(None),
        written => Ok(socket_address(key, written, refuse)?.or(default)),
    }
}

pub(super) fn port(
    written: Option<&Spanned<u16>>,
    default: u16,
    place: impl Fn(Location) -> Place,
) -> Result<u16, ConfigError> {
    match written {
        Some(Spanned { value: 0, referenced, .. }) => Err(ConfigError::Value {
            place: place(*referenced),
            key: "wg_port",
            problem: "must be a port from 1 to 65535".to_owned(),
        }),
        Some(written) => Ok(written.value),
        None => Ok(default),
    }
}

pub(super) fn forwarder(text: &str) -> Result<SocketAddr, String> {
    let at: Result<SocketAddr, _> = text.parse();
    let at = at.or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, 53)));
    at.ok().filter(|at: &SocketAddr| !at.ip().is_unspecified() && at.port() != 0).ok_or_else(|| {
        "must be an IP address, with a port where that is not 53, like 9.9.9.9 or 10.0.0.2:5353"
            .to_owned()
    })
}

/// Less is less than the way to a forwarder and back; an answer that comes later helps nobody who asked.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);
const MOST_PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn patience(text: &str) -> Result<Duration, String> {
    let read = text.parse().ok().map(Span::to_std);
    read.filter(|time| (LEAST_PATIENCE..=MOST_PATIENCE).contains(time))
        .ok_or_else(|| "must be from 100ms to 30s, like 2s".to_owned())
}

pub(super) fn proxies(text: &str) -> Result<IpNet, String> {
    let block: Result<IpNet, _> = text.parse();
    block.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        "must be an IP address or a block of them, like 10.0.0.5 or 10.0.0.0/24".to_owned()
    })
}

pub(super) fn own_loopback(text: &str) -> Result<SocketAddr, String> {
    let at: Result<SocketAddr, _> = text.parse();
    let at = at.or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, 53)));
    at.ok().filter(|at: &SocketAddr| at.ip().is_loopback() && at.port() != 0).ok_or_else(|| {
        "must be a loopback address, with a port where that is not 53, like 127.0.0.54: it is for programs of \
         this host; containers ask at their gateway"
            .to_owned()
    })
}

pub(super) fn advertised(text: &str) -> Result<IpAddr, String> {
    let ip: IpAddr = text
        .parse()
        .map_err(|_| "must be an IP address without a port, like 10.0.0.5".to_owned())?;
    if ip.is_unspecified() || ip.is_multicast() {
        return Err("must be an address that other hosts can reach".to_owned());
    }
    Ok(ip)
}
