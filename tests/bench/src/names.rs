//! Name servers: JACO's responder and dnsmasq, each one process, with the same names, asked by the same client.

use std::{
    fmt::Write as _,
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::Command,
};

use jaco_harness::{HarnessError, Patience, Process, Result, Run as _, until};

const SERVICES: u32 = 200;
const REPLICAS: u32 = 3;
const SECONDS: &str = "5";

/// A name server that runs.
#[derive(Debug)]
pub struct NameServer {
    name: &'static str,
    address: SocketAddr,
    _process: Process,
}

/// What a client saw.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Answers per second.
    pub per_second: f64,
    /// How long one took on average, in milliseconds.
    pub milliseconds: f64,
    /// Questions without an answer.
    pub lost: u64,
}

fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |source| HarnessError::File { operation: "write", path: path.to_owned(), source };
    fs::write(path, text).map_err(failed)
}

impl NameServer {
    /// JACO's, which is this program.
    ///
    /// # Errors
    /// It does not start, or does not answer.
    pub fn jaco(program: &Path, directory: &Path) -> Result<Self> {
        let address = SocketAddr::from(([127, 53, 0, 1], 5353));
        let mut command = Command::new(program);
        let numbers = [SERVICES.to_string(), REPLICAS.to_string()];
        command.arg(address.to_string()).args(numbers);
        Self::start("JACO", address, &mut command, directory)
    }

    /// dnsmasq, which has the names in a file of hosts and forwards nothing.
    ///
    /// # Errors
    /// It does not start, or does not answer.
    pub fn dnsmasq(directory: &Path) -> Result<Self> {
        let address = SocketAddr::from(([127, 53, 0, 2], 5353));
        let mut hosts = String::new();
        for number in 0..SERVICES {
            for index in 0..REPLICAS {
                let [_, b, c, d] = (number * REPLICAS + index).to_be_bytes();
                let ip = IpAddr::from([10, b, c, d]);
                let _ = writeln!(hosts, "{ip} service-{number}.shop.jaco.internal");
            }
        }
        let file = directory.join("hosts");
        write(&file, &hosts)?;
        let mut command = Command::new("dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
        ]);
        command.args([
            "--bind-interfaces",
            "--local=/jaco.internal/",
            "--local-ttl=1",
            "--pid-file=",
        ]);
        command.args(["--user=root", "--log-facility=-"]);
        command.arg(format!("--addn-hosts={}", file.display()));
        command.arg(format!("--listen-address={}", address.ip()));
        command.arg(format!("--port={}", address.port()));
        Self::start("dnsmasq", address, &mut command, directory)
    }

    fn start(
        name: &'static str,
        address: SocketAddr,
        command: &mut Command,
        directory: &Path,
    ) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let process = Process::start(command, &log)?;
        let server = Self { name, address, _process: process };
        let one = directory.join("one");
        write(&one, "service-0.shop.jaco.internal A\n")?;
        until(Patience::SHORT, &format!("{name} to answer"), || {
            match server.ask(&one, &["-n", "1", "-t", "1"]) {
                Ok(Pace { lost: 0, .. }) => Ok(()),
                Ok(pace) => Err(format!("{pace:?}")),
                Err(error) => Err(error.to_string()),
            }
        })?;
        Ok(server)
    }

    /// What the table calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Asks it for all names for some seconds, a hundred questions at a time; one in eight is for a name that there
    /// is not.
    ///
    /// # Errors
    /// The client cannot be run.
    pub fn race(&self, directory: &Path) -> Result<Pace> {
        let mut questions = String::new();
        for number in 0..SERVICES {
            let service = if number % 8 == 7 { "none" } else { "service" };
            let kind = if number % 8 == 3 { "AAAA" } else { "A" };
            let _ = writeln!(questions, "{service}-{number}.shop.jaco.internal {kind}");
        }
        let file = directory.join("questions");
        write(&file, &questions)?;
        self.ask(&file, &["-l", SECONDS, "-c", "4", "-q", "100"])
    }

    fn ask(&self, questions: &Path, how: &[&str]) -> Result<Pace> {
        let (ip, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let mut dnsperf = Command::new("dnsperf");
        dnsperf.args(["-s", &ip, "-p", &port]).args(how).arg("-d").arg(questions);
        Ok(pace(&dnsperf.text()?).unwrap_or(Pace { per_second: 0.0, milliseconds: 0.0, lost: 1 }))
    }
}

/// Reads what dnsperf prints.
fn pace(printed: &str) -> Option<Pace> {
    let value = |label: &str| {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(label))?;
        line.split_whitespace().next()
    };
    Some(Pace {
        per_second: value("Queries per second:")?.parse().ok()?,
        milliseconds: value("Average Latency (s):")?.parse::<f64>().ok()? * 1000.0,
        lost: value("Queries lost:")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnsperf_prints_is_read() {
        let printed = "Statistics:\n\n  Queries sent:         20\n  Queries completed:    19 (95.00%)\n  \
                       Queries lost:         1 (5.00%)\n\n  Queries per second:   5432.1\n\n  \
                       Average Latency (s):  0.000250 (min 0.0001, max 0.001)\n";
        let read = pace(printed).unwrap();
        assert_eq!((read.per_second, read.milliseconds, read.lost), (5432.1, 0.25, 1));
        assert!(pace("nothing").is_none());
    }
}
