//! Reads files and standard input on a thread of their own and hands on what is there, without
//! waiting for more.

use std::io::{self, Read};
use std::thread;

use tokio::sync::mpsc;

use super::{InvalidLine, Item, Parser};

/// A longer line is reported and skipped: no record of that size could be sent.
const MAX_LINE: usize = 256 << 20;

/// Chunks that may wait for the sender; each is at most what one read returned.
const CHUNKS: usize = 4;

/// Where lines come from.
pub(crate) struct Source {
    /// For messages; `None` is standard input.
    pub(crate) name: Option<String>,
    pub(crate) reader: Box<dyn Read + Send>,
}

/// The lines that one read completed.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) items: Vec<Result<Item, InvalidLine>>,
    /// Bytes read for it.
    pub(crate) bytes: u64,
}

/// Starts the reading. The thread ends with the input, or when the receiver is dropped and the
/// read that it may hang in returns.
pub(crate) fn spawn_reader(
    sources: Vec<Source>,
    parser: Parser,
) -> io::Result<mpsc::Receiver<Chunk>> {
    let (chunks, receiver) = mpsc::channel(CHUNKS);
    thread::Builder::new().name("producer-input".to_owned()).spawn(move || {
        for source in sources {
            if read_source(source, &parser, MAX_LINE, &mut |chunk| {
                chunks.blocking_send(chunk).is_ok()
            })
            .is_break()
            {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// Reads one source to its end. Breaks when `hand_on` wants no more.
fn read_source(
    mut source: Source,
    parser: &Parser,
    max_line: usize,
    hand_on: &mut dyn FnMut(Chunk) -> bool,
) -> std::ops::ControlFlow<()> {
    use std::ops::ControlFlow::{Break, Continue};
    let mut splitter = LineSplitter::new(max_line);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let mut chunk = Chunk::default();
        let mut take =
            |number: u64, line: Result<&[u8], String>| {
                let item = line.and_then(|line| parser.parse(line)).map_err(|message| {
                    InvalidLine { source: source.name.clone(), line: number, message }
                });
                chunk.items.extend(item.transpose());
            };
        let last = match source.reader.read(&mut buffer) {
            Ok(0) => {
                splitter.finish(&mut take);
                true
            }
            Ok(count) => {
                splitter.feed(&buffer[..count], &mut take);
                chunk.bytes = count as u64;
                false
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
            Err(error) => {
                take(splitter.line, Err(format!("reading stopped: {error}")));
                true
            }
        };
        if (chunk.bytes > 0 || !chunk.items.is_empty()) && !hand_on(chunk) {
            return Break(());
        }
        if last {
            return Continue(());
        }
    }
}

/// Takes a line, or what is wrong with it, and its number.
type Take<'a> = dyn FnMut(u64, Result<&[u8], String>) + 'a;

/// Cuts a stream of bytes into lines that end with `\n` or `\r\n`.
struct LineSplitter {
    /// The beginning of a line whose end has not come yet.
    pending: Vec<u8>,
    /// The line is too long, and dropped up to its end.
    skipping: bool,
    /// The number of the line that comes next.
    line: u64,
    max_line: usize,
}

impl LineSplitter {
    fn new(max_line: usize) -> Self {
        Self { pending: Vec::new(), skipping: false, line: 1, max_line }
    }

    fn feed(&mut self, mut bytes: &[u8], take: &mut Take<'_>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = (&bytes[..end], &bytes[end + 1..]);
            bytes = tail;
            self.end_line(head, take);
        }
        self.append(bytes);
    }

    fn finish(&mut self, take: &mut Take<'_>) {
        if self.skipping || !self.pending.is_empty() {
            self.end_line(&[], take);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.skipping || self.pending.len() + bytes.len() > self.max_line {
            self.skipping = true;
            self.pending = Vec::new();
        } else {
            self.pending.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, head: &[u8], take: &mut Take<'_>) {
        let number = self.line;
        self.line += 1;
        let whole = if self.pending.is_empty() && head.len() <= self.max_line {
            head
        } else {
            self.append(head);
            &self.pending
        };
        if self.skipping {
            self.skipping = false;
            let limit = self.max_line;
            take(number, Err(format!("the line is longer than {limit} bytes")));
        } else {
            take(number, Ok(whole.strip_suffix(b"\r").unwrap_or(whole)));
        }
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::InputFormat;

    fn split(pieces: &[&[u8]], max_line: usize) -> Vec<(u64, Result<Vec<u8>, String>)> {
        let mut splitter = LineSplitter::new(max_line);
        let mut lines = Vec::new();
        let mut take = |number: u64, line: Result<&[u8], String>| {
            lines.push((number, line.map(<[u8]>::to_vec)));
        };
        for piece in pieces {
            splitter.feed(piece, &mut take);
        }
        splitter.finish(&mut take);
        lines
    }

    #[test]
    fn how_the_stream_is_cut_makes_no_difference() {
        let text = b"one\n\ntwo\r\nthree";
        let whole = split(&[text], 100);
        assert_eq!(
            whole,
            [
                (1, Ok(b"one".to_vec())),
                (2, Ok(vec![])),
                (3, Ok(b"two".to_vec())),
                (4, Ok(b"three".to_vec())),
            ]
        );
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(split(&bytes, 100), whole);
        assert_eq!(split(&[b"a\n"], 100).len(), 1, "no line after the last line end");
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_rest_goes_on() {
        for pieces in [&[&b"12345\nok\n123456"[..]][..], &[&b"123"[..], b"45\nok\n123", b"456"]] {
            let lines = split(pieces, 4);
            assert_eq!(lines.len(), 3);
            assert!(lines[0].1.as_ref().is_err_and(|error| error.contains("longer than 4 bytes")));
            assert_eq!(lines[1], (2, Ok(b"ok".to_vec())));
            assert!(lines[2].1.is_err());
        }
    }

    #[test]
    fn what_was_read_is_handed_on_before_the_next_read() {
        struct Pieces(std::collections::VecDeque<io::Result<&'static [u8]>>);
        impl Read for Pieces {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let piece = self.0.pop_front().unwrap_or(Ok(b""))?;
                buffer[..piece.len()].copy_from_slice(piece);
                Ok(piece.len())
            }
        }
        let pieces = [
            Ok(&b"a\nb"[..]),
            Err(io::Error::from(io::ErrorKind::Interrupted)),
            Ok(b"c\n"),
            Err(io::Error::other("disk on fire")),
        ];
        let source = Source {
            name: Some("f".to_owned()),
            reader: Box::new(Pieces(pieces.into_iter().collect())),
        };
        let parser = Parser { format: InputFormat::Lines, key_separator: None, tombstone: false };
        let mut chunks = Vec::new();
        let flow = read_source(source, &parser, 100, &mut |chunk| {
            chunks.push(chunk.items);
            true
        });
        assert!(flow.is_continue());
        assert_eq!(chunks.len(), 3, "a chunk for each read, and the error: {chunks:?}");
        assert_eq!((chunks[0].len(), chunks[1].len()), (1, 1));
        let Err(error) = &chunks[2][0] else { panic!("{chunks:?}") };
        assert_eq!((error.source.as_deref(), error.line), (Some("f"), 3));
        assert!(error.message.contains("disk on fire"));
    }
}
