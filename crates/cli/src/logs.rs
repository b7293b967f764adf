//! The server's own log: how much of which area is in it, and in which form.

mod areas;
mod lines;

use model::Error;
use model::error::Result;
use tracing_subscriber::EnvFilter;

/// What the settings `log` and `log_format` say.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Directives of `tracing`, which can be read.
    directives: String,
    is_json: bool,
}

impl LogSettings {
    /// # Errors
    /// `Invalid` with the part that can't be used, and with what can.
    pub fn parse(log: Option<&str>, log_format: Option<&str>) -> Result<LogSettings> {
        let directives = areas::directives(log.unwrap_or("info"))?;
        let is_json = match log_format {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => {
                return Err(Error::invalid(format!(
                    "the setting log_format must be text or json, and is {other}"
                )));
            }
        };
        Ok(LogSettings { directives, is_json })
    }
}

/// Begins to log to standard error.
pub fn start(settings: &LogSettings) {
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A line that can't be written is lost: to say so on standard error would panic, as that is what can't be written to.
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&settings.directives))
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let set = match settings.is_json {
        true => log.event_format(lines::Json).try_init(),
        false => log.with_ansi(is_terminal).event_format(lines::Text).try_init(),
    };
    // A second server in one process logs where the first one does.
    drop(set);
}
