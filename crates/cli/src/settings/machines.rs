//! The settings of work on more than one machine: where tasks run, and where schedulers and executors may listen.

use std::net::SocketAddr;

use model::Error;
use model::error::Result;

use super::Given;
use super::address::listening;

/// What a build without its cluster part says.
pub const NO_CLUSTER: &str = "this build of lade has no cluster part: build one that has it with \
                              `cargo build --release --features cluster`";

/// Where the tasks of jobs run.
#[derive(Clone, Debug, PartialEq)]
pub enum Engine {
    /// On threads of the server.
    Local,
    /// On the executors of the scheduler at this `host:port`.
    Ballista { scheduler: String },
}

impl Given {
    /// Where tasks run.
    ///
    /// # Errors
    /// `Invalid` when there is no such engine, its scheduler is missing, or this build can't use it.
    pub(super) fn engine(&self) -> Result<Engine> {
        match self.engine.as_deref() {
            None | Some("local") => Ok(Engine::Local),
            Some("ballista") if !cfg!(feature = "cluster") => {
                Err(Error::invalid(format!("the setting engine can't be ballista: {NO_CLUSTER}")))
            }
            Some("ballista") => Ok(Engine::Ballista { scheduler: self.scheduler_named()? }),
            Some(_) => Err(Error::invalid("the setting engine must be local or ballista")),
        }
    }

    fn scheduler_named(&self) -> Result<String> {
        let named = self.scheduler.as_deref().filter(|scheduler| is_host_and_port(scheduler));
        named.map(str::to_owned).ok_or_else(|| {
            let text =
                "the setting engine = ballista needs the setting scheduler, HOST:PORT of a `lade scheduler`";
            Error::invalid(text)
        })
    }
}

/// Whether a text names a port of a host.
pub fn is_host_and_port(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok())
}

/// Where a scheduler or an executor listens: on this machine alone, unless it is said that the network is private.
///
/// # Errors
/// `Invalid` when it is no address, or other machines reach it and that was not allowed.
pub fn listen_in_private(text: &str, is_allowed: bool) -> Result<SocketAddr> {
    let address = listening(text)?;
    if address.ip().is_loopback() || is_allowed {
        return Ok(address);
    }
    Err(Error::invalid(format!(
        "{address} can be reached from other machines, and neither schedulers nor executors ask who calls or encrypt \
         what they send: on a private network, say --allow-plain-http"
    )))
}
