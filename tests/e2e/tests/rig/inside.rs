//! Into containers and back, with real terminals, files and connections.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    process::{Command, Output, Stdio},
};

use jaco_e2e::{Bench, Outcome};
use jaco_harness::{Cli, Patience, Stack, until};

const COMPOSE: &str = "\
services:
  box:
    image: busybox:rig
    pull_policy: never
    command: [sh, -c, \"trap 'exit 0' TERM; while :; do sleep 0.1; done\"]
    stop_grace_period: 1s
  echo:
    image: busybox:rig
    pull_policy: never
    command: [busybox, nc, -ll, -p, \"7070\", -e, cat]
    stop_grace_period: 1s
";

fn stack(bench: &mut Bench) -> Outcome<Stack> {
    bench.stack("deployment: demo\n", COMPOSE)
}

/// `jaco exec` with everything it is told before the command, which takes the rest of the line.
fn exec(cli: &Cli, arguments: &[&str]) -> Command {
    let mut command = cli.command(&[]);
    command.arg("exec").args(arguments);
    command
}

fn fed(mut command: Command, input: &[u8]) -> Outcome<Output> {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn()?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || {
        // A command that does not read to the end is no failure of ours.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output()?;
    feeding.join().map_err(|_| "feeding panicked")?;
    Ok(output)
}

pub(crate) fn commands_run_with_their_bytes_terminals_and_exit_codes(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let cli = bench.cli();
    let demo = stack(bench)?;
    cli.run(&["apply", &demo.manifest(), "--wait=60s"])?;

    let all =
        fed(exec(&cli, &["demo/box", "--", "sh", "-c", "echo out; echo err >&2; exit 42"]), b"")?;
    let seen = (all.status.code(), &*all.stdout, &*all.stderr);
    assert_eq!(seen, (Some(42), &b"out\n"[..], &b"err\n"[..]));
    let long: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let echoed = fed(exec(&cli, &["-i", "demo.box.1", "--", "cat"]), &long)?;
    assert!(echoed.status.success() && echoed.stdout == long, "{} bytes", echoed.stdout.len());
    let missing = fed(exec(&cli, &["demo/box", "--", "frobnicate"]), b"")?;
    assert!(matches!(missing.status.code(), Some(126 | 127)), "{missing:?}");
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(said.starts_with("Error: exec_failed: ") && said.contains("frobnicate"), "{said}");

    // `script` gives it a terminal of its own.
    let shell = exec(&cli, &["-it", "demo/box", "--", "sh"]);
    let quote = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy());
    let words: Vec<_> =
        std::iter::once(shell.get_program()).chain(shell.get_args()).map(quote).collect();
    let line = format!("stty rows 33 cols 101; exec {}", words.join(" "));
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]);
    let typed = fed(script, b"busybox stty size; tty=$((40+2)); exit $tty\n")?;
    let shown = String::from_utf8_lossy(&typed.stdout).into_owned();
    assert!(shown.contains("33 101"), "{shown}");
    assert_eq!(typed.status.code(), Some(42), "{shown}");

    let audit = cli.run(&["audit", "--type", "exec", "-o", "json"])?.stdout;
    assert!(audit.contains("\"program\": \"frobnicate\""), "{audit}");
    assert!(!audit.contains("exit 42"), "arguments are never noted: {audit}");
    who_goes_away_leaves_nothing_running(bench, &cli)
}

fn who_goes_away_leaves_nothing_running(bench: &Bench, cli: &Cli) -> Outcome {
    let sleeping = || -> Result<bool, String> {
        let id = bench.containers("box").map_err(|e| e.to_string())?.remove(0).id;
        let top = bench.engine().docker(&["top", &id]).map_err(|e| e.to_string())?;
        Ok(top.contains("sleep 4321"))
    };
    let mut command = exec(cli, &["demo/box", "--", "sleep", "4321"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let is = |wanted: bool| {
        move |seen: Result<bool, String>| match seen {
            Ok(seen) if seen == wanted => Ok(()),
            Ok(seen) => Err(format!("it runs: {seen}")),
            Err(error) => Err(error),
        }
    };
    until(Patience::NORMAL, "the command to run", || is(true)(sleeping()))?;
    child.kill()?;
    child.wait()?;
    Ok(until(Patience::NORMAL, "the command to be gone", || is(false)(sleeping()))?)
}

pub(crate) fn files_and_connections_go_through_the_daemon(bench: &mut Bench) -> Outcome {
    bench.cluster()?;
    let cli = bench.cli();
    let demo = stack(bench)?;
    cli.run(&["apply", &demo.manifest(), "--wait=60s"])?;

    let here = bench.scratch()?.join("files");
    fs::create_dir_all(here.join("site/img"))?;
    fs::write(here.join("site/index.html"), "hello")?;
    fs::write(here.join("site/img/logo"), vec![7; 5_000_000])?;
    let path = |name: &str| here.join(name).display().to_string();
    cli.run(&["cp", &path("site"), "demo.box.1:/tmp"])?;
    let there = fed(exec(&cli, &["demo/box", "--", "cat", "/tmp/site/index.html"]), b"")?;
    assert_eq!(there.stdout, b"hello");
    cli.run(&["cp", "demo.box.1:/tmp/site", &path("back")])?;
    assert_eq!(fs::read(here.join("back/img/logo"))?, vec![7; 5_000_000]);
    let nothing = cli.try_run(&["cp", "demo.box.1:/no/such/file", &path("x")])?;
    assert_eq!(nothing.error_code(), Some("path_not_found"), "{nothing:?}");

    let mut forward = cli.command(&["port-forward", "demo/echo", ":7070"]);
    let mut forward = forward.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut line = String::new();
    let out = forward.stdout.take().ok_or("no standard output")?;
    BufReader::new(out).read_line(&mut line)?;
    let local = line.split(' ').next().unwrap_or_default().to_owned();
    let echo = || -> Result<(), String> {
        let text = |e: std::io::Error| e.to_string();
        let mut stream = TcpStream::connect(&local).map_err(text)?;
        stream.write_all(b"ping").map_err(text)?;
        stream.shutdown(Shutdown::Write).map_err(text)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(text)?;
        if answer == "ping" { Ok(()) } else { Err(format!("{answer:?} from {local}")) }
    };
    until(Patience::NORMAL, "an echo", echo)?;
    // Another container in its place: the port here stays, the next connection finds it.
    cli.run(&["restart", "demo/echo", "--wait=60s"])?;
    let again = until(Patience::NORMAL, "an echo of the new container", echo);
    forward.kill()?;
    forward.wait()?;
    again?;

    let top = cli.json(&["top"])?;
    assert!(top["nodes"][0]["memory_used_bytes"].as_u64().is_some_and(|n| n > 0), "{top}");
    let replicas = top["replicas"].as_array().cloned().unwrap_or_default();
    let measured = replicas.iter().find(|r| r["replica"] == "demo.box.1");
    assert!(measured.is_some_and(|r| r["memory_bytes"].as_u64() > Some(0)), "{top}");
    Ok(())
}
