//! `web`: the page that people see. Asks the api for the orders.

use std::io;

use crate::{
    http::{self, Request, Response},
    say, setting,
};

/// Serves until the process is told to stop.
pub(crate) async fn serve() -> io::Result<()> {
    http::serve(&setting("WEB_LISTEN", "0.0.0.0:8080"), |request| async move {
        let response = answer(&request).await;
        if request.path != "/healthz" {
            say(format_args!("{} {} {}", request.method, request.path, response.status));
        }
        response
    })
    .await
}

async fn answer(request: &Request) -> Response {
    let api = setting("API_URL", "");
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/healthz") => Response::text(200, "ok\n"),
        ("GET", "/") => {
            let orders = if api.is_empty() { Ok(None) } else { orders(&api).await.map(Some) };
            page(orders)
        }
        ("POST", "/orders") if !api.is_empty() => {
            match http::call("POST", &format!("{api}/orders"), &request.body).await {
                Ok((status, body)) => Response::text(status, body),
                Err(error) => Response::text(502, format!("the api does not answer: {error}\n")),
            }
        }
        _ => Response::text(404, "nothing here\n"),
    }
}

async fn orders(api: &str) -> io::Result<String> {
    match http::call("GET", &format!("{api}/orders"), "").await? {
        (200, body) => Ok(body),
        (status, _) => Err(io::Error::other(format!("it answered {status}"))),
    }
}

fn page(orders: io::Result<Option<String>>) -> Response {
    let greeting = escape(&setting("GREETING", "Hello"));
    let list = match orders {
        Ok(None) => String::new(),
        Ok(Some(orders)) => {
            let items = orders.lines().map(|l| format!("  <li>{}</li>\n", escape(l)));
            format!("<ul>\n{}</ul>\n", items.collect::<String>())
        }
        Err(error) => format!("<p>No orders: {}</p>\n", escape(&error.to_string())),
    };
    let body = format!("<!doctype html>\n<title>{greeting}</title>\n<h1>{greeting}</h1>\n{list}");
    Response { status: 200, kind: "text/html; charset=utf-8", body }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
