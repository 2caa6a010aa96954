//! Proxies side by side: one thread on one processor, the same upstream, the same load, in turn.
//!
//! What counts is the processor time of the proxy; the load and the upstream have the other processors. Whoever else is
//! on the machine takes caches too, so that only ratios of one run mean something.

mod gateway;
mod load;
mod quiet;
mod usage;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread::available_parallelism,
};

use jaco_harness::{HarnessError, Patience, Process, Result, Run as _, until};

pub use gateway::Gateway;
pub use load::{Held, Latency};
pub use quiet::Quiet;

/// The domain of which all routes are: `site-0.` and so on.
const DOMAIN: &str = "bench.test";
/// How many routes a proxy has, unless said otherwise.
const ROUTES: usize = 10;
/// Where the upstream is.
const UPSTREAM: &str = "127.81.0.9:8080";
/// The size of the file for layer 4.
const BIG: u64 = 256 << 20;

/// What all contenders share: a certificate, and an upstream that runs.
#[derive(Debug)]
pub struct Stage {
    directory: PathBuf,
    upstream: Process,
}

impl Stage {
    /// Sets it up in a directory.
    ///
    /// # Errors
    /// A program is missing, or the upstream does not answer.
    pub fn set(directory: &Path) -> Result<Self> {
        usage::raise_descriptors();
        let root = directory.join("files");
        fs::create_dir_all(&root).map_err(failed("create", &root))?;
        write(&root.join("small"), "a small answer\n")?;
        write(&root.join("medium"), &"0123456789abcdef".repeat(640))?;
        let big = root.join("big");
        let file = fs::File::create(&big).map_err(failed("create", &big))?;
        file.set_len(BIG).map_err(failed("write", &big))?;
        certificate(directory)?;
        let config = directory.join("upstream.conf");
        write(&config, &gateway::upstream(&root))?;
        let mut nginx = elsewhere("nginx");
        nginx.arg("-p").arg(directory).arg("-c").arg(&config);
        let upstream = Process::start(&mut nginx, &directory.join("upstream.log"))?;
        answers("http", UPSTREAM.parse().expect("an address"), "the upstream")?;
        Ok(Self { directory: directory.to_owned(), upstream })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        stop(&mut self.upstream);
    }
}

/// One file with chain and key, and each in its own: programs differ in what they ask for.
fn certificate(directory: &Path) -> Result<()> {
    let (chain, key) = (directory.join("chain.pem"), directory.join("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    openssl.args(["-nodes", "-days", "30", "-subj", "/CN=bench"]);
    openssl.args(["-addext", &format!("subjectAltName=DNS:*.{DOMAIN}")]);
    openssl.arg("-keyout").arg(&key).arg("-out").arg(&chain).text()?;
    let read = |path: &Path| fs::read_to_string(path).map_err(failed("read", path));
    write(&directory.join("both.pem"), &(read(&chain)? + &read(&key)?))
}

fn answers(scheme: &str, at: SocketAddr, who: &str) -> Result<()> {
    until(Patience::SHORT, &format!("{who} to answer"), || {
        let port = at.port();
        let mut curl = Command::new("curl");
        curl.args(["-sSfk", "-o", "/dev/null", "--connect-to", &format!("::{at}")]);
        curl.arg(format!("{scheme}://site-0.{DOMAIN}:{port}/small"));
        curl.text().map(drop).map_err(|error| error.to_string())
    })
}

/// Ends a program in good order: what is killed leaves its workers behind.
fn stop(process: &mut Process) {
    // Nobody is left to tell.
    let _ = process.stop(Patience::SHORT);
}

/// A program on the processor of the proxies.
fn here(program: impl AsRef<std::ffi::OsStr>) -> Command {
    pinned("0", program)
}

/// A program on the others, if there are any.
fn elsewhere(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let last = available_parallelism().map_or(0, |count| count.get() - 1);
    pinned(&format!("{}-{last}", last.min(1)), program)
}

fn pinned(processors: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", processors]).arg(program);
    command
}

fn failed<'a>(
    operation: &'static str,
    path: &'a Path,
) -> impl Fn(std::io::Error) -> HarnessError + 'a {
    move |source| HarnessError::File { operation, path: path.to_owned(), source }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(failed("write", path))
}
