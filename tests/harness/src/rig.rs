//! The rig: a switch and its hosts, made and removed completely.

use std::{
    collections::BTreeSet,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    HarnessError, Host, Result, Run,
    host::{self, HostRecord},
    process::alive,
    record::Record,
    run,
};

/// What a rig is made of.
#[derive(Debug, Clone)]
pub struct RigOptions {
    /// Number of hosts, from 1 to 100.
    pub hosts: u8,
    /// Name; by default one that no other rig has. At most 8 lowercase letters and digits.
    pub name: Option<String>,
    /// True when it is to outlive this process, until `Rig::open(name)?.down()`.
    pub keep: bool,
}

impl Default for RigOptions {
    fn default() -> Self {
        Self { hosts: 1, name: None, keep: false }
    }
}

/// Hosts joined by a switch. Dropping it removes everything, unless it was made to be kept.
#[derive(Debug)]
pub struct Rig {
    record: Record,
    hosts: Vec<Host>,
    gone: bool,
}

impl Rig {
    /// Builds a rig and waits until every engine answers. Rigs whose owner died are removed first.
    ///
    /// # Errors
    /// Not root, a program is missing, or the kernel or an engine refuses; nothing is left behind.
    pub fn up(options: &RigOptions) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(HarnessError::NotRoot);
        }
        Self::sweep()?;
        let record = reserve(options)?;
        let mut rig = Self { record, hosts: Vec::new(), gone: false };
        match rig.build() {
            Ok(()) => Ok(rig),
            // Also of a rig that is to be kept, nothing is worth keeping before it stands.
            Err(error) => rig.remove().and(Err(error)),
        }
    }

    fn build(&mut self) -> Result<()> {
        let record = &self.record;
        let resolv = record.directory().join("resolv.conf");
        // No look-up leaves the machine.
        fs::write(&resolv, "nameserver 127.0.0.1\n")
            .map_err(HarnessError::file("write", &resolv))?;
        let switch = switch(&record.name);
        run("ip", &["link", "add", &switch, "type", "bridge"])?;
        let gateway = format!("{}/24", self.gateway());
        run("ip", &["addr", "add", &gateway, "dev", &switch])?;
        run("ip", &["link", "set", &switch, "up"])?;
        for number in 1..=self.record.hosts {
            let mut host = Host::create(self.host_record(number))?;
            host.start_engine()?;
            if self.record.kept {
                host.detach();
            }
            self.hosts.push(host);
        }
        self.hosts.iter().try_for_each(Host::wait_for_engine)
    }

    fn host_record(&self, number: u8) -> HostRecord {
        HostRecord {
            rig: self.record.name.clone(),
            number,
            address: Ipv4Addr::new(10, 97, self.record.block, 10 + number),
            gateway: self.gateway(),
            directory: self.record.directory().join(format!("n{number}")),
            resolv: self.record.directory().join("resolv.conf"),
        }
    }

    /// Opens a rig that was made to be kept.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn open(name: &str) -> Result<Self> {
        let unknown = || HarnessError::UnknownRig { name: name.to_owned() };
        let record = Record::all().into_iter().find(|r| r.name == name).ok_or_else(unknown)?;
        let mut rig = Self { record, hosts: Vec::new(), gone: false };
        rig.hosts = (1..=rig.record.hosts).map(|n| Host::open(rig.host_record(n))).collect();
        Ok(rig)
    }

    /// Names of the rigs that were made to be kept.
    #[must_use]
    pub fn list() -> Vec<String> {
        Record::all().into_iter().filter(|record| record.kept).map(|record| record.name).collect()
    }

    /// Removes every rig whose owner died before it could.
    ///
    /// # Errors
    /// Something of it cannot be removed.
    pub fn sweep() -> Result<()> {
        for record in Record::all() {
            if !record.kept && !alive(record.owner) {
                Self::open(&record.name)?.down()?;
            }
        }
        Ok(())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Its directory: logs, sockets and data of every host.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.record.directory()
    }

    /// The address of this machine on the switch.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 97, self.record.block, 254)
    }

    /// The interface that every packet between hosts passes.
    pub(crate) fn switch(&self) -> String {
        switch(&self.record.name)
    }

    /// A host, counted from 0.
    ///
    /// # Panics
    /// The rig has fewer hosts.
    #[must_use]
    pub fn host(&self, index: usize) -> &Host {
        &self.hosts[index]
    }

    /// A host to change, counted from 0.
    ///
    /// # Panics
    /// The rig has fewer hosts.
    #[must_use]
    pub fn host_mut(&mut self, index: usize) -> &mut Host {
        &mut self.hosts[index]
    }

    /// Its hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Lets the engines live on after this process.
    pub(crate) fn detach(&mut self) {
        self.hosts.iter_mut().for_each(Host::detach);
    }

    /// Starts the engines that do not answer, and waits for them.
    ///
    /// # Errors
    /// One does not come back.
    pub fn revive(&mut self) -> Result<()> {
        for host in &mut self.hosts {
            if host.engine().docker(&["version"]).is_err() {
                host.start_engine()?;
            }
        }
        self.hosts.iter().try_for_each(Host::wait_for_engine)
    }

    /// Removes every container, network and volume of every engine, on all hosts at once.
    ///
    /// # Errors
    /// An engine does not answer.
    pub fn clear_engines(&mut self) -> Result<()> {
        std::thread::scope(|scope| {
            let hosts = self.hosts.iter_mut();
            let all: Vec<_> = hosts.map(|host| scope.spawn(|| host.clear_engine())).collect();
            let gone = || HarnessError::Missing { program: "a thread that clears".to_owned() };
            all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| Err(gone())))
        })
    }

    /// Loads an image into every engine.
    ///
    /// # Errors
    /// An engine refuses it.
    pub fn load_image(&self, tree: &Path, name: &str, changes: &[&str]) -> Result<()> {
        self.hosts.iter().try_for_each(|host| host.engine().import(tree, name, changes))
    }

    /// Removes everything: containers, engines, processes, control groups, namespaces, interfaces,
    /// mounts and files.
    ///
    /// # Errors
    /// The first thing that could not be removed; everything else is.
    pub fn down(mut self) -> Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> Result<()> {
        self.gone = true;
        let mut outcome = Ok(());
        self.hosts.clear();
        for number in 1..=self.record.hosts {
            outcome = outcome.and(host::remove(&self.host_record(number)));
        }
        outcome = outcome.and(host::remove_link(&switch(&self.record.name)));
        let directory = self.record.directory();
        outcome.and(fs::remove_dir_all(&directory).map_err(HarnessError::file("remove", directory)))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if !self.gone && !self.record.kept {
            // A panicking test has its own message; the next rig sweeps what is left.
            let _ = self.remove();
        }
    }
}

fn switch(rig: &str) -> String {
    format!("{rig}sw")
}

/// Whoever holds it chooses; it counts the rigs of this process that were not named.
static CHOOSING: Mutex<u8> = Mutex::new(0);

/// Chooses a name and an address block that nobody uses and writes them down.
fn reserve(options: &RigOptions) -> Result<Record> {
    let owner = rustix::process::getpid().as_raw_nonzero().get();
    let mut unnamed = CHOOSING.lock().unwrap_or_else(PoisonError::into_inner);
    let name = options.name.clone().unwrap_or_else(|| {
        *unnamed = unnamed.wrapping_add(1);
        format!("jr{owner:x}{}", char::from(b'a' + *unnamed % 26))
    });
    if Record::all().iter().any(|record| record.name == name) {
        Rig::open(&name)?.down()?;
    }
    let used = used_blocks()?;
    let start = u8::try_from(owner.rem_euclid(250)).unwrap_or(0);
    let block = (0..250u8)
        .map(|n| start.wrapping_add(n) % 250)
        .find(|block| !used.contains(block))
        .ok_or(HarnessError::NoFreeBlock)?;
    let record = Record { name, hosts: options.hosts, block, owner, kept: options.keep };
    record.write()?;
    Ok(record)
}

fn used_blocks() -> Result<BTreeSet<u8>> {
    let addresses = std::process::Command::new("ip").args(["-4", "-o", "addr"]).text()?;
    let words = addresses.split_whitespace().filter_map(|word| word.strip_prefix("10.97."));
    let mut used: BTreeSet<u8> =
        words.filter_map(|rest| rest.split('.').next()?.parse().ok()).collect();
    used.extend(Record::all().iter().map(|record| record.block));
    Ok(used)
}
