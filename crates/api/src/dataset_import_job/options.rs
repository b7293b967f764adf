//! What an import can be asked for beyond the service: options that travel as tags of the job.

use model::{Error, Result};

/// The most rows that a tolerance may name.
const TOLERANCE_MAX: u64 = 1_000_000_000;

/// The options of one import.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `lade:tolerance` = a number of rows that may be left out for what is wrong with them.
    pub tolerance: u64,
    /// `lade:validate-only` = true | false: whether everything is read and checked, and nothing imported.
    pub validate_only: bool,
}

impl Options {
    /// Takes one tag.
    ///
    /// # Errors
    /// `Invalid` for an option that there is not, and for a value that it can't have.
    pub fn take(&mut self, key: &str, value: &str) -> Result<()> {
        let wrong = |must: &str| Error::invalid(format!("The option {key} must be {must}, and is {value}."));
        match key {
            "lade:tolerance" => {
                let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                let number = value.parse().ok().filter(|rows| is_number && *rows <= TOLERANCE_MAX);
                self.tolerance =
                    number.ok_or_else(|| wrong(&format!("a number of rows from 0 to {TOLERANCE_MAX}")))?;
            }
            "lade:validate-only" => {
                self.validate_only = value.parse().map_err(|_| wrong("true or false"))?;
            }
            _ => {
                let known = "lade:tolerance and lade:validate-only";
                return Err(Error::invalid(format!(
                    "There is no option {key} of an import; there are {known}."
                )));
            }
        }
        Ok(())
    }

    /// # Errors
    /// `Invalid` where a report is to be published of records that are not imported.
    pub fn check(&self, publishes_metrics: bool) -> Result<()> {
        if self.validate_only && publishes_metrics {
            let text = "An import with lade:validate-only imports nothing, so it has no metrics to publish.";
            return Err(Error::invalid(text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_takes_all_rows_or_none_unless_it_is_asked_for_less() {
        let mut options = Options::default();
        assert_eq!(options, Options { tolerance: 0, validate_only: false });
        options.take("lade:tolerance", "1000000000").unwrap();
        options.take("lade:validate-only", "true").unwrap();
        assert_eq!(options, Options { tolerance: TOLERANCE_MAX, validate_only: true });
        options.check(true).unwrap_err();
        options.check(false).unwrap();
    }

    #[test]
    fn options_and_values_that_there_are_not_are_refused() {
        for (key, value) in [
            ("lade:tolerance", ""),
            ("lade:tolerance", "-1"),
            ("lade:tolerance", "+1"),
            ("lade:tolerance", "1 %"),
            ("lade:tolerance", "1000000001"),
            ("lade:validate-only", "on"),
            ("lade:validate-only", ""),
            ("lade:manifest", "on"),
            ("lade:Tolerance", "1"),
        ] {
            let text = Options::default().take(key, value).unwrap_err().to_string();
            assert!(text.contains(key), "{text}");
        }
    }
}
