//! What an export can be asked for beyond the service: options that travel as tags of the job.

use model::{Error, Result};

/// The options of one export.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// `lade:manifest` = on | off: whether `_manifest.json` is written beside the files.
    pub manifest: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { manifest: true }
    }
}

impl Options {
    /// Takes one tag.
    ///
    /// # Errors
    /// `Invalid` for an option that there is not, and for a value that it can't have.
    pub fn take(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "lade:manifest" => self.manifest = switch(key, value)?,
            _ => return Err(Error::invalid(format!("There is no option {key}; there is lade:manifest."))),
        }
        Ok(())
    }
}

fn switch(key: &str, value: &str) -> Result<bool> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Error::invalid(format!("The option {key} must be on or off, and is {value}."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_can_be_left_out() {
        let mut options = Options::default();
        assert!(options.manifest);
        options.take("lade:manifest", "off").unwrap();
        assert!(!options.manifest);
    }

    #[test]
    fn options_and_values_that_there_are_not_are_refused() {
        for (key, value) in
            [("lade:manifest", "no"), ("lade:manifest", ""), ("lade:Manifest", "off"), ("lade:", "")]
        {
            let text = Options::default().take(key, value).unwrap_err().to_string();
            assert!(text.contains(key), "{text}");
        }
    }
}
