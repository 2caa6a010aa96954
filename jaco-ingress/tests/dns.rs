//! The shipped DNS providers: dynamic updates against Debian's BIND, where it is installed, and a program.
//!
//! `JACO_REQUIRE_RIG` makes a missing program a failure.
#![cfg(feature = "rfc2136")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    error::Error as _,
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use jaco_ingress::{
    DnsError, DnsProvider, TxtRecord,
    dns::{ExecDns, HookError, Rfc2136Dns, Rfc2136Error, Rfc2136Settings, TsigKey},
    testing::dns_provider_suite,
};

const NAMED: &str = "/usr/sbin/named";
const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
const SECRET_TEXT: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A primary server of `example`, and a secondary one of it.
struct Bind {
    servers: Vec<(Child, SocketAddr)>,
    _files: tempfile::TempDir,
}

impl Drop for Bind {
    fn drop(&mut self) {
        for (child, _) in &mut self.servers {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port of this process alone: below those that the system gives to whoever asks for any.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = std::process::id() % 2000 * 10 + NEXT.fetch_add(1, Ordering::Relaxed) % 10;
    u16::try_from(10_000 + n).unwrap()
}

fn start(directory: PathBuf, port: u16, zone: &str) -> Child {
    fs::create_dir(&directory).unwrap();
    let at = directory.display();
    let config = format!(
        r#"options {{ directory "{at}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
            recursion no; dnssec-validation no; pid-file "{at}/pid"; session-keyfile "{at}/session.key";
            lock-file none; notify explicit; notify-delay 0; }};
        controls {{ }};
        key "update-key" {{ algorithm hmac-sha256; secret "{SECRET_TEXT}"; }};
        {zone}"#
    );
    fs::write(directory.join("named.conf"), config).unwrap();
    fs::write(
        directory.join("zone"),
        "$TTL 60\n@ SOA ns.example. ops.example. 1 60 60 600 60\n@ NS ns.example.\nns A 127.0.0.1\n",
    )
    .unwrap();
    let log = fs::File::create(directory.join("log")).unwrap();
    let config = directory.join("named.conf");
    let mut command = Command::new(NAMED);
    command.args(["-g", "-n", "1", "-c"]).arg(config).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

impl Bind {
    fn start() -> Option<Self> {
        if !Path::new(NAMED).exists() {
            let required = std::env::var_os("JACO_REQUIRE_RIG").is_some_and(|v| v != "false");
            let why = "named is not installed (apt-get install bind9); no real server was updated";
            assert!(!required, "{why}");
            eprintln!("SKIPPED: {why}");
            return None;
        }
        let files = tempfile::tempdir().unwrap();
        let (first, second) = (free_port(), free_port());
        let primary = format!(
            r#"zone "example" {{ type primary; file "zone"; allow-update {{ key "update-key"; }};
                also-notify {{ 127.0.0.1 port {second}; }}; }};"#
        );
        let secondary = format!(
            r#"zone "example" {{ type secondary; file "copy"; primaries {{ 127.0.0.1 port {first}; }}; }};"#
        );
        let mut bind = Self { servers: Vec::new(), _files: files };
        for (name, port, zone) in [("primary", first, primary), ("secondary", second, secondary)] {
            let child = start(bind._files.path().join(name), port, &zone);
            bind.servers.push((child, SocketAddr::from(([127, 0, 0, 1], port))));
            bind.wait_for(name, bind.servers.last().unwrap().1);
        }
        Some(bind)
    }

    fn wait_for(&self, name: &str, server: SocketAddr) {
        let end = Instant::now() + Duration::from_secs(20);
        while lookup(server, "ns.example", RecordType::A).is_empty() {
            let log = self._files.path().join(name).join("log");
            assert!(Instant::now() < end, "{}", fs::read_to_string(log).unwrap());
        }
    }

    fn settings(&self) -> Rfc2136Settings {
        Rfc2136Settings {
            server: self.servers[0].1,
            zones: vec!["example".to_owned()],
            key: Some(TsigKey {
                name: "update-key".to_owned(),
                algorithm: "hmac-sha256".to_owned(),
                secret: SECRET.to_vec().into(),
            }),
            secondaries: vec![self.servers[1].1],
            timeout: Duration::from_secs(20),
        }
    }
}

/// What a server answers to a question, TXT as text; nothing when it does not.
fn lookup(server: SocketAddr, name: &str, kind: RecordType) -> Vec<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut question = Message::new(7, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), kind));
    socket.send_to(&question.to_vec().unwrap(), server).unwrap();
    let mut buffer = [0; 4096];
    let Ok(length) = socket.recv(&mut buffer) else { return Vec::new() };
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    let text = |data: &RData| match data {
        RData::TXT(text) => String::from_utf8(text.txt_data.concat()).unwrap(),
        other => other.to_string(),
    };
    answer.answers.iter().map(|record| text(&record.data)).collect()
}

fn record() -> TxtRecord {
    TxtRecord { domain: "www.example".parse().unwrap(), value: "v".to_owned() }
}

async fn refused(dns: &Rfc2136Dns) -> Rfc2136Error {
    match dns.publish(&record()).await.unwrap_err() {
        DnsError::Refused { name, source } => {
            assert_eq!(name, "_acme-challenge.www.example");
            *source.downcast::<Rfc2136Error>().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn updates_conform_on_a_real_server_and_its_secondary() {
    let Some(bind) = Bind::start() else { return };
    let dns = Rfc2136Dns::new(bind.settings()).unwrap();
    let primary = bind.servers[0].1;
    dns_provider_suite(&dns, "example", async |name| lookup(primary, &name, RecordType::TXT)).await;
    dns.publish(&record()).await.unwrap();
    let seen = lookup(bind.servers[1].1, &record().name(), RecordType::TXT);
    assert_eq!(seen, ["v"], "every authoritative server answers when it returns");
    dns.withdraw(&record()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_is_quoted() {
    let Some(bind) = Bind::start() else { return };
    let settings = bind.settings();
    let with = |change: fn(&mut Rfc2136Settings)| {
        let mut settings = settings.clone();
        change(&mut settings);
        Rfc2136Dns::new(settings).unwrap()
    };
    let code = |error: Rfc2136Error| match error {
        Rfc2136Error::Code { code, .. } => code,
        other => panic!("{other:?}"),
    };
    let unsigned = with(|s| s.key = None);
    assert_eq!(code(refused(&unsigned).await), ResponseCode::Refused);
    let wrong = with(|s| s.key.as_mut().unwrap().secret = b"another key".to_vec().into());
    assert_eq!(code(refused(&wrong).await), ResponseCode::NotAuth);
    let unknown = with(|s| s.key.as_mut().unwrap().name = "no-such-key".to_owned());
    assert_eq!(code(refused(&unknown).await), ResponseCode::NotAuth);

    let not_ours = with(|s| s.zones = vec!["example.org".to_owned(), "mple".to_owned()]);
    let error = not_ours.publish(&record()).await.unwrap_err();
    assert!(matches!(error, DnsError::NoZone { .. }), "{error:?}");
    let lag = with(|s| {
        s.secondaries = vec![SocketAddr::from(([127, 0, 0, 1], 9))];
        s.timeout = Duration::from_secs(1);
    });
    let error = refused(&lag).await;
    assert!(matches!(error, Rfc2136Error::TimedOut { server } if server.port() == 9), "{error:?}");
}

fn nowhere(server: SocketAddr) -> Rfc2136Settings {
    Rfc2136Settings {
        server,
        zones: vec!["example".to_owned()],
        key: None,
        secondaries: Vec::new(),
        timeout: Duration::from_millis(300),
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_hangs_is_not_waited_for() {
    let closed = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let error = refused(&Rfc2136Dns::new(nowhere(closed)).unwrap()).await;
    assert!(matches!(error, Rfc2136Error::Io { .. }), "{error:?}");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = nowhere(silent.local_addr().unwrap());
    let error = refused(&Rfc2136Dns::new(settings).unwrap()).await;
    assert!(matches!(error, Rfc2136Error::TimedOut { .. }), "{error:?}");

    let key = TsigKey {
        name: "k".to_owned(),
        algorithm: "hmac-md5".to_owned(),
        secret: Vec::new().into(),
    };
    assert!(!format!("{key:?}").contains("secret"));
    let settings = Rfc2136Settings { key: Some(key), ..nowhere(closed) };
    let error = Rfc2136Dns::new(settings).unwrap_err();
    assert!(error.to_string().contains("hmac-md5"), "{error}");
}

fn program(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("hook");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_program_conforms_that_keeps_records_in_files() {
    let files = tempfile::tempdir().unwrap();
    let zone = files.path().join("zone");
    fs::create_dir(&zone).unwrap();
    let script = format!(
        r#"#!/bin/sh
            case "$3" in *.example) ;; *) echo "not ours: $2" >&2; exit 1 ;; esac
            mkdir -p "{0}/$3"
            case "$1" in present) : > "{0}/$3/$4" ;; cleanup) rm -f "{0}/$3/$4" ;; *) exit 2 ;; esac"#,
        zone.display()
    );
    let dns = ExecDns::new(program(files.path(), &script), Duration::from_secs(10));
    dns_provider_suite(&dns, "example", async |name| {
        let list = fs::read_dir(zone.join(name)).unwrap();
        list.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    })
    .await;
}

#[tokio::test]
async fn a_program_that_fails_hangs_or_is_not_there_is_told_with_its_last_words() {
    let files = tempfile::tempdir().unwrap();
    let failure = async |text: &str, timeout| {
        let path = program(files.path(), text);
        let error = ExecDns::new(&path, timeout).publish(&record()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the DNS provider refused to change _acme-challenge.www.example"
        );
        let told = error.source().unwrap().to_string();
        let DnsError::Refused { source, .. } = error else { panic!("{error:?}") };
        (*source.downcast::<HookError>().unwrap(), told)
    };
    let long = Duration::from_secs(10);
    let (error, told) = failure("#!/bin/sh\necho 'quota\texceeded' >&2\nexit 3", long).await;
    assert!(matches!(error, HookError::Failed { status, .. } if status.code() == Some(3)));
    assert!(told.ends_with(": quota exceeded"), "{told}");

    let (error, told) =
        failure("#!/bin/sh\nyes noise | head -c 1000000 >&2\necho last words >&2\nexit 1", long)
            .await;
    assert!(matches!(error, HookError::Failed { .. }), "{error:?}");
    assert!(told.ends_with("last words") && told.len() < 1000, "{told}");

    let begun = Instant::now();
    let (error, told) =
        failure("#!/bin/sh\necho waiting >&2\nexec sleep 60", Duration::from_millis(300)).await;
    assert!(matches!(error, HookError::TimedOut { .. }), "{error:?}");
    assert!(told.ends_with(": waiting") && begun.elapsed() < Duration::from_secs(5), "{told}");

    let begun = Instant::now();
    let path = program(files.path(), "#!/bin/sh\nsleep 20 &\nexit 0");
    ExecDns::new(&path, long).publish(&record()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "a child that lives on does not hold it up");

    let gone = ExecDns::new(files.path().join("gone"), long).publish(&record()).await.unwrap_err();
    assert!(gone.source().unwrap().to_string().ends_with("cannot be run"), "{gone:?}");
}
