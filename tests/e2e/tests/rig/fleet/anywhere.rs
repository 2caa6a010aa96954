//! Any node serves every command, wherever the work is.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::Stdio,
};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Patience, Process, until};
use serde_json::Value;

use crate::stacks::{named, pages};

pub(crate) fn any_node_serves_every_command(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = fleet.stack(&named("site"), &pages("one", 3, ""))?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    for n in 0..3 {
        commands(fleet, n)?;
        files(fleet, n)?;
        usage(fleet, n)?;
    }
    ports(fleet)?;
    leadership(fleet)?;
    rotation(fleet)?;
    one_is_dead(fleet)
}

/// Commands run in containers of every host, with their output and exit code.
fn commands(fleet: &Fleet, n: usize) -> Outcome {
    for replica in ["site.app.1", "site.app.2", "site.app.3"] {
        let script = "echo said; echo complained >&2; exit 7";
        let ran = fleet.cli(n).try_run(&["exec", replica, "--", "sh", "-c", script])?;
        assert_eq!(ran.code, 7, "{ran:?}");
        assert_eq!((ran.stdout.trim(), ran.stderr.trim()), ("said", "complained"), "{ran:?}");
    }
    Ok(())
}

/// Files go there and come back the same.
fn files(fleet: &Fleet, n: usize) -> Outcome {
    let scratch = fleet.scratch()?;
    let (there, back) = (scratch.join("there"), scratch.join("back"));
    let content: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&there, &content)?;
    let (there, back_text) = (there.display().to_string(), back.display().to_string());
    for replica in ["site.app.1", "site.app.2", "site.app.3"] {
        let inside = format!("{replica}:/tmp/there");
        fleet.cli(n).run(&["cp", &there, &inside])?;
        let _ = fs::remove_file(&back);
        fleet.cli(n).run(&["cp", &inside, &back_text])?;
        assert!(fs::read(&back)? == content, "{replica} through node{}", n + 1);
    }
    Ok(())
}

fn usage(fleet: &Fleet, n: usize) -> Outcome {
    for (what, names) in [
        ("nodes", ["node1", "node2", "node3"]),
        ("replicas", ["site.app.1", "site.app.2", "site.app.3"]),
    ] {
        fleet.cluster().everywhere(&[n], Patience::NORMAL, what, &["top", what], |rows| {
            let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
            let text = Value::Array(rows.to_vec()).to_string();
            rows.len() == 3 && names.iter().all(|name| text.contains(name))
        })?;
    }
    Ok(())
}

/// A port of a container, on the machine of whoever asks.
fn ports(fleet: &Fleet) -> Outcome {
    for n in 0..3 {
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut forward =
            fleet.cli(n).command(&["port-forward", "site/app", &format!("{free}:8080")]);
        forward.stdin(Stdio::null());
        let process = Process::start(&mut forward, &fleet.scratch()?.join("forward.log"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], free));
        let page = until(Patience::SHORT, "the forwarded page", || {
            jaco_harness::http_get(&format!("http://{address}/"))
                .map_err(|error| format!("{error}\n{}", process.tail(5)))
        })?;
        assert_eq!(page.trim(), "one");
    }
    Ok(())
}

/// Leadership is handed to whom it is asked for, asked through any node.
fn leadership(fleet: &Fleet) -> Outcome {
    for n in 0..3 {
        let to = fleet.cluster().node(n).name().to_owned();
        fleet.cli((n + 1) % 3).run(&["cluster", "transfer-leader", &to])?;
        fleet.cluster().everywhere(
            &[0, 1, 2],
            Patience::SHORT,
            "the new leader to be known",
            &["cluster", "status"],
            |status| status["leader"] == to,
        )?;
    }
    Ok(())
}

/// The key that seals secrets is replaced while everything runs, also for a daemon that starts later.
fn rotation(fleet: &mut Fleet) -> Outcome {
    // How long ago something was is not part of it.
    let shown = |fleet: &Fleet, n: usize| -> Outcome<String> {
        let text = fleet.cli(n).run(&["get", "deployment", "site", "--show-secrets"])?.stdout;
        let at = text.find("# specification").ok_or("no specification is shown")?;
        Ok(text[at..].to_owned())
    };
    let before = shown(fleet, 0)?;
    fleet.cli(1).run(&["cluster", "set", "rotate-key"])?;
    fleet.cluster_mut().node_mut(2).stop()?;
    fleet.cluster_mut().node_mut(2).start()?;
    fleet.cluster().ready(Patience::NORMAL)?;
    for n in 0..3 {
        assert_eq!(shown(fleet, n)?, before, "node{} can still read it", n + 1);
    }
    let rotated = fleet.cli(2).json(&["audit", "--type", "key_rotated"])?;
    assert_eq!(rotated.as_array().map(Vec::len), Some(1), "{rotated}");
    Ok(())
}

/// A dead host never fails a stream: what it would have said is named as missing.
fn one_is_dead(fleet: &mut Fleet) -> Outcome {
    let rows = fleet.replicas(0)?;
    let dead = rows.iter().find(|r| r.node == "node3").ok_or("node3 runs one")?.id.clone();
    fleet.cluster_mut().node_mut(2).kill()?;
    let said = fleet.cli(0).run(&["logs", "site/app"])?;
    assert!(said.stderr.contains(&dead) || said.stderr.contains("node3"), "{said:?}");
    Ok(())
}
