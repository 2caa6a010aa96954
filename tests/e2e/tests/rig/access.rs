//! Who may do what, and who is not even listened to.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use jaco_e2e::{Bench, Outcome};
use jaco_harness::{Cli, Patience, until};

struct Door {
    server: String,
    fingerprint: String,
    token: String,
    socket: Cli,
}

impl Door {
    fn open(bench: &mut Bench) -> Outcome<Self> {
        let init = bench.cluster()?;
        let text = |key: &str| init[key].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            server: bench.node().server().to_owned(),
            fingerprint: text("ca_fingerprint"),
            token: text("token"),
            socket: bench.cli(),
        })
    }

    fn with(&self, token: &str) -> Cli {
        let flags = ["--token", token, "--ca-fingerprint", &self.fingerprint];
        self.socket.over_tls(&self.server, &flags)
    }

    fn issue(&self, arguments: &[&str]) -> Outcome<String> {
        let issued = self.socket.json(&[&["token", "issue"][..], arguments].concat())?;
        Ok(issued["token"].as_str().ok_or("no token was printed")?.to_owned())
    }
}

/// Everything a caller without rights must not change.
fn changes(manifest: &str) -> [Vec<&str>; 6] {
    [
        vec!["apply", manifest],
        vec!["scale", "hello/web=3"],
        vec!["restart", "hello"],
        vec!["stop", "hello"],
        vec!["rollback", "hello"],
        vec!["delete", "hello"],
    ]
}

pub(crate) fn every_token_gets_the_right_answer(bench: &mut Bench) -> Outcome {
    let door = Door::open(bench)?;
    let stack = bench.example("hello")?;
    let manifest = stack.manifest();
    door.with(&door.token).run(&["apply", &manifest, "--wait=60s"])?;
    stack.edit("compose.yml", "Hello from JACO", "Intruders were here")?;

    let viewer = door.issue(&["--name", "viewer", "--role", "viewer"])?;
    let elsewhere = ["--name", "other", "--role", "deployer", "--deployments", "blog-*"];
    let elsewhere = door.issue(&elsewhere)?;
    let revoked = door.issue(&["--name", "leaver", "--role", "admin"])?;
    door.with(&revoked).run(&["status"])?;
    door.socket.run(&["token", "revoke", "leaver"])?;
    let expired = door.issue(&["--name", "guest", "--role", "admin", "--ttl", "1s"])?;
    until(Patience::SHORT, "the token to expire", || {
        match door.with(&expired).try_run(&["status"]) {
            Ok(output) if output.code == 1 => Ok(()),
            Ok(output) => Err(output.stdout),
            Err(error) => Err(error.to_string()),
        }
    })?;

    let unknown = "0".repeat(64);
    for (token, code) in [
        (&unknown, "token_invalid"),
        (&revoked, "token_revoked"),
        (&expired, "token_expired"),
        (&viewer, "permission_denied"),
        (&elsewhere, "permission_denied"),
    ] {
        let cli = door.with(token);
        for change in changes(&manifest) {
            let output = cli.try_run(&change)?;
            assert_eq!((output.code, output.error_code()), (1, Some(code)), "{output:?}");
        }
    }
    let output = door.with(&viewer).run(&["status"])?;
    assert!(output.stdout.contains("hello"), "a viewer may look: {output:?}");
    let peek = door.with(&viewer).try_run(&["get", "deployment", "hello", "--show-secrets"])?;
    assert_eq!(peek.error_code(), Some("permission_denied"), "{peek:?}");
    let twice = door.socket.try_run(&["token", "issue", "--name", "viewer"])?;
    assert_eq!(twice.code, 1, "an identity is issued once: {twice:?}");
    without_token(&door)?;

    let list = door.socket.json(&["get", "deployments"])?;
    assert_eq!((&list[0]["revision"], &list[0]["state"]), (&1.into(), &"active".into()), "{list}");
    let audit = door.socket.json(&["audit", "--type", "apply"])?;
    assert_eq!(audit.as_array().map(Vec::len), Some(1), "nothing was changed: {audit}");
    Ok(())
}

fn without_token(door: &Door) -> Outcome {
    let flags = ["--ca-fingerprint", &door.fingerprint];
    let output = door.socket.over_tls(&door.server, &flags).try_run(&["status"])?;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("token"), "it says that a token is missing: {output:?}");
    Ok(())
}

pub(crate) fn strangers_are_refused(bench: &mut Bench) -> Outcome {
    let door = Door::open(bench)?;
    let other = format!("sha256:{}", "ab".repeat(32));
    let flags = ["--token", &door.token, "--ca-fingerprint", &other];
    let output = door.socket.over_tls(&door.server, &flags).try_run(&["status"])?;
    assert_eq!((output.code, output.error_code()), (1, Some("ca_mismatch")), "{output:?}");

    let host = bench.host().address();
    for port in [7000, 7001] {
        let answer = plaintext(&format!("{host}:{port}"))?;
        // A TLS alert record at most: never an HTTP/2 frame.
        assert!(answer.is_empty() || answer[0] == 0x15, "port {port} speaks plaintext: {answer:?}");
    }
    let output = door.with(&door.token).run(&["status"]);
    assert!(output.is_ok(), "the right caller is still served: {output:?}");
    Ok(())
}

/// What a server says to a plaintext HTTP/2 client before it hangs up.
fn plaintext(address: &str) -> Outcome<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => Ok(answer),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(answer),
        Err(error) => Err(error.into()),
    }
}
