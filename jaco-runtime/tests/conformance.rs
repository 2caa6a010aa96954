//! The conformance suite on the engine in memory, and on a real one when `JACO_TEST_DOCKER` names
//! its socket. The image is made from the static `busybox` of the machine: no registry is needed.

use jaco_runtime::testing::{FakeRuntime, conformance};

#[tokio::test(start_paused = true)]
async fn the_engine_in_memory_conforms() {
    let engine = FakeRuntime::new();
    engine.add_image("busybox:1");
    conformance::all(&engine, "busybox:1").await;
}

#[cfg(feature = "docker")]
mod docker;

#[cfg(feature = "docker")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docker_conforms() {
    let Some(engine) = docker::engine().await else { return };
    conformance::all(&engine, docker::IMAGE).await;
}
