//! Input that cannot be right: one clear error, nothing changed, the daemon alive.

use std::fs;

use jaco_e2e::{Bench, Outcome};
use jaco_harness::{Node, NodeOptions, Patience};

use crate::stacks::{FOREVER, named, shell};

/// A bad pair of files: what it is, jaco.yaml, compose.yml, and what the error must name.
type Bad<'a> = (&'a str, Vec<u8>, Vec<u8>, &'a str);

fn bad_pairs() -> Vec<Bad<'static>> {
    let jaco = || named("bad").into_bytes();
    let compose = || shell(FOREVER, "").into_bytes();
    let with = |further: &str| shell(FOREVER, further).into_bytes();
    let named_with = |further: &str| format!("{}{further}", named("bad")).into_bytes();
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
                c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
                e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                services: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    let huge = [compose(), vec![b'#'; 4 << 20], b"\n".to_vec()].concat();
    let two = "routes:\n  - {domain: a.example, service: app, port: 80}\n  \
               - {domain: a.example, service: app, port: 81}\n";
    vec![
        ("an empty jaco.yaml", Vec::new(), compose(), "deployment"),
        ("an empty compose file", jaco(), Vec::new(), "services"),
        ("a binary jaco.yaml", vec![0xff, 0x00, 0xfe, 0x80], compose(), "UTF-8"),
        ("a binary compose file", jaco(), vec![0x7f, b'E', b'L', b'F', 0xff, 0x00], "UTF-8"),
        ("more than 4 MiB", jaco(), huge, "4 MiB"),
        ("an alias bomb", jaco(), bomb.into(), "alias"),
        ("a key twice", named_with("deployment: again\n"), compose(), "deployment"),
        ("an unknown key", named_with("replicas: 3\n"), compose(), "replicas"),
        ("an unknown key of a service", jaco(), with("    imagee: x\n"), "imagee"),
        ("an unknown key deep down", jaco(), with("    deploy:\n      replica: 2\n"), "replica"),
        ("a wrong type", jaco(), with("    deploy:\n      replicas: many\n"), "replicas"),
        ("an unknown service", named_with("services:\n  - name: nobody\n"), compose(), "nobody"),
        (
            "an unknown host",
            named_with("services:\n  - {name: app, placement: hosts, hosts: [mars]}\n"),
            compose(),
            "mars",
        ),
        ("an unknown network", jaco(), with("    networks: [nowhere]\n"), "nowhere"),
        ("two catch-all routes", named_with(two), compose(), "a.example"),
        ("a bad name", named("Not_A_Label").into_bytes(), compose(), "Not_A_Label"),
    ]
}

pub(crate) fn bad_manifests_are_refused_without_change(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let cli = bench.cli();
    let index = |bench: &Bench| -> Outcome<u64> {
        let status = bench.cli().json(&["cluster", "status"])?;
        Ok(status["applied_index"].as_u64().ok_or("no index")?)
    };
    let before = index(bench)?;
    let stack = bench.stack(&named("bad"), "")?;
    for (what, jaco, compose, word) in bad_pairs() {
        stack.put("jaco.yaml", &jaco)?;
        stack.put("compose.yml", &compose)?;
        let output = cli.try_run(&["apply", &stack.manifest()])?;
        assert_eq!(output.code, 1, "{what}: {output:?}");
        assert!(output.stderr.contains(word), "{what} does not name {word:?}:\n{}", output.stderr);
        assert!(output.took.as_secs() < 5, "{what} took {:?}", output.took);
    }
    // All problems of both files at once.
    stack.put("jaco.yaml", "deployment: Bad_\nrepliccas: 3\n")?;
    stack.put("compose.yml", "services:\n  app:\n    imagee: x\n    ports: [\"80:80\"]\n")?;
    let output = cli.try_run(&["validate", "--jaco", &stack.manifest()])?;
    for word in ["Bad_", "repliccas", "imagee", "jaco.yaml:", "compose.yml:", "reserved"] {
        assert!(output.stderr.contains(word) || output.stdout.contains(word), "{word}: {output:?}");
    }
    missing_files(bench)?;
    assert_eq!(index(bench)?, before, "nothing was written");
    assert_eq!(cli.json(&["get", "deployments"])?.as_array().map(Vec::len), Some(0));
    assert_eq!(bench.engine().containers(None)?, []);
    Ok(())
}

fn missing_files(bench: &Bench) -> Outcome {
    let cli = bench.cli();
    let scratch = bench.scratch()?;
    let nothing = scratch.join("nothing/jaco.yaml");
    let alone = scratch.join("alone");
    fs::create_dir_all(&alone)?;
    fs::write(alone.join("jaco.yaml"), named("bad"))?;
    for path in [nothing, alone.clone(), alone.join("jaco.yaml")] {
        let output = cli.try_run(&["apply", &path.display().to_string()])?;
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains("alone") || output.stderr.contains("nothing"), "{output:?}");
    }
    Ok(())
}

/// Starts a daemon that must end by itself, and returns the last lines it wrote.
fn refusal(node: &mut Node) -> Outcome<String> {
    node.spawn()?;
    let process = node.process().ok_or("it was spawned")?;
    process.wait(Patience::NORMAL)?;
    assert_eq!(process.exit_code(), Some(1), "{}", process.tail(20));
    Ok(node.tail(20))
}

pub(crate) fn a_daemon_that_cannot_start_says_why(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let binaries = bench.node_mut().binaries_mut().clone();
    let second = |bench: &Bench, name: &str, options: &NodeOptions| -> Outcome<Node> {
        Ok(Node::prepare(bench.host(), name, &binaries, options)?)
    };
    let said = refusal(&mut second(bench, "second", &NodeOptions::default())?)?;
    assert!(said.contains(":7000") && said.contains("in use"), "the port in use is named:\n{said}");

    let blocker = bench.scratch()?.join("file");
    fs::write(&blocker, "")?;
    let free = NodeOptions { ports: (7010, 7011), ..Default::default() };
    let blocked = NodeOptions { data_dir: Some(blocker.join("data")), ..free.clone() };
    let said = refusal(&mut second(bench, "third", &blocked)?)?;
    assert!(said.contains("file/data"), "the unusable directory is named:\n{said}");

    let unknown = NodeOptions { config: "no_such_key: 1\n".to_owned(), ..free };
    let said = refusal(&mut second(bench, "fourth", &unknown)?)?;
    assert!(said.contains("no_such_key"), "the unknown key is named:\n{said}");

    let status = bench.cli().json(&["cluster", "status"])?;
    assert_eq!(status["initialized"], true, "the first one is not disturbed: {status}");
    Ok(())
}

pub(crate) fn a_full_disk_is_survived(bench: &mut Bench) -> Outcome {
    let disk = bench.scratch()?.join("disk");
    fs::create_dir_all(&disk)?;
    let target = disk.display().to_string();
    jaco_harness::run("mount", &["-t", "tmpfs", "-o", "size=6m", "tmpfs", &target])?;
    let outcome = full_disk(bench, &disk);
    drop(bench.node_mut().stop());
    jaco_harness::run("umount", &["-l", &target])?;
    outcome
}

fn full_disk(bench: &mut Bench, disk: &std::path::Path) -> Outcome {
    let options = NodeOptions { data_dir: Some(disk.join("data")), ..Default::default() };
    bench.prepare(&options)?.start()?;
    let cli = bench.cli();
    cli.run(&["cluster", "init"])?;
    let stack = bench.stack(&named("full"), &shell(FOREVER, ""))?;
    cli.run(&["apply", &stack.manifest(), "--wait=60s"])?;

    let filler = disk.join("filler");
    let filled = fs::write(&filler, vec![0; 16 << 20]);
    assert!(filled.is_err(), "the disk is small");
    // Enough to need a new block whatever is left in the last one.
    let large = format!("    environment:\n      LARGE: \"{}\"\n", "x".repeat(100_000));
    stack.put("compose.yml", shell(FOREVER, &large))?;
    let output = cli.try_run(&["apply", &stack.manifest()])?;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.error_code().is_some(), "a typed error: {output:?}");
    let list = cli.json(&["get", "deployments"])?;
    assert_eq!(list[0]["revision"], 1, "nothing was changed: {list}");

    fs::remove_file(&filler)?;
    bench.node_mut().stop()?;
    bench.node_mut().start()?;
    cli.run(&["apply", &stack.manifest(), "--wait=60s"])?;
    let list = cli.json(&["get", "deployments"])?;
    assert_eq!(list[0]["revision"], 2, "{list}");
    Ok(())
}
