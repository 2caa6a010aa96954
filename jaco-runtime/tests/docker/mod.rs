//! A real engine for tests, when there is one.

use std::io::Cursor;

use jaco_runtime::DockerRuntime;

/// The image every test uses.
pub(crate) const IMAGE: &str = "jaco-test/busybox:1";

/// The engine at `$JACO_TEST_DOCKER`, with [`IMAGE`] in it; says loudly when there is none.
pub(crate) async fn engine() -> Option<DockerRuntime> {
    let Some(socket) = std::env::var("JACO_TEST_DOCKER").ok().filter(|s| !s.is_empty()) else {
        eprintln!("SKIPPED: JACO_TEST_DOCKER names no engine; nothing was tested on a real one");
        return None;
    };
    let engine = DockerRuntime::connect_to(&socket).await.expect("the engine answers");
    // A directory in memory that the engine sees.
    let engine = match std::env::var("JACO_TEST_FILES") {
        Ok(files) => engine.files_at(files.as_ref()),
        Err(_) => engine,
    };
    engine.import_image(IMAGE, layer().into()).await.expect("the image is imported");
    Some(engine)
}

/// What the image can run.
const PROGRAMS: [&str; 14] = [
    "sh", "sleep", "echo", "cat", "true", "false", "nslookup", "head", "tail", "stty", "mkdir",
    "nc", "pwd", "test",
];

/// One static binary under the names of the programs it is.
pub(crate) fn layer() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(busybox.len() as u64);
    header.set_cksum();
    tar.append_data(&mut header, "bin/busybox", Cursor::new(busybox)).expect("memory");
    for name in PROGRAMS {
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, format!("bin/{name}"), "busybox").expect("memory");
    }
    tar.into_inner().expect("memory")
}
