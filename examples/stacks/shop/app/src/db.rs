//! `db`: keys and values behind a line protocol, kept in an append-only file.
//!
//! Requests: `PING`, `AUTH <password>`, `SET <key> <value>`, `GET <key>`, `DEL <key>`, `LIST <prefix>`.
//! Answers: `+<text>` or `-<problem>`; `LIST` joins its `key=value` pairs with tabs.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{say, setting};

struct Table {
    rows: BTreeMap<String, String>,
    file: fs::File,
    password: String,
}

/// Serves until the process is told to stop.
pub(crate) async fn serve() -> io::Result<()> {
    let table = Arc::new(Mutex::new(Table::open()?));
    say(format_args!("{} keys loaded", lock(&table).rows.len()));
    let listener = TcpListener::bind(setting("DB_LISTEN", "0.0.0.0:6543")).await?;
    say(format_args!("listening on {}", listener.local_addr()?));
    loop {
        let (stream, _) = listener.accept().await?;
        let table = Arc::clone(&table);
        tokio::spawn(async move {
            // A client that goes away is its own business.
            let _ = session(stream, &table).await;
        });
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn session(stream: TcpStream, table: &Mutex<Table>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut admitted = lock(table).password.is_empty();
    while let Some(line) = lines.next_line().await? {
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match verb {
            "PING" => "+pong".to_owned(),
            "AUTH" => {
                admitted = admitted || rest == lock(table).password;
                if admitted { "+welcome".to_owned() } else { "-wrong password".to_owned() }
            }
            _ if !admitted => "-AUTH first".to_owned(),
            _ => lock(table).answer(verb, rest)?,
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

impl Table {
    fn open() -> io::Result<Self> {
        let directory = PathBuf::from(setting("DB_DATA", "/data"));
        fs::create_dir_all(&directory)?;
        let path = directory.join("shop.log");
        let mut rows = BTreeMap::new();
        let old = match fs::read_to_string(&path) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        for line in old.lines() {
            match line.split_once('\t') {
                Some((key, value)) => rows.insert(key.to_owned(), value.to_owned()),
                None => rows.remove(line),
            };
        }
        let file = fs::OpenOptions::new().append(true).create(true).open(&path)?;
        Ok(Self { rows, file, password: setting("DB_PASSWORD", "") })
    }

    fn answer(&mut self, verb: &str, rest: &str) -> io::Result<String> {
        Ok(match (verb, rest.split_once(' ')) {
            ("SET", Some((key, value))) => {
                self.append(&format!("{key}\t{value}\n"))?;
                self.rows.insert(key.to_owned(), value.to_owned());
                "+".to_owned()
            }
            ("DEL", None) => {
                self.append(&format!("{rest}\n"))?;
                self.rows.remove(rest);
                "+".to_owned()
            }
            ("GET", None) => match self.rows.get(rest) {
                Some(value) => format!("+{value}"),
                None => "-no such key".to_owned(),
            },
            ("LIST", None) => {
                let found = self.rows.iter().filter(|(key, _)| key.starts_with(rest));
                let pairs: Vec<String> = found.map(|(k, v)| format!("{k}={v}")).collect();
                format!("+{}", pairs.join("\t"))
            }
            _ => "-what?".to_owned(),
        })
    }

    fn append(&mut self, record: &str) -> io::Result<()> {
        self.file.write_all(record.as_bytes())?;
        self.file.sync_data()
    }
}
