//! What people are told on the way: when nobody reads it any more, the work goes on all the same.

use std::fmt::Arguments;
use std::io::{Write, stderr};

/// Writes a line to standard error, as `eprintln!` does, which ends the command when the reader has gone.
macro_rules! tell {
    ($($text:tt)*) => { $crate::migrate::tell::write(format_args!("{}\n", format_args!($($text)*))) };
}
pub(super) use tell;

/// Writes text to standard error, if it can be written.
pub fn write(text: Arguments<'_>) {
    let _ = stderr().lock().write_fmt(text);
}
