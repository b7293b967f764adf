//! How the demonstration shows itself: bars, first lines, checked files, and the ledger of every row.

use std::time::Duration;

use crate::say;

use indicatif::{ProgressBar, ProgressStyle};
use model::error::{Error, Result};
use model::manifest::{FileEntry, Ledger};

const LINES: usize = 3;

pub fn spinner(label: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    spinner.set_message(label.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(80));
    spinner
}

pub fn bar(label: &'static str, steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64).with_message(label);
    if let Ok(style) = ProgressStyle::with_template("  {msg} {wide_bar} {pos}/{len} calls") {
        bar.set_style(style);
    }
    bar
}

/// Compares a file with its entry in the manifest.
///
/// # Errors
/// `Corrupt` when it has another size, another hash or another number of records.
pub fn check_file(entry: &FileEntry, bytes: &[u8]) -> Result<()> {
    let hash = blake3::hash(bytes).to_hex();
    let rows = count_records(bytes);
    if bytes.len() as u64 == entry.bytes && *hash == *entry.blake3 && rows == entry.rows {
        return Ok(());
    }
    Err(Error::corrupt(format!("{} is not what its manifest says", entry.key)))
}

// Records end with line breaks that are not within quotes; the header is none.
fn count_records(bytes: &[u8]) -> u64 {
    let mut is_quoted = false;
    let ends = bytes.iter().filter(|&&b| {
        is_quoted ^= b == b'"';
        b == b'\n' && !is_quoted
    });
    (ends.count() as u64).saturating_sub(1)
}

pub fn first_lines(key: &str, bytes: &[u8]) {
    say!("    {key}");
    for line in String::from_utf8_lossy(bytes).lines().take(LINES) {
        say!("    │ {line}");
    }
}

pub fn ledgers(all: &[(&str, &str, Ledger)]) {
    say!("\nWhat became of every row (each manifest's ledger balances, each file matches its hash)");
    say!(
        "  {:<13}{:<5}{:>10}{:>10}{:>13}{:>12}{:>10}",
        "dataset",
        "mode",
        "bulk in",
        "put in",
        "duplicates",
        "superseded",
        "out"
    );
    for (dataset, mode, l) in all {
        say!(
            "  {dataset:<13}{mode:<5}{:>10}{:>10}{:>13}{:>12}{:>10}",
            l.read_bulk,
            l.read_put,
            l.exact_duplicates,
            l.superseded,
            l.written
        );
    }
    let (_, _, all) = all[2];
    say!(
        "\nInteractions: {} rows went in ({} in bulk, {} live), {} were removed as duplicates, {} came out.",
        all.read_bulk + all.read_put,
        all.read_bulk,
        all.read_put,
        all.exact_duplicates,
        all.written
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_quotes_ends_no_record() {
        assert_eq!(count_records(b"A,B\n1,\"x\ny\"\n2,z\n"), 2);
        assert_eq!(count_records(b"A\n"), 0);
    }
}
