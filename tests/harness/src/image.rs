//! Images without a registry: a tree packed into a tar file that `docker import` takes.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use crate::{HarnessError, Result};

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
