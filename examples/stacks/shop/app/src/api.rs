//! `api`: orders over HTTP, kept in the db.
//!
//! `POST /orders` with the name of a thing, `GET /orders`, `GET /healthz` (the db answers too).

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    http::{self, Request, Response},
    say, setting, store,
};

/// Serves until the process is told to stop.
pub(crate) async fn serve() -> io::Result<()> {
    let orders = Arc::new(AtomicU64::new(0));
    http::serve(&setting("API_LISTEN", "0.0.0.0:8081"), move |request| {
        let orders = Arc::clone(&orders);
        async move { answer(&request, &orders).await.unwrap_or_else(|error| trouble(&error)) }
    })
    .await
}

fn trouble(error: &io::Error) -> Response {
    say(format_args!("the db does not help: {error}"));
    Response::text(503, format!("{error}\n"))
}

async fn answer(request: &Request, orders: &AtomicU64) -> io::Result<Response> {
    Ok(match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/healthz") => Response::text(200, store::ask("PING").await?),
        ("GET", "/orders") => {
            let list = store::ask("LIST order:").await?;
            let lines: Vec<&str> = list.split('\t').filter(|l| !l.is_empty()).collect();
            Response::text(200, lines.join("\n"))
        }
        ("POST", "/orders") => {
            let thing = request.body.trim();
            if thing.is_empty() || thing.len() > 80 || thing.contains(['\n', '\t', '=']) {
                return Ok(Response::text(400, "an order is one line of at most 80 characters\n"));
            }
            let key =
                format!("order:{}-{}", milliseconds(), orders.fetch_add(1, Ordering::Relaxed));
            store::ask(&format!("SET {key} new {thing}")).await?;
            say(format_args!("{key}: {thing}"));
            Response::text(201, format!("{key}\n"))
        }
        _ => Response::text(404, "nothing here\n"),
    })
}

fn milliseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}
