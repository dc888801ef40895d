//! Lines for a person on the standard output.

use std::fmt::Display;
use std::io::{self, Write};

/// Prints a line. Nobody reading any more, as behind `| head`, is no error: the exit status tells
/// what the lines would have.
pub(crate) fn say(line: impl Display) {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("producer: the standard output: {error}");
        }
        _ => {}
    }
}
