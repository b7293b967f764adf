//! `lade admin rotate-root-key`: a new key for the root of a running server.

use std::process::ExitCode;

use http::Method;
use model::error::Result;
use serde_json::{Value, json};

use super::span::Span;
use crate::client::server::Choice;
use crate::serve;

/// Options of `lade admin rotate-root-key`.
#[derive(clap::Args)]
#[command(
    after_help = "The new pair is on the server's disk (root_key.json in its data folder) before it is printed. What was signed \
    in by the old key, in the console or by GetSessionToken, ends with it. A server whose settings give the root key refuses: \
    change it there.\n\nExamples:
  lade admin rotate-root-key
  lade admin rotate-root-key --grace 24h --json"
)]
pub struct Args {
    /// How long the old key works beside the new one, such as 24h
    #[arg(long, value_name = "SPAN", default_value = "0")]
    grace: Span,

    /// Print the pair as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Choice,
}

pub fn run(args: &Args) -> ExitCode {
    let done = serve::runtime().and_then(|runtime| runtime.block_on(rotate(args)));
    done.map_or_else(|error| crate::failed(&error), |()| ExitCode::SUCCESS)
}

async fn rotate(args: &Args) -> Result<()> {
    let body = json!({ "graceSeconds": args.grace.seconds }).to_string();
    let client = args.server.client("PERSONALIZE")?;
    let made = client.lade_with(Method::POST, "/root-key", body.into()).await?;
    if args.json {
        crate::say!("{made}");
    } else {
        print!("{}", shown(&made));
    }
    Ok(())
}

fn shown(made: &Value) -> String {
    let text = |name: &str| made[name].as_str().unwrap_or_default();
    let former = match made["formerEndsAt"].as_str() {
        Some(at) => format!("works until {at}"),
        None => "works no more".to_owned(),
    };
    format!(
        "Root key     {} {}\n             shown this once, and kept in root_key.json in the server's data folder\n\
         Old key      {} {former}\nAWS clients  eval \"$(lade env)\" again in each shell that used the old key\n",
        text("accessKeyId"),
        text("secretAccessKey"),
        text("formerKeyId"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_the_old_key_is_told() {
        let mut made =
            json!({"accessKeyId": "A", "secretAccessKey": "s", "formerKeyId": "B", "formerEndsAt": null});
        assert!(shown(&made).starts_with("Root key     A s\n") && shown(&made).contains("B works no more"));
        made["formerEndsAt"] = json!("2026-01-02T00:00:00Z");
        assert!(shown(&made).contains("B works until 2026-01-02T00:00:00Z"));
    }
}
