//! A DNS server outside, as told.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, OpCode, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

/// What an upstream says to a name, whatever type is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// These records, of the type that is asked for: addresses of its family, else texts or bytes.
    Records {
        /// Each record's content.
        contents: Vec<String>,
        /// How long they are good for.
        ttl: u32,
    },
    /// There is no such name, for so many seconds.
    NxDomain(u32),
    /// A response code.
    Code(u16),
    /// Nothing at all.
    Nothing,
}

/// How an upstream behaves.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// It takes so long.
    pub delay: Duration,
    /// Over UDP it says only that it does not fit.
    pub truncates: bool,
    /// It does not know EDNS.
    pub old: bool,
    /// Somebody else answers first: with another id, and to another question.
    pub forged: bool,
}

/// A question that reached an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The name.
    pub name: String,
    /// The type.
    pub kind: String,
    /// Whether over TCP.
    pub tcp: bool,
    /// The EDNS buffer size, if there was EDNS.
    pub edns: Option<u16>,
    /// Whether signatures were asked for.
    pub dnssec_ok: bool,
    /// Its id.
    pub id: u16,
    /// The port it came from.
    pub port: u16,
}

/// A DNS server that says what it is told to, over UDP and TCP, and remembers what it was asked.
#[derive(Debug)]
pub struct FakeUpstream {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Script {
    says: BTreeMap<String, Says>,
    manners: Manners,
    asked: Vec<Asked>,
}

impl FakeUpstream {
    /// Listens. Names of which nothing is said do not exist.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let udp = UdpSocket::bind(address).await?;
        let address = udp.local_addr()?;
        let tcp = TcpListener::bind(address).await?;
        let script = Arc::new(Mutex::new(Script::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(datagrams(Arc::new(udp), Arc::clone(&script)));
        tasks.spawn(streams(tcp, Arc::clone(&script)));
        Ok(Self { address, script, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this is what is said to `name`.
    pub fn say(&self, name: &str, says: Says) {
        self.script().says.insert(name.to_lowercase(), says);
    }

    /// From now on it behaves like this.
    pub fn behave(&self, manners: Manners) {
        self.script().manners = manners;
    }

    /// Every question so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.script().asked.clone()
    }
}

async fn datagrams(socket: Arc<UdpSocket>, script: Arc<Mutex<Script>>) {
    let mut buffer = vec![0; 4096];
    let mut answering = JoinSet::new();
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let Ok(query) = Message::from_vec(&buffer[..length]) else { continue };
        let (socket, script) = (Arc::clone(&socket), Arc::clone(&script));
        answering.spawn(async move {
            let (answers, delay) = answers(&query, &script, from, false);
            tokio::time::sleep(delay).await;
            for answer in answers.iter().filter_map(|answer| answer.to_vec().ok()) {
                let _lost = socket.send_to(&answer, from).await;
            }
        });
    }
}

async fn streams(listener: TcpListener, script: Arc<Mutex<Script>>) {
    let mut conversations = JoinSet::new();
    while let Ok((stream, from)) = listener.accept().await {
        conversations.spawn(converse(stream, from, Arc::clone(&script)));
    }
}

async fn converse(mut stream: TcpStream, from: SocketAddr, script: Arc<Mutex<Script>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut packet = vec![0; length.into()];
        if stream.read_exact(&mut packet).await.is_err() {
            return;
        }
        let Ok(query) = Message::from_vec(&packet) else { return };
        let (answers, delay) = answers(&query, &script, from, true);
        tokio::time::sleep(delay).await;
        for answer in answers.iter().filter_map(|answer| answer.to_vec().ok()) {
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            let framed = [&length.to_be_bytes()[..], &answer].concat();
            if stream.write_all(&framed).await.is_err() {
                return;
            }
        }
    }
}

fn answers(
    query: &Message,
    script: &Mutex<Script>,
    from: SocketAddr,
    tcp: bool,
) -> (Vec<Message>, Duration) {
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(question) = query.queries.first() else { return (Vec::new(), Duration::ZERO) };
    let name = question.name().to_lowercase().to_ascii();
    let name = name.trim_end_matches('.').to_owned();
    script.asked.push(Asked {
        name: name.clone(),
        kind: question.query_type().to_string(),
        tcp,
        edns: query.edns.as_ref().map(Edns::max_payload),
        dnssec_ok: query.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok),
        id: query.metadata.id,
        port: from.port(),
    });
    let manners = script.manners.clone();
    let says = match script.says.get(&name) {
        _ if manners.old && query.edns.is_some() => Says::Code(1),
        Some(says) => says.clone(),
        None => Says::NxDomain(60),
    };
    let Some(answer) = answer(query, &says, manners.truncates && !tcp) else {
        return (Vec::new(), manners.delay);
    };
    if !manners.forged || tcp {
        return (vec![answer], manners.delay);
    }
    let mut other_id = answer.clone();
    other_id.metadata.id = other_id.metadata.id.wrapping_add(1);
    let mut other_name = answer.clone();
    other_name.queries.iter_mut().for_each(|query| {
        query.set_name(Name::root());
    });
    (vec![other_id, other_name, answer], manners.delay)
}

fn answer(query: &Message, says: &Says, truncate: bool) -> Option<Message> {
    let mut answer = Message::error_msg(query.metadata.id, OpCode::Query, ResponseCode::NoError);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.truncation = truncate;
    answer.add_queries(query.queries.iter().cloned());
    if query.edns.is_some() {
        answer.set_edns(Edns::new());
    }
    let question = query.queries.first()?;
    match says {
        _ if truncate => {}
        Says::Nothing => return None,
        Says::Code(code) => {
            let [high, low] = code.to_be_bytes();
            answer.metadata.response_code = ResponseCode::from(high << 4 | low >> 4, low & 0x0f);
        }
        Says::NxDomain(ttl) => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            let root = Name::root();
            let soa = rdata::SOA::new(root.clone(), root.clone(), 1, 1, 1, 1, *ttl);
            answer.add_authority(Record::from_rdata(root, *ttl, RData::SOA(soa)));
        }
        Says::Records { contents, ttl } => {
            let kind = question.query_type();
            let data = contents.iter().filter_map(|content| data(content, kind));
            let owner = question.name();
            answer.add_answers(data.map(|data| Record::from_rdata(owner.clone(), *ttl, data)));
        }
    }
    Some(answer)
}

fn data(content: &str, kind: RecordType) -> Option<RData> {
    match (kind, content.parse::<IpAddr>()) {
        (RecordType::A, Ok(address @ IpAddr::V4(_))) => Some(RData::from(address)),
        (RecordType::AAAA, Ok(address @ IpAddr::V6(_))) => Some(RData::from(address)),
        (RecordType::A | RecordType::AAAA, _) => None,
        (RecordType::TXT, _) => Some(RData::TXT(rdata::TXT::new(vec![content.to_owned()]))),
        (code, _) => {
            Some(RData::Unknown { code, rdata: rdata::NULL::with(content.as_bytes().to_vec()) })
        }
    }
}
