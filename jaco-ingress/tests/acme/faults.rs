//! A CA that limits, hangs, breaks off or talks nonsense.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jaco_api::model::Timestamp;
use jaco_ingress::acme::{
    AcmeClient, AcmeError, Limits, OrderRequest,
    challenge::ChallengeKind,
    phase::{FailureKind, Window},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::{
    lab::{Node, domain},
    pki,
};

/// What the CA does with a request of `METHOD /path`; `{ca}` in it becomes its address.
enum Reply {
    Say(&'static str, &'static str, String),
    Hang,
    BreakOff,
}

type Script = fn(&str) -> Reply;

struct FakeCa {
    directory: String,
    root: String,
    asked: Arc<Mutex<Vec<String>>>,
}

fn say(status: &'static str, headers: &'static str, body: &str) -> Reply {
    Reply::Say(status, headers, body.to_owned())
}

/// Everything that comes before an order.
fn account(request: &str) -> Reply {
    match request {
        "GET /dir" => say(
            "200 OK",
            "",
            r#"{"newNonce": "{ca}/nonce", "newAccount": "{ca}/account", "newOrder": "{ca}/order", "renewalInfo": "{ca}/renewal"}"#,
        ),
        "HEAD /nonce" => say("200 OK", "", ""),
        "POST /account" => {
            say("201 Created", "location: {ca}/account/1\r\n", r#"{"status": "valid"}"#)
        }
        other => panic!("unexpected {other}"),
    }
}

impl FakeCa {
    async fn start(script: Script) -> Self {
        let pki = pki::localhost();
        let chain =
            CertificateDer::pem_slice_iter(pki.chain.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(pki.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ca = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (directory, noted) = (format!("{ca}/dir"), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, ca, noted) = (acceptor.clone(), ca.clone(), Arc::clone(&noted));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let mut stream = BufReader::new(stream);
                    while let Some(request) = read(&mut stream).await {
                        noted.lock().unwrap().push(request.clone());
                        let (status, headers, body) = match script(&request) {
                            Reply::Say(status, headers, body) => (status, headers, body),
                            Reply::Hang => std::future::pending().await,
                            Reply::BreakOff => return,
                        };
                        let length = body.replace("{ca}", &ca).len();
                        let answer = format!(
                            "HTTP/1.1 {status}\r\nreplay-nonce: bm9uY2U\r\n{headers}content-length: {length}\r\n\r\n{body}"
                        );
                        let answer = answer.replace("{ca}", &ca);
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { directory, root: pki.root, asked }
    }

    fn client(&self) -> AcmeClient {
        let limits =
            Limits { answer: Duration::from_millis(700), work: Duration::from_millis(1500) };
        AcmeClient::new(&self.directory, Some(&self.root), limits).unwrap()
    }

    /// The error of an order.
    async fn order(&self) -> AcmeError {
        let account = self.client().register(None, None).await.unwrap();
        let domain = domain("shop.example");
        let challenge = ChallengeKind::Http01;
        let asked = OrderRequest { domain: &domain, challenge, replaces: None, resume: None };
        self.client().obtain(&account, asked, &Node::default()).await.unwrap_err()
    }
}

async fn read(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> Option<String> {
    let (mut first, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
        let words = || line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        first = first.or_else(|| Some(words()));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    first
}

#[tokio::test]
async fn a_rate_limit_is_known_and_so_is_how_long_it_lasts() {
    const LIMITED: &str = r#"{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates already issued", "status": 429}"#;
    let seconds = FakeCa::start(|request| match request {
        "POST /order" => say("429 Too Many Requests", "retry-after: 1800\r\n", LIMITED),
        other => account(other),
    });
    let error = seconds.await.order().await;
    let failure = error.failure();
    assert_eq!(failure.kind, FailureKind::RateLimited);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(1800)));
    assert_eq!(
        failure.reason,
        "cannot place an order: too many certificates already issued (urn:ietf:params:acme:error:rateLimited)"
    );

    let date = FakeCa::start(|request| match request {
        "POST /order" => {
            say("429 Too Many Requests", "retry-after: Fri, 31 Dec 2100 23:59:59 GMT\r\n", LIMITED)
        }
        other => account(other),
    });
    let error = date.await.order().await;
    assert!(
        error.is_rate_limit() && error.retry_after() > Some(Duration::from_secs(86_400)),
        "{error:?}"
    );

    let proxy = FakeCa::start(|request| match request {
        "POST /order" => {
            say("429 Too Many Requests", "retry-after: 60\r\n", "<html>slow down</html>")
        }
        other => account(other),
    });
    let error = proxy.await.order().await;
    assert!(error.is_rate_limit(), "{error:?}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    assert!(error.failure().reason.contains("slow down"), "{error}");
}

fn bad_nonce() -> Reply {
    say(
        "400 Bad Request",
        "",
        r#"{"type": "urn:ietf:params:acme:error:badNonce", "detail": "used", "status": 400}"#,
    )
}

#[tokio::test]
async fn a_ca_that_refuses_nonces_is_asked_again_at_once() {
    static REFUSED: AtomicUsize = AtomicUsize::new(0);
    let moody = FakeCa::start(|request| match request {
        "POST /account" if REFUSED.fetch_add(1, Ordering::Relaxed) < 7 => bad_nonce(),
        other => account(other),
    });
    moody.await.client().register(None, None).await.unwrap();

    let stubborn = FakeCa::start(|request| match request {
        "POST /order" => bad_nonce(),
        other => account(other),
    })
    .await;
    let begun = Instant::now();
    let error = stubborn.order().await;
    assert_eq!(error.failure().kind, FailureKind::Unreachable, "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "but not for ever");
    let asked = stubborn.asked.lock().unwrap();
    let orders = asked.iter().filter(|request| *request == "POST /order").count();
    assert!((10..100).contains(&orders), "{orders}");
}

#[tokio::test]
async fn a_ca_that_hangs_anywhere_is_not_waited_for() {
    let scripts: [Script; 5] = [
        |_| Reply::Hang,
        |request| if request == "HEAD /nonce" { Reply::Hang } else { account(request) },
        |request| if request == "POST /account" { Reply::Hang } else { account(request) },
        |_| Reply::BreakOff,
        |request| if request == "POST /account" { Reply::BreakOff } else { account(request) },
    ];
    for script in scripts {
        let ca = FakeCa::start(script).await;
        let begun = Instant::now();
        let error = ca.client().register(None, None).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(3), "{error:?}");
        assert_eq!(error.failure().kind, FailureKind::Unreachable, "{error:?}");
    }
}

#[tokio::test]
async fn an_order_that_never_gets_ready_is_given_up_in_time() {
    let ca = FakeCa::start(|request| match request {
        "POST /order" | "POST /order/1" => say(
            "201 Created",
            "location: {ca}/order/1\r\n",
            r#"{"status": "pending", "authorizations": [], "finalize": "{ca}/finalize"}"#,
        ),
        other => account(other),
    });
    let begun = Instant::now();
    let error = ca.await.order().await;
    assert!(
        matches!(error, AcmeError::TimedOut { operation: "wait for the check of the domain" }),
        "{error:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn nonsense_is_told_as_nonsense() {
    let scripts: [Script; 4] = [
        |_| say("200 OK", "", "<html>It works!</html>"),
        |_| say("503 Service Unavailable", "retry-after: 7\r\n", "<html>maintenance</html>"),
        |_| Reply::Say("200 OK", "", "x".repeat(3 << 20)),
        |request| match request {
            "POST /account" => say("200 OK", "", "no location"),
            other => account(other),
        },
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        let ca = FakeCa::start(script).await;
        let error = ca.client().register(None, None).await.unwrap_err();
        assert!(matches!(&error, AcmeError::Garbage { .. }), "{number}: {error:?}");
        assert_eq!(error.failure().kind, FailureKind::Unreachable);
        if number == 1 {
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
            assert!(error.to_string().contains("status 503"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_ca_whose_certificate_we_do_not_trust_gets_nothing() {
    let ca = FakeCa::start(account).await;
    let stranger = pki::localhost().root;
    let client = AcmeClient::new(&ca.directory, Some(&stranger), Limits::default()).unwrap();
    let error = client.register(None, None).await.unwrap_err();
    assert!(matches!(error, AcmeError::Unreachable { .. }), "{error:?}");
    assert!(
        error.failure().reason.contains("invalid peer certificate"),
        "{}",
        error.failure().reason
    );
    assert!(ca.asked.lock().unwrap().is_empty());

    let plain = ca.directory.replace("https:", "http:");
    let plain = AcmeClient::new(&plain, Some(&ca.root), Limits::default()).unwrap();
    let error = plain.register(None, None).await.unwrap_err();
    assert!(matches!(error, AcmeError::Unreachable { .. }), "never in clear: {error:?}");
    let nothing =
        AcmeClient::new(&ca.directory, Some("-----BEGIN CERTIFICATE-----\nx"), Limits::default());
    assert!(matches!(nothing, Err(AcmeError::Input { what: "the CA bundle", .. })), "{nothing:?}");
}

#[tokio::test]
async fn the_ca_s_wish_for_a_renewal_is_heard_and_a_certificate_is_named_as_replaced() {
    let ca = FakeCa::start(|request| match request {
        r if r.starts_with("GET /renewal/") => say(
            "200 OK",
            "retry-after: 21600\r\n",
            r#"{"suggestedWindow": {"start": "2027-01-02T00:00:00Z", "end": "2027-01-03T00:00:00Z"}}"#,
        ),
        // The first order is refused for what it says it replaces; the second one for good.
        "POST /order" => say(
            "409 Conflict",
            "",
            r#"{"type": "urn:ietf:params:acme:error:alreadyReplaced", "detail": "replaced", "status": 409}"#,
        ),
        other => account(other),
    })
    .await;
    let account = ca.client().register(None, None).await.unwrap();
    let leaf = leaf_with_issuer();
    let (window, again) = ca.client().renewal_window(&account, &leaf).await.unwrap().unwrap();
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let expected =
        Window { start: time("2027-01-02T00:00:00Z"), end: time("2027-01-03T00:00:00Z") };
    assert_eq!(window, expected);
    assert!(again > Duration::from_secs(21_000), "{again:?}");

    let domain = domain("shop.example");
    let challenge = ChallengeKind::Http01;
    let asked = OrderRequest { domain: &domain, challenge, replaces: Some(&leaf), resume: None };
    let error = ca.client().obtain(&account, asked, &Node::default()).await.unwrap_err();
    assert!(matches!(error, AcmeError::Refused { .. }), "{error:?}");
    let orders = ca.asked.lock().unwrap().iter().filter(|r| *r == "POST /order").count();
    assert_eq!(orders, 2, "once more without naming it");
}

fn leaf_with_issuer() -> String {
    let mut params = rcgen::CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer =
        rcgen::CertifiedIssuer::self_signed(ca, rcgen::KeyPair::generate().unwrap()).unwrap();
    params.signed_by(&key, &issuer).unwrap().pem()
}
