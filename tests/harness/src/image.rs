//! Images without a registry: a tree packed into a tar file that `docker import` takes.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
};

use crate::{HarnessError, Result, run};

/// The applets that the busybox image offers.
const APPLETS: &[&str] = &[
    "sh",
    "httpd",
    "nc",
    "wget",
    "sleep",
    "cat",
    "ls",
    "echo",
    "test",
    "tail",
    "date",
    "nslookup",
    "ping",
    "ip",
    "dd",
    "sha256sum",
    "wc",
    "timeout",
];

/// Packs a static `shop-app` into `directory` and returns the tar file.
///
/// # Errors
/// The binary cannot be read or the tar file not written.
pub fn shop_image(binary: &Path, directory: &Path) -> Result<PathBuf> {
    let path = directory.join("shop-app.tar");
    pack(&path, |tar| {
        tar.append_path_with_name(binary, "shop-app")?;
        tar.append_data(&mut folder(), "data/", std::io::empty())
    })?;
    Ok(path)
}

/// Packs the machine's static busybox into `directory` and returns the tar file.
///
/// # Errors
/// There is no static busybox, or the tar file cannot be written.
pub fn busybox_image(directory: &Path) -> Result<PathBuf> {
    let applets = APPLETS.iter().map(|applet| (format!("/bin/{applet}"), "busybox".to_owned()));
    busybox_image_with(directory, &BTreeMap::new(), &applets.collect())
}

/// Packs the machine's static busybox into `directory`, as `/bin/busybox` alone, with these executable
/// files and links, both by absolute path, and returns the tar file.
///
/// # Errors
/// There is no static busybox, or the tar file cannot be written.
pub fn busybox_image_with(
    directory: &Path,
    files: &BTreeMap<String, String>,
    links: &BTreeMap<String, String>,
) -> Result<PathBuf> {
    let candidates = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    let missing = || HarnessError::Missing { program: "busybox (static)".to_owned() };
    let busybox = candidates.into_iter().find(|path| path.exists()).ok_or_else(missing)?;
    let path = directory.join("busybox.tar");
    pack(&path, |tar| {
        tar.append_path_with_name(busybox, "bin/busybox")?;
        for (file, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            tar.append_data(&mut header, file.trim_start_matches('/'), content.as_bytes())?;
        }
        for (link, target) in links {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_mode(0o777);
            tar.append_link(&mut header, link.trim_start_matches('/'), target)?;
        }
        tar.append_data(&mut folder(), "tmp/", std::io::empty())
    })?;
    Ok(path)
}

/// Packs a program that is linked dynamically, stripped, with the libraries that `ldd` names, into `directory`
/// as `/<its file name>`, and returns the tar file.
///
/// # Errors
/// `strip` or `ldd` is missing or refuses the program, or the tar file cannot be written.
pub fn program_image(program: &Path, directory: &Path) -> Result<PathBuf> {
    let missing = || HarnessError::Missing { program: program.display().to_string() };
    let name = Path::new(program.file_name().ok_or_else(missing)?);
    let stripped = directory.join(name);
    run("strip", &[OsStr::new("-o"), stripped.as_os_str(), program.as_os_str()])?;
    let libraries = libraries(&run("ldd", &[&stripped])?);
    let path = directory.join(name).with_extension("tar");
    pack(&path, |tar| {
        tar.append_path_with_name(&stripped, name)?;
        for library in libraries {
            tar.append_path_with_name(&library, library.strip_prefix("/").unwrap_or(&library))?;
        }
        Ok(())
    })?;
    Ok(path)
}

/// The files that `ldd` names: what follows `=>`, or the interpreter that begins its line.
fn libraries(listing: &str) -> Vec<PathBuf> {
    let words = listing.lines().filter_map(|line| line.split(" (").next());
    let path = |line: &str| line.rsplit(" => ").next().map(|path| PathBuf::from(path.trim()));
    words.filter_map(path).filter(|path| path.is_absolute()).collect()
}

fn folder() -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(0o777);
    header
}

fn pack(
    path: &Path,
    fill: impl FnOnce(&mut tar::Builder<File>) -> std::io::Result<()>,
) -> Result<()> {
    let write = || {
        let mut tar = tar::Builder::new(File::create(path)?);
        tar.follow_symlinks(true);
        fill(&mut tar)?;
        tar.into_inner()?.sync_all()
    };
    write().map_err(HarnessError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_what_ldd_found_and_the_interpreter() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffd)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1c)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f1d)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(libraries(listing), expected.map(PathBuf::from));
    }
}
