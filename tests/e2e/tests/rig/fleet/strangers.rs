//! Callers who are not members, on the two ports of a node.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use jaco_api::pb::{
    ProposeRequest, RaftMessage, ReadIndexRequest, internal_client::InternalClient,
    raft_client::RaftClient,
};
use jaco_e2e::{Fleet, Outcome};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::{AlertDescription, ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A certificate and its key, PEM.
pub(crate) struct Shown {
    certificate: String,
    key: String,
}

impl Shown {
    /// What a node shows, as it lies in its data directory.
    pub(crate) fn of(data_dir: &Path, name: &str) -> Outcome<Self> {
        let read = |end: &str| fs::read_to_string(data_dir.join(format!("node/{name}.{end}")));
        Ok(Self { certificate: read("crt")?, key: read("key")? })
    }

    /// A certificate that says what a member's says, of an authority of somebody's own.
    fn forged(cluster: &str, name: &str) -> Outcome<Self> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let mut leaf = CertificateParams::new(vec![name.to_owned()])?;
        let identity = format!("jaco://{cluster}/node/{name}").as_str().try_into()?;
        leaf.subject_alt_names.push(SanType::URI(identity));
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &authority)?.pem();
        Ok(Self { certificate, key: key.serialize_pem() })
    }
}

/// A way to a node's port.
pub(crate) struct Door {
    address: String,
    config: Arc<ClientConfig>,
}

impl Door {
    /// A port of node `n`, whose certificate is checked, showing this one or none.
    pub(crate) fn at(fleet: &Fleet, n: usize, port: u16, shown: Option<&Shown>) -> Outcome<Self> {
        let node = fleet.cluster().node(n);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(node.data_dir().join("node/ca.crt"))?)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(shown.certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(shown.key.as_bytes())?,
            )?,
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let address = fleet.cluster().rig().host(n).address();
        Ok(Self { address: format!("{address}:{port}"), config: Arc::new(config) })
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(&self.address).await?;
        let ip = tcp.peer_addr()?.ip();
        TlsConnector::from(Arc::clone(&self.config)).connect(ServerName::from(ip), tcp).await
    }

    /// Knocks, and returns the alert with which the handshake is refused; nothing when it is not.
    pub(crate) fn alert(&self) -> Outcome<Option<AlertDescription>> {
        let knock = async {
            let mut stream = self.connect().await?;
            // The server judges the client's certificate after the client believes to be connected.
            stream.read(&mut [0; 1]).await
        };
        let knocked = block_on(async { tokio::time::timeout(PATIENCE, knock).await })?;
        let Ok(Err(error)) = knocked else { return Ok(None) };
        let cause = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::AlertReceived(alert)) => Ok(Some(*alert)),
            _ => Err(error.into()),
        }
    }

    async fn channel(&self) -> Outcome<Channel> {
        let (address, config) = (self.address.clone(), Arc::clone(&self.config));
        let connector = tower::service_fn(move |_| {
            let door = Self { address: address.clone(), config: Arc::clone(&config) };
            async move { door.connect().await.map(TokioIo::new) }
        });
        Ok(Endpoint::from_static("http://member").connect_with_connector(connector).await?)
    }

    /// Asks what members ask each other on the API port, with or without an operator token.
    pub(crate) fn internal(&self, token: Option<&str>) -> Outcome<[Result<(), Status>; 2]> {
        block_on(async {
            let mut client = InternalClient::new(self.channel().await?);
            let index =
                client.read_index(with(token, ReadIndexRequest::default())?).await.map(drop);
            let nothing = ProposeRequest::default();
            let propose = client.propose(with(token, nothing)?).await.map(drop);
            Ok([index, propose])
        })?
    }

    /// Asks for a vote with a message that means nothing.
    pub(crate) fn vote(&self, token: Option<&str>) -> Outcome<Result<(), Status>> {
        block_on(async {
            let mut client = RaftClient::new(self.channel().await?);
            let nothing = RaftMessage::default();
            Ok(client.vote(with(token, nothing)?).await.map(drop))
        })?
    }
}

fn with<T>(token: Option<&str>, message: T) -> Outcome<Request<T>> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    }
    Ok(request)
}

fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}

pub(crate) fn only_members_reach_the_inner_ports(fleet: &mut Fleet) -> Outcome {
    let init = fleet.form()?;
    let text = |key: &str| init[key].as_str().unwrap_or_default().to_owned();
    let (operator, cluster) = (text("token"), text("cluster_id"));
    let leader = fleet.cluster().leader(&[0, 1, 2])?;
    let other = fleet.cluster().node((leader + 1) % 3);
    let member = Shown::of(other.data_dir(), other.name())?;
    let forged = Shown::forged(&cluster, other.name())?;

    // The right caller is let in, so that the refusals below are about the caller.
    let [index, propose] = Door::at(fleet, leader, 7000, Some(&member))?.internal(None)?;
    assert!(index.is_ok(), "{index:?}");
    let propose = propose.expect_err("no command").code();
    assert!(!denied(propose), "a member is understood, its message is not: {propose:?}");
    let vote = Door::at(fleet, leader, 7001, Some(&member))?.vote(None)?.expect_err("no vote");
    assert!(!denied(vote.code()), "{vote:?}");

    for n in 0..3 {
        let name = fleet.cluster().node(n).name();
        for token in [None, Some(operator.as_str())] {
            for answer in Door::at(fleet, n, 7000, None)?.internal(token)? {
                let code = answer.expect_err("no stranger is answered").code();
                assert!(denied(code), "{name}, token {}: {code:?}", token.is_some());
            }
            let raft = Door::at(fleet, n, 7001, None)?.vote(token);
            assert!(raft.is_err() || raft.is_ok_and(|vote| vote.is_err()), "{name}");
        }
        let bare = Door::at(fleet, n, 7001, None)?.alert()?;
        assert_eq!(bare, Some(AlertDescription::CertificateRequired), "{name}: no certificate");
        for port in [7000, 7001] {
            let alert = Door::at(fleet, n, port, Some(&forged))?.alert()?;
            assert!(alert.is_some(), "{name}:{port} lets a forged certificate in");
        }
        // The raft port speaks with nobody who only has a token, whatever the client.
        let cli = fleet.cli(n).over_tls(
            &format!("{}:7001", fleet.cluster().rig().host(n).address()),
            &["--token", &operator, "--ca-fingerprint", &text("ca_fingerprint")],
        );
        let output = cli.try_run(&["status", "--timeout", "5s"])?;
        assert_eq!(output.code, 1, "{output:?}");
    }
    Ok(())
}

fn denied(code: Code) -> bool {
    matches!(code, Code::PermissionDenied | Code::Unauthenticated)
}
