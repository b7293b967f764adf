//! `lade demo`: a server on a scratch folder, a bulk import, live records, every export, and what became of each row.

mod data;
mod show;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use model::Clock;
use model::clock::SystemClock;
use model::error::{Context, Result};

use crate::say;
use crate::serve;
use crate::settings::Given;

/// Options of `lade demo`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  lade demo
  lade demo --keep")]
pub struct Args {
    /// Leave the server running with its data until Ctrl-C
    #[arg(long)]
    keep: bool,
}

pub fn run(args: Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(demonstrate(&args)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::failed(&error),
    }
}

async fn demonstrate(args: &Args) -> Result<()> {
    let begun = Instant::now();
    let folder = Scratch::make()?;
    let given = Given {
        data_dir: Some(folder.0.clone()),
        listen: Some("127.0.0.1:0".to_owned()),
        ..Given::default()
    };
    let server = serve::start(&given.settle(None)?).await?;
    say!("A server on a scratch folder, at {}\n", server.url());
    let told = story::tell(&server).await;
    if told.is_ok() {
        say!("\nDone in {:.1} s.", begun.elapsed().as_secs_f64());
    }
    if told.is_ok() && args.keep {
        say!(
            "The server stays until Ctrl-C. In another shell:\n  eval \"$(lade env --data-dir '{}')\"",
            folder.0.display()
        );
        tokio::signal::ctrl_c().await.unavailable(|| "wait for Ctrl-C".to_owned())?;
    }
    server.stop().await;
    told
}

/// A folder that goes with the demonstration.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Scratch> {
        let name = format!("lade-demo-{}", (&SystemClock as &dyn Clock).hex(12));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unavailable(|| "make a scratch folder".to_owned())?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It lies among temporary files: what can't be removed now goes with them.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
