//! Records that a name server takes by dynamic update (RFC 2136), signed with a shared key (TSIG).

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode, update_message},
    rr::{
        Name, RData, Record, RecordSet, RecordType, TSigner,
        rdata::{TXT, tsig::TsigAlgorithm},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};
use zeroize::Zeroizing;

use super::{DnsError, DnsProvider, TxtRecord};

/// What a challenge is good for is over in minutes.
const TTL: u32 = 60;
/// How far our clock and the server's may be apart.
const FUDGE: u16 = 300;
/// Between two looks at a secondary server.
const LOOK: Duration = Duration::from_millis(500);

/// A key that we share with the server.
#[derive(Clone)]
pub struct TsigKey {
    /// Its name there.
    pub name: String,
    /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    pub algorithm: String,
    /// The key itself, decoded.
    pub secret: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TsigKey");
        out.field("name", &self.name).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Where updates go.
#[derive(Debug, Clone)]
pub struct Rfc2136Settings {
    /// The primary server.
    pub server: SocketAddr,
    /// The zones that may be changed there.
    pub zones: Vec<String>,
    /// The key by which it knows us.
    pub key: Option<TsigKey>,
    /// Other authoritative servers, which a CA may ask and which lag behind.
    pub secondaries: Vec<SocketAddr>,
    /// How long one change may take, all servers included.
    pub timeout: Duration,
}

/// Why a server did not take an update.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rfc2136Error {
    /// A name or key in the settings is none.
    #[error("{what} {value:?} cannot be used")]
    Settings {
        /// What it is.
        what: &'static str,
        /// As it was given; never the key itself.
        value: String,
    },
    /// The server could not be talked to.
    #[error("{server} cannot be reached")]
    Io {
        /// Which.
        server: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It did not answer in time, or a secondary server did not follow.
    #[error("{server} does not answer so in time")]
    TimedOut {
        /// Which.
        server: SocketAddr,
    },
    /// It said no.
    #[error("{server} answers {code}")]
    Code {
        /// Which.
        server: SocketAddr,
        /// What it said.
        code: ResponseCode,
    },
    /// A message is not as it should be, or not signed as it should be.
    #[error("the answer of {server} is no good: {reason}")]
    Message {
        /// Which.
        server: SocketAddr,
        /// What is wrong.
        reason: String,
    },
}

/// A name server that takes updates.
pub struct Rfc2136Dns {
    server: SocketAddr,
    secondaries: Vec<SocketAddr>,
    zones: Vec<Name>,
    signer: Option<TSigner>,
    timeout: Duration,
}

impl fmt::Debug for Rfc2136Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Rfc2136Dns");
        out.field("server", &self.server).field("zones", &self.zones).finish_non_exhaustive()
    }
}

enum Change {
    Add,
    Remove,
}

impl Rfc2136Dns {
    /// A provider for the zones of a server.
    ///
    /// # Errors
    /// A name is none, or the algorithm is not known.
    pub fn new(settings: Rfc2136Settings) -> Result<Self, Rfc2136Error> {
        let bad = |what, value: &str| Rfc2136Error::Settings { what, value: value.to_owned() };
        let name = |what: &'static str, text: &str| {
            let mut name = Name::from_ascii(text).map_err(|_| bad(what, text))?;
            name.set_fqdn(true);
            Ok::<_, Rfc2136Error>(name)
        };
        let zones = settings.zones.iter().map(|zone| name("the zone", zone));
        let mut zones = zones.collect::<Result<Vec<_>, _>>()?;
        zones.sort_by_key(|zone| std::cmp::Reverse(zone.num_labels()));
        let signer = settings.key.map(|key| {
            let algorithm = match key.algorithm.to_ascii_lowercase().as_str() {
                "hmac-sha256" => TsigAlgorithm::HmacSha256,
                "hmac-sha384" => TsigAlgorithm::HmacSha384,
                "hmac-sha512" => TsigAlgorithm::HmacSha512,
                _ => return Err(bad("the algorithm", &key.algorithm)),
            };
            let of = name("the name of the key", &key.name)?;
            TSigner::new(key.secret.to_vec(), algorithm, of, FUDGE)
                .map_err(|_| bad("the key", &key.name))
        });
        Ok(Self {
            server: settings.server,
            secondaries: settings.secondaries,
            zones,
            signer: signer.transpose()?,
            timeout: settings.timeout,
        })
    }

    async fn change(&self, change: Change, record: &TxtRecord) -> Result<(), DnsError> {
        let refused =
            |source: Rfc2136Error| DnsError::Refused { name: record.name(), source: source.into() };
        let text = record.name();
        let mut name = Name::from_ascii(&text).map_err(|_| {
            refused(Rfc2136Error::Settings { what: "the name", value: text.clone() })
        })?;
        name.set_fqdn(true);
        let zone = self.zones.iter().find(|zone| zone.zone_of(&name));
        let zone = zone.ok_or_else(|| DnsError::NoZone { domain: record.domain.clone() })?.clone();

        let data = RData::TXT(TXT::new(vec![record.value.clone()]));
        let set = RecordSet::from(Record::from_rdata(name.clone(), TTL, data));
        let end = Instant::now() + self.timeout;
        let (message, wanted) = match change {
            Change::Add => (update_message::append(set, zone, false, false), true),
            Change::Remove => (update_message::delete_by_rdata(set, zone, false), false),
        };
        self.within(end, self.server, self.update(message)).await.map_err(refused)?;
        if wanted {
            for server in &self.secondaries {
                let follow = self.follow(*server, &name, &record.value);
                self.within(end, *server, follow).await.map_err(refused)?;
            }
        }
        Ok(())
    }

    async fn within(
        &self,
        end: Instant,
        server: SocketAddr,
        work: impl Future<Output = Result<(), Rfc2136Error>>,
    ) -> Result<(), Rfc2136Error> {
        let done = tokio::time::timeout_at(end, work).await;
        done.unwrap_or(Err(Rfc2136Error::TimedOut { server }))
    }

    async fn update(&self, mut message: Message) -> Result<(), Rfc2136Error> {
        let server = self.server;
        let broken = |reason: String| Rfc2136Error::Message { server, reason };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let verifier = match &self.signer {
            Some(signer) => {
                message.finalize(signer, now.as_secs()).map_err(|e| broken(e.to_string()))?
            }
            None => None,
        };
        let bytes = ask(server, &message).await?;
        let answer = Message::from_vec(&bytes).map_err(|e| broken(e.to_string()))?;
        if answer.id != message.id || answer.message_type != MessageType::Response {
            return Err(broken("it is not the answer to this update".to_owned()));
        }
        // A server that does not know our key cannot sign that it does not.
        if answer.response_code != ResponseCode::NoError {
            return Err(Rfc2136Error::Code { server, code: answer.response_code });
        }
        match verifier {
            Some(mut verifier) => {
                verifier.verify(&bytes).map(drop).map_err(|e| broken(e.to_string()))
            }
            None => Ok(()),
        }
    }

    /// Until a server answers with the record.
    async fn follow(
        &self,
        server: SocketAddr,
        name: &Name,
        value: &str,
    ) -> Result<(), Rfc2136Error> {
        loop {
            let mut question = Message::new(rand::random(), MessageType::Query, OpCode::Query);
            question.add_query(Query::query(name.clone(), RecordType::TXT));
            let answer = ask(server, &question).await.ok();
            let answer = answer.and_then(|bytes| Message::from_vec(&bytes).ok());
            let has = |record: &Record| match &record.data {
                RData::TXT(text) => text.txt_data.concat() == value.as_bytes(),
                _ => false,
            };
            if answer.is_some_and(|answer| answer.answers.iter().any(has)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// One exchange over TCP.
async fn ask(server: SocketAddr, message: &Message) -> Result<Vec<u8>, Rfc2136Error> {
    let bytes =
        message.to_vec().map_err(|e| Rfc2136Error::Message { server, reason: e.to_string() })?;
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &bytes].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    exchange.await.map_err(|source| Rfc2136Error::Io { server, source })
}

#[async_trait]
impl DnsProvider for Rfc2136Dns {
    async fn publish(&self, record: &TxtRecord) -> Result<(), DnsError> {
        self.change(Change::Add, record).await
    }

    async fn withdraw(&self, record: &TxtRecord) -> Result<(), DnsError> {
        self.change(Change::Remove, record).await
    }
}
