//! Completion of names that only the cluster knows: one quick question, silence when it fails.

use std::{collections::BTreeSet, ffi::OsStr, time::Duration};

use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _,
};
use jaco_client::{Client, StatusQuery, StatusView};

use crate::{
    cli::GlobalArgs,
    dial::{self, Environment, Manner},
};

/// A person waits for this at a prompt.
const PATIENCE: Duration = Duration::from_millis(700);

/// Completes `<deployment>`.
#[must_use]
pub fn deployments() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |view| view.deployments().map(|d| d.name.to_string()).collect())
    })
}

/// Completes `<deployment>[/<service>]`.
#[must_use]
pub fn targets() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |view| {
            view.deployments()
                .flat_map(|d| {
                    let services = d.services.iter().map(|s| format!("{}/{}", d.name, s.name));
                    std::iter::once(d.name.to_string()).chain(services).collect::<Vec<_>>()
                })
                .collect()
        })
    })
}

/// Completes `<replica>`.
#[must_use]
pub fn replicas() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |view| view.replicas().map(|r| r.id.to_string()).collect())
    })
}

/// Completes `<replica>` and `<deployment>/<service>`.
#[must_use]
pub fn containers() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |view| {
            let replicas = view.replicas().map(|r| r.id.to_string());
            let services = view
                .deployments()
                .flat_map(|d| d.services.iter().map(|s| format!("{}/{}", d.name, s.name)));
            services.chain(replicas).collect()
        })
    })
}

/// Completes `<replica>:` and paths of this machine.
#[must_use]
pub fn copied() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let mut all =
            candidates(typed, |view| view.replicas().map(|r| format!("{}:", r.id)).collect());
        all.extend(PathCompleter::any().complete(typed));
        all
    })
}

/// Completes `<node>`.
#[must_use]
pub fn nodes() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let nodes = ask(async |client| client.nodes().await).unwrap_or_default();
        matching(typed, nodes.into_iter().map(|n| n.node.name.to_string()))
    })
}

/// Completes `<domain>` of routes.
#[must_use]
pub fn domains() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |view| {
            let routes = view.deployments().flat_map(|d| &d.routes);
            let domains: BTreeSet<_> = routes.map(|route| route.domain.clone()).collect();
            domains.into_iter().collect()
        })
    })
}

/// Completes `<domain>` of certificates.
#[must_use]
pub fn certs() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |view| view.certificates().map(|c| c.domain.clone()).collect())
    })
}

fn candidates(
    typed: &OsStr,
    names: impl Fn(&StatusView) -> Vec<String>,
) -> Vec<CompletionCandidate> {
    let view = ask(async |client| client.status(&StatusQuery::default()).await);
    matching(typed, view.map(|view| names(&view)).unwrap_or_default())
}

fn matching(typed: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    names
        .into_iter()
        .filter(|name| name.starts_with(&*typed))
        .map(CompletionCandidate::new)
        .collect()
}

fn ask<T>(question: impl AsyncFnOnce(Client) -> Result<T, jaco_client::Error>) -> Option<T> {
    let manner = dial::resolve(&GlobalArgs::default(), &Environment::of_process()).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let answer = runtime.block_on(async {
        let mut builder = Client::builder().retry_for(Duration::ZERO);
        match manner {
            Manner::Socket(path) => builder = builder.socket(path),
            // A prompt must not send a token to somebody unknown.
            Manner::Remote { trust: jaco_client::Trust::Unverified, .. } => return None,
            Manner::Remote { servers, token, trust } => {
                builder = builder.servers(servers).token(token).trust(trust);
            }
        }
        let query = async { question(builder.connect().await?).await };
        tokio::time::timeout(PATIENCE, query).await.ok()?.ok()
    });
    runtime.shutdown_background();
    answer
}
