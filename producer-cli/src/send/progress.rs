//! The bar on a terminal.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::Counts;

/// A bar on standard error, over the bytes of the input files; or nothing, when there are none or
/// nobody looks.
#[derive(Clone, Debug)]
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(super) fn new(files: &[PathBuf]) -> Self {
        if files.is_empty() || !io::stderr().is_terminal() {
            return Self(None);
        }
        let size = |file: &PathBuf| fs::metadata(file).map_or(0, |data| data.len());
        let bar = ProgressBar::with_draw_target(
            Some(files.iter().map(size).sum()),
            ProgressDrawTarget::stderr(),
        );
        let style = "{elapsed} [{wide_bar}] {bytes} of {total_bytes}, {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// So many bytes more are read.
    pub(super) fn read(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(bytes);
        }
    }

    /// So many records have their fate.
    pub(super) fn settled(&self, counts: Counts) {
        if let Some(bar) = &self.0 {
            // A text for each record would cost more than the record.
            let total = counts.delivered + counts.failed;
            if total.is_multiple_of(1024) || counts.failed > 0 {
                bar.set_message(format!(
                    "{} delivered, {} failed",
                    counts.delivered, counts.failed
                ));
            }
        }
    }

    /// Hides the bar while something else is written to the terminal.
    pub(super) fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
