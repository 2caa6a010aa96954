//! The db service's client: `AUTH`, then one line per request and answer.

use std::io;

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{Duration, timeout},
};

use crate::setting;

const PATIENCE: Duration = Duration::from_secs(3);

/// Sends one request to the db and returns its answer without the leading `+`.
pub(crate) async fn ask(request: &str) -> io::Result<String> {
    let exchange = async {
        let address = setting("DB_ADDRESS", "db:6543");
        let mut stream = BufReader::new(TcpStream::connect(&address).await?);
        line(&mut stream, &format!("AUTH {}", setting("DB_PASSWORD", ""))).await?;
        line(&mut stream, request).await
    };
    timeout(PATIENCE, exchange).await.map_err(io::Error::from)?
}

async fn line(stream: &mut BufReader<TcpStream>, request: &str) -> io::Result<String> {
    stream.write_all(format!("{request}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    match answer.trim_end().split_at_checked(1) {
        Some(("+", rest)) => Ok(rest.to_owned()),
        _ => Err(io::Error::other(format!("the db answered {:?}", answer.trim_end()))),
    }
}
