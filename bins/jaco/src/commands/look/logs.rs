//! `jaco logs`: `[replica@node] line`, a colour per replica, merged over nodes.

use clap::Args;
use futures::TryStreamExt as _;
use jaco_client::{Client, LogGap, LogLine, LogQuery};
use regex::Regex;

use super::time::point;
use crate::{
    commands::{complete, target::Source},
    error::Error,
    output::{Output, style},
};

/// Arguments of `jaco logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// A deployment, a service of it, or one replica.
    #[arg(value_name = "DEPLOYMENT[/SERVICE]|REPLICA", add = complete::targets())]
    pub source: Source,
    /// Go on with what is still to come.
    #[arg(short, long)]
    pub follow: bool,
    /// Only lines after this: 5m ago, or an RFC 3339 time.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only so many lines per replica, from the end.
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u32>,
    /// Put the time before every line.
    #[arg(short, long)]
    pub timestamps: bool,
    /// Only lines that match this regular expression.
    #[arg(long, value_name = "REGEX")]
    pub grep: Option<String>,
}

/// Streams and prints. A replica that cannot be read is reported and the others go on.
///
/// # Errors
/// `deployment_not_found`, `service_not_found`, `replica_not_found`.
pub async fn run(args: &LogsArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let grep = args.grep.as_deref().map(Regex::new).transpose()?;
    let mut batches = client.logs(&query(args, out)?).await?;
    while let Some(batch) = batches.try_next().await? {
        for LogGap { replica, node, message } in batch.gaps {
            let missing = replica.map_or_else(|| node.to_string(), |r| format!("{r}@{node}"));
            out.warn(&format!("no output of {missing}: {message}"));
        }
        for line in batch.lines {
            if grep.as_ref().is_none_or(|re| re.is_match(&line.text)) {
                out.piece(&line, |out| print(&line, args.timestamps, out))?;
            }
        }
        out.flush()?;
    }
    Ok(())
}

fn query(args: &LogsArgs, out: &Output) -> Result<LogQuery, Error> {
    let since = args.since.as_deref().map(|t| point(t, out.now())).transpose()?;
    let base = LogQuery { follow: args.follow, since, tail: args.tail, ..LogQuery::default() };
    Ok(match &args.source {
        Source::Of(target) => LogQuery {
            deployment: Some(target.deployment.clone()),
            service: target.service.clone(),
            ..base
        },
        Source::Replica(id) => LogQuery { replica: Some(id.clone()), ..base },
    })
}

fn print(line: &LogLine, timestamps: bool, out: &mut Output) -> Result<(), Error> {
    let id = line.replica.to_string();
    let prefix = style::paint(style::of_replica(&id), &format!("[{id}@{}]", line.node), out.color);
    if timestamps {
        out.line(&format!("{prefix} {} {}", line.at, line.text))
    } else {
        out.line(&format!("{prefix} {}", line.text))
    }
}
