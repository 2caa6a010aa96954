//! `jaco cluster set` and `jaco cluster get`: settings of the whole cluster.

use std::collections::BTreeMap;

use clap::Args;
use jaco_client::Client;

use crate::{
    error::Error,
    output::{Output, table::Table},
};

/// Arguments of `jaco cluster set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The setting.
    pub key: String,
    /// Its new value.
    pub value: String,
}

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
    let all = client.set_setting(&args.key, &args.value).await?;
    let changed: BTreeMap<_, _> = all.into_iter().filter(|(key, _)| *key == args.key).collect();
    out.result(&changed, |out| {
        changed.iter().try_for_each(|(key, value)| out.line(&format!("{key} = {value}")))
    })
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
