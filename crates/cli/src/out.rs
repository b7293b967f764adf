//! Standard output as a program reads it: when nobody reads on, what is left is not written and nobody is told.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write, stdout};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set when the reader of standard output has gone.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Writes a line to standard output, as `println!` does, but for a reader that has gone.
#[macro_export]
macro_rules! say {
    () => { $crate::out::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::out::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// As `say!`, without the line's end.
#[macro_export]
macro_rules! say_text {
    ($($text:tt)*) => { $crate::out::write(format_args!($($text)*)) };
}

/// Writes text to standard output. When its reader has gone, as in `lade … | head -1`, the command goes on without: what it
/// finds out is still what it exits with. When it can't be written for another reason, the command ends with 1.
pub fn write(text: Arguments<'_>) {
    if is_closed() {
        return;
    }
    let mut out = stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(cause) if cause.kind() == ErrorKind::BrokenPipe => IS_CLOSED.store(true, Ordering::Relaxed),
        Err(cause) => {
            eprintln!("lade: write to standard output: {cause}");
            exit(1);
        }
    }
}

/// Standard output for what comes in pieces, written as `write` does.
pub struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if is_closed() {
            return Ok(bytes.len());
        }
        match stdout().write(bytes) {
            Err(cause) if cause.kind() == ErrorKind::BrokenPipe => {
                IS_CLOSED.store(true, Ordering::Relaxed);
                Ok(bytes.len())
            }
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match stdout().flush() {
            Err(cause) if cause.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// Whether nobody reads any more: what only goes on to print may end.
pub fn is_closed() -> bool {
    IS_CLOSED.load(Ordering::Relaxed)
}

/// Lets what prints by `println!` end as quietly.
pub fn end_quietly_without_reader() {
    let inner = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            exit(1);
        }
        inner(panic);
    }));
}
