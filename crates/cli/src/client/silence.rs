//! What it means that a request got no answer: nobody is there, or something went wrong on the way.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy::Error as Cause;
use model::error::Error;

/// Reads why no answer came. `told_by` named the address `url`; `doing` is what was tried.
pub fn read(url: &str, told_by: &str, cause: Cause, doing: String) -> Error {
    let why = of_connection(&cause).filter(|_| cause.is_connect());
    match why {
        Some(why) => Error::unavailable(nobody(url, told_by, &why)),
        None => Error::unavailable(doing).caused_by(cause),
    }
}

// What the system said of the connection; `None` where somebody answered who was not understood, over TLS.
fn of_connection(cause: &Cause) -> Option<String> {
    let mut last: &(dyn StdError + 'static) = cause;
    let mut found = None;
    while let Some(next) = last.source() {
        last = next;
        found = last.downcast_ref::<io::Error>().or(found);
    }
    let found = found?;
    let is_wrong = matches!(found.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput);
    (!is_wrong).then(|| found.to_string())
}

fn nobody(url: &str, told_by: &str, why: &str) -> String {
    let of = if told_by.is_empty() { String::new() } else { format!(", the address in {told_by}") };
    format!(
        "no server answers at {url}{of}: {why}. Start one with lade serve, or name another one with --endpoint-url, \
         --data-dir or AWS_ENDPOINT_URL"
    )
}

#[cfg(test)]
mod tests {
    use super::nobody;

    #[test]
    fn who_named_the_address_is_told() {
        let text = nobody("http://h:1", "AWS_ENDPOINT_URL", "refused");
        assert!(
            text.starts_with(
                "no server answers at http://h:1, the address in AWS_ENDPOINT_URL: refused. Start"
            ),
            "{text}"
        );
        assert!(nobody("http://h:1", "", "refused").starts_with("no server answers at http://h:1: refused."));
    }
}
