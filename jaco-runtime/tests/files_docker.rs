//! Secrets and configs on a real engine: in memory, out of sight, and gone with their container.
#![cfg(feature = "docker")]

mod docker;

use std::{fs, path::PathBuf, sync::Arc};

use jaco_api::model::{AssignedFile, ContainerSpec, FileContent, Span};
use jaco_runtime::container::{ContainerRequest, ContainerRuntime};

const SECRET: &str = "correct-horse-battery-staple-6b1f";

fn request(name: &str) -> ContainerRequest {
    let spec = ContainerSpec {
        image: docker::IMAGE.to_owned(),
        command: Some(["sh", "-c", "cat /run/secrets/key; sleep 1000"].map(str::to_owned).into()),
        stop_grace_period: Some(Span::secs(1)),
        ..ContainerSpec::default()
    };
    ContainerRequest {
        name: name.to_owned(),
        labels: [("jaco.test".to_owned(), "files".to_owned())].into(),
        spec: Arc::new(spec),
        networks: Vec::new(),
        files: vec![AssignedFile {
            target: "/run/secrets/key".to_owned(),
            content: FileContent::from(SECRET),
            uid: 7,
            gid: 7,
            mode: 0o400,
        }],
        lead: None,
    }
}

/// What holds the secret below a directory.
fn holding(directory: &PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() && !path.is_symlink() => holding(&path),
            path => vec![path],
        })
        .filter(|path| fs::read(path).is_ok_and(|b| String::from_utf8_lossy(&b).contains(SECRET)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_in_memory_alone_and_go_with_their_container() {
    let Some(engine) = docker::engine().await else { return };
    let memory = PathBuf::from(std::env::var("JACO_TEST_FILES").expect("names a tmpfs"));
    let data = engine.socket().with_file_name("docker").join("containers");

    let first = engine.create(&request("jaco-test-files-1")).await.expect("create");
    assert_eq!(holding(&memory).len(), 1);
    let written = holding(&data.join(&first));
    assert!(written.is_empty(), "the engine wrote it to its disk: {written:?}");

    // The memory is lost, as in a reboot: the container alone does not start, with its files it does.
    for path in holding(&memory) {
        fs::remove_file(path).unwrap();
    }
    engine.start(&first).await.expect_err("its file is missing");
    engine.restore_files(&first, &request("x").files).await.expect("restore");
    engine.start(&first).await.expect("start");

    // What a killed node left behind goes when another one begins.
    let orphan = memory.join("jaco.gone.1");
    fs::create_dir_all(&orphan).unwrap();
    fs::write(orphan.join("0"), SECRET).unwrap();
    let next = docker::engine().await.expect("the engine is there");
    let second = next.create(&request("jaco-test-files-2")).await.expect("create");
    assert!(!orphan.exists(), "what no container uses is still there");
    assert_eq!(holding(&memory).len(), 2, "the files of both containers");

    next.remove(&first).await.expect("remove");
    next.remove(&second).await.expect("remove");
    assert_eq!(fs::read_dir(&memory).unwrap().count(), 0);

    // A container that cannot be made leaves nothing.
    let mut broken = request("jaco-test-files-3");
    broken.spec = Arc::new(ContainerSpec { image: "nope:1".into(), ..Default::default() });
    next.create(&broken).await.expect_err("there is no such image");
    assert_eq!(fs::read_dir(&memory).unwrap().count(), 0);
}
