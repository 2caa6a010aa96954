//! `jaco cluster set` and `jaco cluster get`: settings of the whole cluster.

use std::collections::BTreeMap;

use clap::Args;
use jaco_client::Client;
use serde::Serialize;

use crate::{
    error::Error,
    output::{Output, table::Table},
};

/// Arguments of `jaco cluster set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The setting; `rotate-key` makes a new data key and takes no value.
    pub key: String,
    /// Its new value.
    pub value: Option<String>,
}

/// Not a setting but an act: from then on another key seals secrets at rest.
const ROTATE_KEY: &str = "rotate-key";

/// Arguments of `jaco cluster get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Only this setting.
    pub key: Option<String>,
}

/// Changes one setting.
///
/// # Errors
/// When there is no such key or the value does not fit it.
pub async fn set(args: &SetArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let value = match (&args.value, args.key == ROTATE_KEY) {
        (None, true) => return rotate_key(client, out).await,
        (Some(_), true) => return Err(Error::ValueNotTaken),
        (None, false) => return Err(Error::ValueMissing { key: args.key.clone() }),
        (Some(value), false) => value,
    };
    let all = client.set_setting(&args.key, value).await?;
    let changed: BTreeMap<_, _> = all.into_iter().filter(|(key, _)| *key == args.key).collect();
    out.result(&changed, |out| {
        changed.iter().try_for_each(|(key, value)| out.line(&format!("{key} = {value}")))
    })
}

#[derive(Serialize)]
struct Rotated {
    key: u32,
}

async fn rotate_key(client: &Client, out: &mut Output) -> Result<(), Error> {
    let rotated = Rotated { key: client.rotate_key().await? };
    out.result(&rotated, |out| out.line(&format!("data key {} is in force", rotated.key)))
}

/// Shows one or all.
///
/// # Errors
/// When there is no such key.
pub async fn get(args: &GetArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let all = client.settings().await?;
    match &args.key {
        None => out.result(&all, |out| {
            let mut table = Table::new(&["SETTING", "VALUE"]);
            for (key, value) in &all {
                table.row([key.as_str().into(), value.as_str().into()]);
            }
            let table = table.render(out);
            out.text(&table)
        }),
        Some(key) => match all.get(key) {
            Some(value) => out.result(value, |out| out.line(value)),
            None => Err(Error::UnknownSetting {
                key: key.clone(),
                known: all.into_keys().collect::<Vec<_>>().join(", "),
            }),
        },
    }
}
