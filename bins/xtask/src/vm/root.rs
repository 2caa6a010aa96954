//! The kernel of the machine, and the files it starts with.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    error::{Result, TaskError},
    machine::run,
    programs::output,
};

/// Depends on the newest of its kind.
const KERNEL: &str = "linux-image-cloud-amd64";

/// A directory that becomes the machine's root, in memory.
pub(super) struct Root {
    /// Where the kernel is unpacked.
    kernel: PathBuf,
    version: String,
    root: PathBuf,
    /// Modules in the order in which they are loaded.
    modules: Vec<String>,
}

impl Root {
    /// A root with a shell, and Debian's kernel, fetched unless it is here already.
    pub(super) fn create(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).map_err(file("create", directory))?;
        let kernel = unpacked(directory)?;
        let version = only_entry(&kernel.join("lib/modules"))?;
        run(Command::new("depmod").arg("-b").arg(&kernel).arg(&version))?;

        let root = directory.join("root");
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file("remove", &root)(error));
            }
            _ => {}
        }
        for name in ["bin", "dev", "lib/modules", "proc", "run", "sys", "t", "tmp", "var"] {
            fs::create_dir_all(root.join(name)).map_err(file("create", &root))?;
        }
        symlink("/run", root.join("var/run")).map_err(file("link", &root))?;
        let this = Self { kernel, version, root, modules: Vec::new() };
        this.program("busybox")?;
        for applet in ["sh", "mount", "insmod", "poweroff"] {
            let link = this.root.join("bin").join(applet);
            symlink("busybox", &link).map_err(file("link", &link))?;
        }
        Ok(this)
    }

    /// Adds modules of the kernel, and those that they need.
    pub(super) fn modules(&mut self, names: &[&str]) -> Result<()> {
        for name in names {
            let mut command = Command::new("modprobe");
            command.arg("-d").arg(&self.kernel).args(["-S", &self.version, "--show-depends", name]);
            for line in output(&mut command)?.lines() {
                let Some(path) = line.strip_prefix("insmod ") else { continue };
                let path = Path::new(path.trim());
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if !self.modules.contains(&name) {
                    let to = self.root.join("lib/modules").join(&name);
                    fs::copy(path, &to).map_err(file("copy", path))?;
                    self.modules.push(name);
                }
            }
        }
        Ok(())
    }

    pub(super) fn loaded(&self) -> &[String] {
        &self.modules
    }

    /// Adds a program of this machine.
    pub(super) fn program(&self, name: &str) -> Result<()> {
        let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let found = places.iter().map(|place| Path::new(place).join(name)).find(|p| p.is_file());
        let found = found.ok_or_else(|| TaskError::StillMissing { packages: name.to_owned() })?;
        self.file(found.as_os_str(), &format!("/bin/{name}"))
    }

    /// Adds a program, with the libraries that it is linked with.
    pub(super) fn file(&self, from: &OsStr, to: &str) -> Result<()> {
        self.copy(Path::new(from), to)?;
        // It refuses what is linked with nothing.
        let linked = Command::new("ldd").arg(from).stderr(Stdio::null()).output();
        let linked = linked.map_err(|source| TaskError::Start { program: "ldd".into(), source })?;
        for word in String::from_utf8_lossy(&linked.stdout).split_whitespace() {
            if word.starts_with('/') && word.contains(".so") {
                self.copy(Path::new(word), word)?;
            }
        }
        Ok(())
    }

    /// Adds a script that can be run.
    pub(super) fn script(&self, at: &str, text: &str) -> Result<()> {
        let path = self.root.join(at.trim_start_matches('/'));
        fs::write(&path, text).map_err(file("write", &path))?;
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&path, executable).map_err(file("change", &path))
    }

    fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.root.join(to.trim_start_matches('/'));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(file("create", parent))?;
        }
        fs::copy(from, &to).map(drop).map_err(file("copy", from))
    }

    /// Packs the root; the kernel's file and the archive's.
    pub(super) fn pack(&self) -> Result<(PathBuf, PathBuf)> {
        let archive = self.root.with_extension("cpio.gz");
        let script = "find . | cpio -o -H newc --quiet | gzip -1 >\"$0\"";
        run(Command::new("sh").args(["-c", script]).arg(&archive).current_dir(&self.root))?;
        Ok((self.kernel.join("boot").join(format!("vmlinuz-{}", self.version)), archive))
    }
}

/// The kernel package, downloaded and unpacked.
fn unpacked(directory: &Path) -> Result<PathBuf> {
    let depends = output(Command::new("apt-cache").args(["depends", KERNEL]))?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let unknown = || TaskError::Check { what: format!("apt knows no {KERNEL}") };
    let package = package.map(str::trim).ok_or_else(unknown)?;
    let unpacked = directory.join(package);
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    run(Command::new("apt-get").args(["download", "-q", package]).current_dir(directory))?;
    let entries = fs::read_dir(directory).map_err(file("read", directory))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let wanted = |name: &String| name.starts_with(package) && name.ends_with(".deb");
    let archive = names.into_iter().find(wanted).ok_or_else(unknown)?;
    // Aside first: one that was cut short is not taken for a kernel the next time.
    let aside = directory.join("unpacking");
    run(Command::new("dpkg").args(["-x", &archive]).arg(&aside).current_dir(directory))?;
    fs::rename(&aside, &unpacked).map_err(file("rename", &aside))?;
    Ok(unpacked)
}

fn only_entry(directory: &Path) -> Result<String> {
    let mut entries = fs::read_dir(directory).map_err(file("read", directory))?;
    let first = entries.find_map(|entry| entry.ok()?.file_name().into_string().ok());
    let nothing = || TaskError::Check { what: format!("{} is empty", directory.display()) };
    first.ok_or_else(nothing)
}

pub(super) fn file(operation: &'static str, path: &Path) -> impl Fn(std::io::Error) -> TaskError {
    let path = path.display().to_string();
    move |source| TaskError::File { operation, path: path.clone(), source }
}
