//! Runs a program without a shell, with a bound on its time and on what it may say.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

/// The longest that one may take; `nft` needs a fifth of a second for 10,000 prefixes.
const BOUND: Duration = Duration::from_secs(20);
/// The most that one may say; `nft` says 4 MiB of 10,000 prefixes.
const MOST: u64 = 256 << 20;

/// What a program did not do.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    #[error("{} could not be run", .0.display())]
    Broken(PathBuf, #[source] io::Error),
    #[error("{} took longer than {} s", .0.display(), BOUND.as_secs())]
    Stuck(PathBuf),
    #[error("{} said: {said}", program.display())]
    Failed { program: PathBuf, said: String },
}

/// What it says when it is told `input`.
pub(super) async fn run(
    program: &Path,
    arguments: &[&str],
    input: &str,
) -> Result<Vec<u8>, ProgramError> {
    let broken = |error| ProgramError::Broken(program.to_owned(), error);
    let child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ProgramError::Missing(program.to_owned()),
            _ => broken(error),
        })?;
    let (good, out, said) = tokio::time::timeout(BOUND, converse(child, input))
        .await
        .map_err(|_| ProgramError::Stuck(program.to_owned()))?
        .map_err(broken)?;
    if good {
        return Ok(out);
    }
    let said = String::from_utf8_lossy(&said).trim().chars().take(2000).collect();
    Err(ProgramError::Failed { program: program.to_owned(), said })
}

/// Says `input` and hears everything, all at once: neither side waits for the other.
async fn converse(mut child: Child, input: &str) -> io::Result<(bool, Vec<u8>, Vec<u8>)> {
    let (mut stdin, stdout, stderr) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let say = async {
        let said = match &mut stdin {
            Some(stdin) => stdin.write_all(input.as_bytes()).await,
            None => Ok(()),
        };
        // Closed, so that it stops reading.
        drop(stdin.take());
        match said {
            // It found a mistake before it had read everything: its exit status tells.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    };
    let ((), out, said) = tokio::try_join!(say, hear(stdout), hear(stderr))?;
    Ok((child.wait().await?.success(), out, said))
}

async fn hear(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut heard = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MOST).read_to_end(&mut heard).await?;
    }
    if heard.len() as u64 == MOST {
        return Err(io::Error::other("it says too much"));
    }
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_heard_while_it_is_spoken_to() {
        // More than a pipe holds, in both directions.
        let long = "x".repeat(1 << 20);
        let out = run(Path::new("cat"), &[], &long).await.unwrap();
        assert_eq!(out.len(), long.len());
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_judged_by_its_exit() {
        let long = "x".repeat(1 << 20);
        run(Path::new("true"), &[], &long).await.unwrap();
        let failed = run(Path::new("false"), &[], &long).await.unwrap_err();
        assert!(matches!(failed, ProgramError::Failed { .. }), "{failed:?}");
        let missing = run(Path::new("/nonexistent"), &[], "").await.unwrap_err();
        assert!(matches!(missing, ProgramError::Missing(_)), "{missing:?}");
    }
}
