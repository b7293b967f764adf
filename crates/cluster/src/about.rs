//! What a scheduler says of itself, on the port where it takes jobs: its build, how many executors it heard of lately, and
//! after how long without a word one is taken for lost.

use std::time::Duration;

use model::Error;
use model::error::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::BUILD;

/// How long a scheduler may take for an answer.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);

pub const PATH: &str = "/about";

#[derive(Clone, Debug, PartialEq)]
pub struct About {
    pub build: String,
    pub executors: usize,
    pub executor_timeout: Duration,
}

impl About {
    /// Of this build.
    pub fn ours(executors: usize, executor_timeout: Duration) -> About {
        About { build: BUILD.into(), executors, executor_timeout }
    }

    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.build, self.executors, self.executor_timeout.as_secs())
    }

    fn parse(text: &str) -> Option<About> {
        let mut lines = text.lines();
        let build = lines.next()?.to_owned();
        let executors = lines.next()?.parse().ok()?;
        let executor_timeout = Duration::from_secs(lines.next()?.parse().ok()?);
        Some(About { build, executors, executor_timeout })
    }
}

/// Asks the scheduler at `host:port`.
///
/// # Errors
/// `Unavailable` when none answers there in time, or one of another build does.
pub async fn ask(scheduler: &str) -> Result<About> {
    let doing = || format!("reach the scheduler at {scheduler}: start one with `lade scheduler`");
    let answer =
        tokio::time::timeout(ANSWER_MAX, get(scheduler)).await.unavailable(doing)?.unavailable(doing)?;
    let about = answer.split_once("\r\n\r\n").and_then(|(_, body)| About::parse(body));
    let no_scheduler = || Error::unavailable(format!("what answers at {scheduler} is no scheduler of lade"));
    let about = about.ok_or_else(no_scheduler)?;
    if about.build != BUILD {
        return Err(Error::unavailable(format!(
            "the scheduler at {scheduler} is {}, and this is {BUILD}: run one build everywhere",
            about.build
        )));
    }
    Ok(about)
}

// (HTTP/1.0) the answer ends with the connection, in one piece.
async fn get(scheduler: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(scheduler).await?;
    connection.write_all(format!("GET {PATH} HTTP/1.0\r\nhost: {scheduler}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    connection.take(4096).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_says_its_build_executors_and_timeout() {
        let about = About::ours(3, Duration::from_secs(10));
        assert_eq!(About::parse(&about.text()), Some(about));
        assert_eq!(About::parse("<html>\n<body>\n"), None);
    }
}
