//! `worker`: packs new orders, one round per `WORKER_INTERVAL` milliseconds.

use std::io;

use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::{say, setting, store};

/// Works until the process is told to stop.
pub(crate) async fn work() -> io::Result<()> {
    let pause = setting("WORKER_INTERVAL", "1000").parse().unwrap_or(1000);
    let mut rounds = interval(Duration::from_millis(pause));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    say("working");
    loop {
        rounds.tick().await;
        if let Err(error) = round().await {
            say(format_args!("this round failed: {error}"));
        }
    }
}

async fn round() -> io::Result<()> {
    let orders = store::ask("LIST order:").await?;
    for (key, order) in orders.split('\t').filter_map(|pair| pair.split_once('=')) {
        if let Some(thing) = order.strip_prefix("new ") {
            store::ask(&format!("SET {key} packed {thing}")).await?;
            say(format_args!("packed {thing} ({key})"));
        }
    }
    Ok(())
}
