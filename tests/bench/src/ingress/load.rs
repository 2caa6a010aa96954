//! What is asked of a proxy, and what that costs it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use jaco_harness::{HarnessError, Result, Run as _};

use super::{
    BIG, DOMAIN, Gateway, UPSTREAM, elsewhere, failed,
    gateway::{LAYER4, PLAIN, TLS},
    usage, write,
};

/// Requests for all hosts, one after the other.
const SCRIPT: &str = "\
local requests, at = {}, 0
function init(args)
  local headers = {}
  for n = 0, tonumber(args[1]) - 1 do
    headers['Host'] = 'site-' .. n .. '.' .. args[2]
    requests[n] = wrk.format('GET', wrk.path, headers)
  end
end
function request()
  at = (at + 1) % (#requests + 1)
  return requests[at]
end
";

/// How long an answer takes.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// The median, in microseconds.
    pub p50: f64,
    /// What one in a hundred is beyond, in microseconds.
    pub p99: f64,
}

/// What idle connections cost.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// Memory before, in KiB.
    pub before: u64,
    /// And with them.
    pub with: u64,
}

/// Numbers are of requests, or of MiB, in a second of the proxy's processor time.
impl Gateway {
    /// HTTP/1.1 without TLS over 64 kept connections, for a second.
    ///
    /// # Errors
    /// Something was not answered well.
    pub fn http1(&self, path: &str) -> Result<f64> {
        let script = self.directory.join("requests.lua");
        write(&script, SCRIPT)?;
        let mut wrk = elsewhere("wrk");
        wrk.args(["-t1", "-c64", "-d1s", "-s"]).arg(&script);
        wrk.arg(format!("http://{}:{PLAIN}/{path}", self.address));
        wrk.args(["--", &self.routes.to_string(), DOMAIN]);
        self.counted(&mut wrk, requests_of_wrk)
    }

    /// TLS handshakes: one for each of so many requests.
    ///
    /// # Errors
    /// Something was not answered well.
    pub fn handshakes(&self, requests: u32) -> Result<f64> {
        let mut h2load = elsewhere("h2load");
        h2load.args(["--h1", "-t", "1", "-c", "32", "-n", &requests.to_string()]);
        h2load.args(["-H", "Connection: close"]);
        self.over_tls(&mut h2load)
    }

    /// HTTP/2 over TLS: 16 connections with 16 streams each, for a second.
    ///
    /// # Errors
    /// Something was not answered well.
    pub fn http2(&self) -> Result<f64> {
        let mut h2load = elsewhere("h2load");
        h2load.args(["-t", "1", "-c", "16", "-m", "16", "-D", "1"]);
        self.over_tls(&mut h2load)
    }

    fn over_tls(&self, h2load: &mut Command) -> Result<f64> {
        h2load.arg(format!("--connect-to={}:{TLS}", self.address));
        h2load.arg(format!("https://site-1.{DOMAIN}:{TLS}/small"));
        self.counted(h2load, requests_of_h2load)
    }

    /// How long requests take that come at an even pace, for a second. `direct` asks the upstream itself. It has the
    /// priority that [`Quiet`](super::Quiet) gives to all others.
    ///
    /// # Errors
    /// Something was not answered well.
    pub fn latency(&self, direct: bool, per_second: f64) -> Result<Latency> {
        const CLIENTS: f64 = 8.0;
        let log = self.directory.join("latency");
        let _ = fs::remove_file(&log);
        let own = format!("{}:{PLAIN}", self.address);
        let mut h2load = elsewhere("chrt");
        h2load.args(["-f", "1", "h2load", "--h1", "-t", "1", "-c", &CLIENTS.to_string()]);
        h2load.arg(format!("-n{per_second:.0}"));
        h2load.arg(format!("--rps={:.0}", per_second / CLIENTS));
        h2load.arg(format!("--connect-to={}", if direct { UPSTREAM } else { &own }));
        h2load.arg(format!("--log-file={}", log.display()));
        h2load.arg(format!("http://site-1.{DOMAIN}:{PLAIN}/small")).text()?;
        let text = fs::read_to_string(&log).map_err(failed("read", &log))?;
        let mut times: Vec<f64> =
            text.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok()).collect();
        times.sort_by(f64::total_cmp);
        let share = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or(f64::NAN);
        Ok(Latency { p50: share(50), p99: share(99) })
    }

    /// Opens connections, asks once on each, and lets them be.
    ///
    /// # Errors
    /// One cannot be opened, or is not answered.
    pub fn idle(&self, connections: usize) -> Result<Held> {
        let before = usage::memory(self.process.pid());
        let request = format!("GET /small HTTP/1.1\r\nHost: site-0.{DOMAIN}\r\n\r\n");
        let open = || -> std::io::Result<TcpStream> {
            let mut stream = TcpStream::connect((self.address, PLAIN))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"answer\n") {
                let mut part = [0; 1024];
                match stream.read(&mut part)? {
                    0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                    length => answer.extend_from_slice(&part[..length]),
                }
            }
            Ok(stream)
        };
        let opened: std::io::Result<Vec<TcpStream>> = (0..connections).map(|_| open()).collect();
        let held = opened.map_err(|source| HarnessError::Start {
            program: format!("a connection to {}", self.name()),
            source,
        })?;
        let with = usage::memory(self.process.pid());
        drop(held);
        Ok(Held { before, with })
    }

    /// Four downloads at once through the layer 4 port, a GiB together.
    ///
    /// # Errors
    /// One does not come through.
    pub fn layer4(&self) -> Result<f64> {
        let url = format!("http://{}:{LAYER4}/big", self.address);
        let mut curl = elsewhere("curl");
        curl.args(["-sSf", "-Z", "--parallel-immediate"]);
        for _ in 0..4 {
            curl.args(["-o", "/dev/null", &url]);
        }
        self.counted(&mut curl, |_| Some((4 * BIG) >> 20))
    }

    /// Runs a command and divides what it did by the processor time that it cost the proxy.
    fn counted(&self, command: &mut Command, done: impl Fn(&str) -> Option<u64>) -> Result<f64> {
        let before = usage::processor(self.process.pid());
        let printed = command.text()?;
        let used = usage::processor(self.process.pid()).saturating_sub(before);
        let done = done(&printed).ok_or_else(|| HarnessError::Command {
            line: format!("{command:?}"),
            status: "not everything was answered well".to_owned(),
            output: printed.clone(),
        })?;
        Ok(done as f64 / used.as_secs_f64())
    }
}

/// How many requests wrk counts; `None` if some had no good answer.
fn requests_of_wrk(printed: &str) -> Option<u64> {
    let bad = ["Non-2xx", "Socket errors"].iter().any(|word| printed.contains(word));
    let line = printed.lines().find(|line| line.contains(" requests in "))?;
    (!bad).then(|| line.split_whitespace().next()?.parse().ok()).flatten()
}

/// How many requests h2load counts; `None` if some had no good answer.
fn requests_of_h2load(printed: &str) -> Option<u64> {
    let line = printed.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let count = |what: &str| -> Option<u64> {
        line.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
    };
    (count("failed")? == 0 && count("errored")? == 0).then(|| count("succeeded")).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_clients_print_is_read() {
        let wrk = "  2 threads and 4 connections\n  12345 requests in 3.00s, 1.00MB read\n";
        assert_eq!(requests_of_wrk(wrk), Some(12_345));
        assert_eq!(requests_of_wrk(&format!("{wrk}  Non-2xx or 3xx responses: 3\n")), None);
        let h2load = "requests: 70 total, 70 started, 70 done, 70 succeeded, 0 failed, 0 errored, \
                      0 timeout\n";
        assert_eq!(requests_of_h2load(h2load), Some(70));
        assert_eq!(requests_of_h2load(&h2load.replace("0 failed", "1 failed")), None);
        assert_eq!(requests_of_h2load("nothing"), None);
    }
}
