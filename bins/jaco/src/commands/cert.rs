//! `jaco cert …`

use std::{
    io::{Read as _, stdin},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use jaco_client::{CertChanged, Client, ImportCert};
use serde::Serialize;

use super::{complete, look::certs};
use crate::{
    error::{Error, FileError},
    output::{Output, style::upper},
};

/// More than any chain or key: the limit is the cluster's to state.
const MOST_BYTES: u64 = 1 << 20;

/// What can be done with certificates.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the certificate of every domain, or why there is none.
    List,
    /// Serve a certificate of one's own for a domain, on every node.
    Import(ImportArgs),
    /// Make the next attempt at a certificate now.
    Renew {
        /// Its domain.
        #[arg(add = complete::certs())]
        domain: String,
    },
    /// Remove a certificate of one's own that no route names.
    Remove {
        /// Its domain.
        #[arg(add = complete::certs())]
        domain: String,
    },
}

/// Arguments of `jaco cert import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The domain, or a wildcard such as `*.example.com`.
    pub domain: String,
    /// PEM file with the certificate and what leads to its root, the domain's own first; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub cert: PathBuf,
    /// PEM file with its private key, unencrypted; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

#[derive(Serialize)]
struct Removed<'a> {
    domain: &'a str,
    removed: bool,
}

/// Runs one of them.
///
/// # Errors
/// Whatever made it fail.
pub async fn run(command: Command, client: &Client, out: &mut Output) -> Result<(), Error> {
    match command {
        Command::List => certs::run(client, out).await,
        Command::Import(args) => import(args, client, out).await,
        Command::Renew { domain } => renew(&domain, client, out).await,
        Command::Remove { domain } => {
            client.remove_cert(&domain).await?;
            let done = Removed { domain: &domain, removed: true };
            out.result(&done, |out| out.line(&format!("Removed the certificate for {domain}")))
        }
    }
}

async fn import(args: ImportArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let input = Path::new("-");
    if args.cert == input && args.key == input {
        return Err(Error::OneInput);
    }
    let (chain, key) = (text(&args.cert)?, text(&args.key)?);
    let imported = client.import_cert(&ImportCert { domain: args.domain, chain, key }).await?;
    out.result(&imported, |out| {
        let CertChanged { certificate: row, changed } = &imported;
        if !changed {
            return out.line(&format!("The certificate for {} is unchanged", row.domain));
        }
        out.line(&format!("Imported the certificate for {}", row.domain))?;
        if let Some(served) = &row.certificate {
            out.line(&format!("Issued by {}, valid until {}", served.issuer, served.not_after))?;
        }
        let users: Vec<_> = row.deployments.iter().map(ToString::to_string).collect();
        match users.is_empty() {
            true => Ok(()),
            false => out.line(&format!("Used by {}", users.join(", "))),
        }
    })
}

async fn renew(domain: &str, client: &Client, out: &mut Output) -> Result<(), Error> {
    let renewed = client.renew_cert(domain).await?;
    out.result(&renewed, |out| match renewed.changed {
        true => out.line(&format!(
            "The next attempt for {domain} is made now; `jaco cert list` shows how it goes"
        )),
        false => out
            .line(&format!("Nothing to hurry: {domain} is {}", upper(&renewed.certificate.phase))),
    })
}

/// What is no text is no PEM either, which the cluster explains.
fn text(path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let (path, read) = match path == Path::new("-") {
        true => (Path::new("standard input"), stdin().take(MOST_BYTES).read_to_end(&mut bytes)),
        false => {
            let file = std::fs::File::open(path);
            (path, file.and_then(|f| f.take(MOST_BYTES).read_to_end(&mut bytes)))
        }
    };
    read.map_err(|source| Error::File {
        path: path.to_owned(),
        source: FileError::Read { source },
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
