//! Every command's help ends with examples, and each of them is a command line that can be read.

use clap::{Command, CommandFactory};

use crate::CommandLine;

/// All commands with the words that call them, those of commands within commands too.
fn all(command: &Command, words: &str, found: &mut Vec<(String, Command)>) {
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        let words = format!("{words} {}", inner.get_name());
        all(inner, &words, found);
        found.push((words, inner.clone()));
    }
}

fn commands() -> Vec<(String, Command)> {
    let mut found = Vec::new();
    all(&CommandLine::command(), "lade", &mut found);
    found
}

/// The command lines behind the last `Example:` or `Examples:` of a help, those that go on after a backslash as one.
fn examples(help: &str) -> Option<Vec<String>> {
    let at = [help.rfind("Example:\n"), help.rfind("Examples:\n")].into_iter().flatten().max()?;
    let (_, lines) = help[at..].split_once('\n')?;
    let lines = lines.trim_end().replace("\\\n", " ");
    // Nothing else stands behind them.
    lines.lines().map(|line| line.strip_prefix("  ").map(str::to_owned)).collect()
}

/// A command line as a shell cuts it, up to where its output goes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let end = words.iter().position(|word| [">", "|", "<", "&&"].contains(&word.as_str()));
    words.truncate(end.unwrap_or(words.len()));
    words
}

#[test]
fn the_help_of_every_command_ends_with_examples_of_it() {
    for (called, command) in commands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = examples(&help).unwrap_or_else(|| {
            panic!("the help of `{called}` does not end with Example: and its lines:\n{help}")
        });
        let own = examples.iter().any(|line| line.contains(&called));
        assert!(own, "no example of `{called}` calls it: {examples:?}");
    }
}

#[test]
fn every_example_is_a_command_line_that_can_be_read() {
    for (called, command) in commands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in examples(&help).unwrap_or_default().iter().filter(|line| line.starts_with("lade ")) {
            let read = CommandLine::command().try_get_matches_from(words(line));
            assert!(
                read.is_ok(),
                "{called}: {line}: {}",
                read.err().map_or(String::new(), |e| e.to_string())
            );
        }
    }
}

#[test]
fn examples_are_cut_as_a_shell_cuts_them() {
    assert_eq!(
        words("lade put a --record '{\"A\": 1}' > \"x y\""),
        ["lade", "put", "a", "--record", "{\"A\": 1}"]
    );
    let help = "More.\n\nExamples:\n  lade a \\\n      b\n  lade c\n";
    assert_eq!(examples(help).unwrap(), ["lade a        b", "lade c"]);
    assert_eq!(examples("Examples:\n  lade a\n\nAnd more."), None);
    assert_eq!(examples("nothing"), None);
}
