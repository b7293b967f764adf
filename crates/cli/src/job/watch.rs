//! Watching a job until it ends: a bar on a terminal, a line per change elsewhere.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use model::error::{Error, ErrorKind, Result};

use super::show;
use super::{Job, State};
use crate::client::Client;
use crate::{say, say_text};

pub const POLL: Duration = Duration::from_millis(200);
/// A server that is restarted is waited for this many polls: about half a minute.
pub const SILENCE_POLLS: u32 = 150;

/// Shows a job until it has ended and then tells what became of it; progress goes to standard error.
///
/// Exits with 1 when the job failed, or Ctrl-C came first: the job goes on then.
pub async fn until_ended(client: &Client, arn: &str, is_json: bool) -> Result<ExitCode> {
    let mut screen = Screen::new();
    let ended = tokio::select! {
        ended = follow(client, arn, &mut screen) => ended?,
        _ = tokio::signal::ctrl_c() => {
            screen.clear();
            eprintln!("The job goes on.\n  to look:   lade status {arn}\n  to cancel: lade cancel {arn}");
            return Ok(ExitCode::FAILURE);
        }
    };
    screen.clear();
    tell(&ended, is_json)
}

/// Shows a job until it has ended, and gives it.
pub async fn until_over(client: &Client, arn: &str) -> Result<Job> {
    let mut screen = Screen::new();
    let ended = follow(client, arn, &mut screen).await;
    screen.clear();
    ended
}

/// Tells what became of a job, or how far it is.
///
/// # Errors
/// The reason of a job that failed.
pub fn tell(job: &Job, is_json: bool) -> Result<ExitCode> {
    if is_json {
        say!("{}", job.raw);
    } else {
        say_text!("{}", show::whole(job));
    }
    if job.state() != State::Failed {
        return Ok(ExitCode::SUCCESS);
    }
    let reason = job.members.failure_reason.as_deref().unwrap_or("no reason was given");
    Err(Error::invalid(format!("the job failed: {reason}")))
}

async fn follow(client: &Client, arn: &str, screen: &mut Screen) -> Result<Job> {
    let mut silent = 0;
    loop {
        match client.job(arn).await {
            Ok(job) if job.state() != State::Open => return Ok(job),
            Ok(job) => {
                silent = 0;
                screen.show(show::line(&job), job.members.progress.permille());
            }
            Err(cause) if cause.kind == ErrorKind::Unavailable && silent < SILENCE_POLLS => silent += 1,
            Err(cause) => return Err(cause),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Where progress is shown.
pub enum Screen {
    Bar(ProgressBar),
    /// The last line that was printed.
    Lines(String),
}

impl Screen {
    pub fn new() -> Screen {
        if !stderr().is_terminal() {
            return Screen::Lines(String::new());
        }
        let bar = ProgressBar::new(1000);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_bar} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(80));
        Screen::Bar(bar)
    }

    /// Shows a line, and how much is done, of a thousand.
    pub fn show(&mut self, line: String, permille: Option<u64>) {
        match self {
            Screen::Bar(bar) => {
                bar.set_position(permille.unwrap_or(0));
                bar.set_message(line);
            }
            Screen::Lines(last) if *last != line => {
                eprintln!("{line}");
                *last = line;
            }
            Screen::Lines(_) => {}
        }
    }

    pub fn clear(&self) {
        if let Screen::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
