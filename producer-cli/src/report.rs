//! What became of records and commands, line by line on standard output.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::args::ReportFormat;
use crate::input::{InvalidLine, Op};

/// The fate of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered {
        topic: Arc<str>,
        partition: i32,
        offset: Option<i64>,
        timestamp: Option<i64>,
    },
    Failed {
        /// Kafka's name of the error, or a local one.
        error: String,
        message: String,
        possibly_persisted: bool,
    },
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpReport {
    pub(crate) op: Op,
    pub(crate) error: Option<String>,
    pub(crate) took: Duration,
}

/// How many records met which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    /// Lines that were not records.
    pub(crate) invalid: u64,
}

/// Writes the report. Nothing is seen before [`Reporter::flush`].
pub(crate) struct Reporter<W> {
    out: W,
    format: ReportFormat,
    counts: Counts,
}

impl<W: Write> Reporter<W> {
    pub(crate) fn new(out: W, format: ReportFormat) -> Self {
        Self { out, format, counts: Counts::default() }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn record(&mut self, record: u64, fate: &Fate) -> io::Result<()> {
        match fate {
            Fate::Delivered { .. } => self.counts.delivered += 1,
            Fate::Failed { .. } => self.counts.failed += 1,
        }
        match self.format {
            ReportFormat::Json => self.json(&record_line(record, fate)),
            ReportFormat::Text => self.record_text(record, fate),
        }
    }

    pub(crate) fn op(&mut self, report: &OpReport) -> io::Result<()> {
        let (op, ms) = (report.op.name(), millis(report.took));
        match (self.format, &report.error) {
            (ReportFormat::Json, error) => self.json(&OpLine {
                op,
                status: if error.is_some() { "failed" } else { "ok" },
                error: error.as_deref(),
                ms,
            }),
            (ReportFormat::Text, None) => writeln!(self.out, "{op}: done in {ms} ms"),
            (ReportFormat::Text, Some(error)) => {
                writeln!(self.out, "{op}: failed after {ms} ms: {error}")
            }
        }
    }

    /// A line that is not a record has no number and no fate; it only spoils the exit status.
    /// As text it is for `errors`, so that standard output holds nothing but fates.
    pub(crate) fn invalid(
        &mut self,
        invalid: &InvalidLine,
        errors: &mut dyn FnMut(&str),
    ) -> io::Result<()> {
        self.counts.invalid += 1;
        let place = match &invalid.source {
            Some(source) => format!("{source}: line {}", invalid.line),
            None => format!("line {}", invalid.line),
        };
        let message = format!("{place}: {}", invalid.message);
        match self.format {
            ReportFormat::Text => {
                errors(&message);
                Ok(())
            }
            ReportFormat::Json => self.json(&InvalidJson {
                line: invalid.line,
                status: "invalid",
                error: "INVALID_INPUT",
                message: &message,
            }),
        }
    }

    pub(crate) fn summary(&mut self, took: Duration) -> io::Result<()> {
        let Counts { delivered, failed, invalid } = self.counts;
        let records = delivered + failed;
        match self.format {
            ReportFormat::Json => {
                // In whole microseconds, so that the number stays short.
                let seconds = took.as_micros() as f64 / 1e6;
                let summary = Summary { records, delivered, failed, seconds, invalid };
                self.json(&SummaryLine { summary })
            }
            ReportFormat::Text => {
                let seconds = took.as_secs_f64();
                write!(
                    self.out,
                    "{records} records: {delivered} delivered, {failed} failed, {seconds:.3} s"
                )?;
                if invalid > 0 {
                    write!(self.out, "; {invalid} lines were not readable")?;
                }
                writeln!(self.out)
            }
        }
    }

    /// Makes everything so far visible.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn record_text(&mut self, record: u64, fate: &Fate) -> io::Result<()> {
        match fate {
            Fate::Delivered { topic, partition, offset, .. } => match offset {
                Some(offset) => {
                    writeln!(self.out, "record {record}: {topic}-{partition} offset {offset}")
                }
                None => writeln!(self.out, "record {record}: {topic}-{partition}"),
            },
            Fate::Failed { error, message, possibly_persisted } => {
                let persistence =
                    if *possibly_persisted { "possibly persisted" } else { "not persisted" };
                writeln!(self.out, "record {record}: FAILED {error} ({persistence}): {message}")
            }
        }
    }

    fn json(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Serialize)]
#[serde(untagged)]
enum RecordLine<'a> {
    Delivered {
        record: u64,
        status: &'static str,
        topic: &'a str,
        partition: i32,
        offset: Option<i64>,
        timestamp: Option<i64>,
    },
    Failed {
        record: u64,
        status: &'static str,
        error: &'a str,
        message: &'a str,
        persistence: &'static str,
    },
}

fn record_line(record: u64, fate: &Fate) -> RecordLine<'_> {
    match fate {
        Fate::Delivered { topic, partition, offset, timestamp } => RecordLine::Delivered {
            record,
            status: "delivered",
            topic,
            partition: *partition,
            offset: *offset,
            timestamp: *timestamp,
        },
        Fate::Failed { error, message, possibly_persisted } => RecordLine::Failed {
            record,
            status: "failed",
            error,
            message,
            persistence: if *possibly_persisted { "possibly_persisted" } else { "not_persisted" },
        },
    }
}

#[derive(Serialize)]
struct OpLine<'a> {
    op: &'static str,
    status: &'static str,
    error: Option<&'a str>,
    ms: u64,
}

#[derive(Serialize)]
struct InvalidJson<'a> {
    line: u64,
    status: &'static str,
    error: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct SummaryLine {
    summary: Summary,
}

#[derive(Serialize)]
struct Summary {
    records: u64,
    delivered: u64,
    failed: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "is_zero")]
    invalid: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(format: ReportFormat, fill: impl FnOnce(&mut Reporter<Vec<u8>>)) -> String {
        let mut reporter = Reporter::new(Vec::new(), format);
        fill(&mut reporter);
        String::from_utf8(reporter.out).unwrap()
    }

    fn delivered() -> Fate {
        Fate::Delivered { topic: "t".into(), partition: 2, offset: Some(7), timestamp: None }
    }

    fn failed() -> Fate {
        Fate::Failed {
            error: "MESSAGE_TOO_LARGE".to_owned(),
            message: "too \"large\"".to_owned(),
            possibly_persisted: true,
        }
    }

    #[test]
    fn json_lines_have_the_documented_shape() {
        let text = lines(ReportFormat::Json, |reporter| {
            reporter.record(0, &delivered()).unwrap();
            reporter.record(1, &failed()).unwrap();
            let took = Duration::from_micros(2_900);
            reporter.op(&OpReport { op: Op::Flush, error: None, took }).unwrap();
            let op = Op::Close { timeout_ms: 1 };
            reporter.op(&OpReport { op, error: Some("CLOSED".to_owned()), took }).unwrap();
            reporter.summary(Duration::from_millis(1_250)).unwrap();
        });
        assert_eq!(
            text,
            r#"{"record":0,"status":"delivered","topic":"t","partition":2,"offset":7,"timestamp":null}
{"record":1,"status":"failed","error":"MESSAGE_TOO_LARGE","message":"too \"large\"","persistence":"possibly_persisted"}
{"op":"flush","status":"ok","error":null,"ms":2}
{"op":"close","status":"failed","error":"CLOSED","ms":2}
{"summary":{"records":2,"delivered":1,"failed":1,"seconds":1.25}}
"#
        );
    }

    #[test]
    fn an_unreadable_line_is_no_record() {
        let invalid = InvalidLine { source: None, line: 3, message: "bad".to_owned() };
        let mut errors = Vec::new();
        let json = lines(ReportFormat::Json, |reporter| {
            reporter.invalid(&invalid, &mut |text| errors.push(text.to_owned())).unwrap();
            reporter.summary(Duration::ZERO).unwrap();
        });
        assert!(errors.is_empty());
        assert_eq!(
            json,
            r#"{"line":3,"status":"invalid","error":"INVALID_INPUT","message":"line 3: bad"}
{"summary":{"records":0,"delivered":0,"failed":0,"seconds":0.0,"invalid":1}}
"#
        );
        let text = lines(ReportFormat::Text, |reporter| {
            let invalid = InvalidLine { source: Some("f.json".to_owned()), ..invalid };
            reporter.invalid(&invalid, &mut |text| errors.push(text.to_owned())).unwrap();
        });
        assert_eq!(
            (text.as_str(), errors.as_slice()),
            ("", &["f.json: line 3: bad".to_owned()][..])
        );
    }

    #[test]
    fn text_says_where_each_record_went() {
        let text = lines(ReportFormat::Text, |reporter| {
            reporter.record(0, &delivered()).unwrap();
            reporter.record(1, &failed()).unwrap();
            reporter.summary(Duration::from_millis(1_250)).unwrap();
        });
        assert_eq!(
            text,
            "record 0: t-2 offset 7\n\
             record 1: FAILED MESSAGE_TOO_LARGE (possibly persisted): too \"large\"\n\
             2 records: 1 delivered, 1 failed, 1.250 s\n"
        );
    }
}
