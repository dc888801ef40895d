//! What the lines of the input mean.

mod json;
mod lines;
mod reader;

pub(crate) use reader::{Chunk, Source, spawn_reader};

use crate::args::InputFormat;

/// One line of input, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// One record, or several equal ones.
    Record(InputRecord),
    /// Something to do between records.
    Op(Op),
}

/// A record as the input describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InputRecord {
    /// `None`: the topic of the command line.
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
    /// Milliseconds since the Unix epoch; `None`: the time of sending.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<String>)>,
    /// How many copies, at least 1.
    pub(crate) repeat: u64,
}

/// A command in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Report when all records before it have their fate; reading goes on meanwhile.
    Flush,
    /// Stop reading for so many milliseconds.
    Sleep { ms: u64 },
    /// Close the producer; later records are refused.
    Close { timeout_ms: u64 },
}

impl Op {
    /// The name in the input and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flush => "flush",
            Self::Sleep { .. } => "sleep",
            Self::Close { .. } => "close",
        }
    }
}

/// A line that is neither record nor command, or a source that broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidLine {
    /// The source's name, as given on the command line; `None` for standard input.
    pub(crate) source: Option<String>,
    /// Counted from 1 in its source.
    pub(crate) line: u64,
    pub(crate) message: String,
}

/// Turns lines into items.
#[derive(Clone, Debug)]
pub(crate) struct Parser {
    pub(crate) format: InputFormat,
    pub(crate) key_separator: Option<String>,
    /// An empty value after the separator is null.
    pub(crate) tombstone: bool,
}

impl Parser {
    /// Reads one line without its line end. `None`: nothing in it.
    pub(crate) fn parse(&self, line: &[u8]) -> Result<Option<Item>, String> {
        match self.format {
            InputFormat::Lines => {
                let separator = self.key_separator.as_deref();
                Ok(Some(Item::Record(lines::parse(line, separator, self.tombstone))))
            }
            InputFormat::Json if line.trim_ascii().is_empty() => Ok(None),
            InputFormat::Json => json::parse(line).map(Some),
        }
    }
}
