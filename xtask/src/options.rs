//! The command line of `cargo xtask`, and what the environment adds to it.

const USAGE: &str = "\
usage: cargo xtask test [--only rust|js|python] [--fast]
       cargo xtask bench [--quick] [--rows N] [--rounds N] [--only NAME,…] [--write]   (--help tells more)
       cargo xtask drill [--jobs N] [--nodes N] [--executors N] [--seed N]
       cargo xtask bench-nodes [--seconds N] [--rows N]

  --only PART   run one part: rust (formatting, lints, tests), js or python (stock clients against the server)
  --fast        leave out the 1 GiB file, the full-size data sets and most kill cycles

With CI=true in the environment, a part that can't be run is a failure.";

/// What to run, and how strictly.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    only: Option<String>,
    pub fast: bool,
    /// Whether a part that can't be run is a failure.
    pub ci: bool,
}

impl Options {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// The text to print, with the usage, when an argument is not known.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        let mut options = Options { ci, ..Options::default() };
        match arguments.next().as_deref() {
            Some("test") => {}
            Some(other) => return Err(format!("unknown command {other}\n\n{USAGE}")),
            None => return Err(USAGE.into()),
        }
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--fast" => options.fast = true,
                "--only" => options.only = Some(part(arguments.next())?),
                other => return Err(format!("unknown argument {other}\n\n{USAGE}")),
            }
        }
        Ok(options)
    }

    pub fn takes(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

fn part(name: Option<String>) -> Result<String, String> {
    match name.as_deref() {
        Some("rust" | "js" | "python") => Ok(name.unwrap_or_default()),
        Some(other) => Err(format!("--only {other}: there is no such part\n\n{USAGE}")),
        None => Err(format!("--only needs the name of a part\n\n{USAGE}")),
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn without_only_every_part_is_taken() {
        let options = parse("test --fast").unwrap();
        assert!(options.fast && options.takes("rust") && options.takes("js") && options.takes("python"));
    }

    #[test]
    fn only_takes_one_part() {
        let options = parse("test --only js").unwrap();
        assert!(options.takes("js") && !options.takes("rust") && !options.takes("python"));
    }

    #[test]
    fn unknown_words_are_refused_with_the_usage() {
        for line in ["", "build", "test --only java", "test --only", "test --slow"] {
            assert!(parse(line).unwrap_err().contains("usage: cargo xtask test"), "{line}");
        }
    }
}
