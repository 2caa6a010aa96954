//! `jaco top`: what nodes and replicas use at the moment.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jaco_api::model::{NodeUsage, Pressure, ReplicaUsage};
use jaco_client::{Client, NodeTop, ReplicaTop, Top};
use tokio::time::Instant;

use crate::{
    cli::duration,
    error::Error,
    output::{
        Output,
        style::bytes,
        table::{Field, Table},
    },
};

/// How long nobody may answer before watching ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Nodes alone.
    Nodes,
    /// Replicas alone.
    Replicas,
}

/// Arguments of `jaco top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Nodes or replicas alone; both unless said.
    #[arg(value_enum)]
    pub what: Option<What>,
    /// Go on, and measure again and again.
    #[arg(short, long)]
    pub watch: bool,
    /// How long a measurement takes.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1s")]
    pub interval: Duration,
}

/// Measures and prints.
///
/// # Errors
/// When no node answers. One of several that does not is a row that says so.
pub async fn run(args: &TopArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    if !args.watch {
        let top = client.top(args.interval).await?;
        return match args.what {
            None => out.result(&top, |out| print(args, &top, out)),
            Some(What::Nodes) => out.result(&top.nodes, |out| print(args, &top, out)),
            Some(What::Replicas) => out.result(&top.replicas, |out| print(args, &top, out)),
        };
    }
    let mut answered = Instant::now();
    loop {
        let next = Instant::now() + args.interval;
        let top = match client.top(args.interval).await {
            Ok(top) => top,
            // A node that is started anew is waited for.
            Err(error) if error.is_transient() && answered.elapsed() < PATIENCE => {
                tokio::time::sleep_until(next).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        answered = Instant::now();
        match args.what {
            None => out.item(&top, |out| draw(args, &top, out))?,
            Some(What::Nodes) => out.item(&top.nodes, |out| draw(args, &top, out))?,
            Some(What::Replicas) => out.item(&top.replicas, |out| draw(args, &top, out))?,
        }
        // Nodes that cannot measure themselves answer at once.
        tokio::time::sleep_until(next).await;
    }
}

/// One picture of several: in place on a terminal, one below the other elsewhere.
fn draw(args: &TopArgs, top: &Top, out: &mut Output) -> Result<(), Error> {
    let in_place = out.terminal.is_some();
    if in_place {
        out.text("\u{1b}[H\u{1b}[2J")?;
    }
    print(args, top, out)?;
    if in_place { Ok(()) } else { out.line("") }
}

fn print(args: &TopArgs, top: &Top, out: &mut Output) -> Result<(), Error> {
    if args.what != Some(What::Replicas) {
        let table = nodes(&top.nodes);
        let table = if args.what.is_none() { table.titled("Nodes") } else { table };
        let text = table.render(out);
        out.text(&text)?;
    }
    if args.what.is_none() {
        if top.replicas.is_empty() {
            return Ok(());
        }
        out.line("")?;
    }
    if args.what != Some(What::Nodes) {
        let table = replicas(&top.replicas);
        let table = if args.what.is_none() { table.titled("Replicas") } else { table };
        let text = table.render(out);
        out.text(&text)?;
    }
    if args.what == Some(What::Replicas) {
        // Their replicas are missing in the table.
        for NodeTop { node, error, .. } in &top.nodes {
            if let Some(error) = error {
                out.warn(&format!("nothing of {node}: {error}"));
            }
        }
    }
    Ok(())
}

fn nodes(rows: &[NodeTop]) -> Table {
    let mut table = Table::new(&[
        "NODE",
        "CPU",
        "MEMORY",
        "MEMORY%",
        "PRESSURE CPU/MEM/IO",
        "REPLICAS",
        "REASON",
    ]);
    for row in rows {
        let of = |text: fn(&NodeUsage) -> String| {
            Field::from(row.usage.as_ref().map(text).unwrap_or_default())
        };
        table.row([
            row.node.as_str().into(),
            of(|u| percent(u64::from(u.cpu_permille))),
            of(|u| format!("{} / {}", bytes(u.memory_used_bytes), bytes(u.memory_total_bytes))),
            of(|u| percent(u64::from(u.memory_permille()))),
            of(|u| u.pressure.as_ref().map(pressure).unwrap_or_default()),
            row.replicas.to_string().into(),
            row.error.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

fn replicas(rows: &[ReplicaTop]) -> Table {
    let mut table = Table::new(&[
        "REPLICA",
        "NODE",
        "CPU",
        "MEMORY",
        "RECEIVED/S",
        "SENT/S",
        "RECEIVED",
        "SENT",
        "REASON",
    ]);
    for row in rows {
        let of = |text: fn(&ReplicaUsage) -> String| {
            Field::from(row.usage.as_ref().map(text).unwrap_or_default())
        };
        table.row([
            row.replica.to_string().into(),
            row.node.as_str().into(),
            of(|u| percent(u.cpu_millis)),
            of(|u| bytes(u.memory_bytes)),
            of(|u| bytes(u.received_per_second)),
            of(|u| bytes(u.sent_per_second)),
            of(|u| bytes(u.received_bytes)),
            of(|u| bytes(u.sent_bytes)),
            row.error.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

/// How long something waited, in percent of the time.
fn pressure(p: &Pressure) -> String {
    let stall = |permille: u32| percent(u64::from(permille));
    [p.cpu, p.memory, p.io].map(|s| stall(s.some_permille)).join(" / ")
}

/// Thousandths as percent: `12.5%`; of replicas, 100% is one processor.
fn percent(permille: u64) -> String {
    format!("{}.{}%", permille / 10, permille % 10)
}
