//! The pump against a stream that does the awkward things a socket may do.

use bytes::Bytes;

use super::*;

/// A scripted stream: each call takes the next step.
#[derive(Default)]
struct Scripted {
    writes: VecDeque<io::Result<usize>>,
    reads: VecDeque<io::Result<&'static [u8]>>,
    taken: Vec<u8>,
    slices_seen: usize,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.slices_seen = self.slices_seen.max(slices.len());
        let limit = self.writes.pop_front().unwrap_or(Err(ErrorKind::WouldBlock.into()))?;
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let count = limit.min(all.len());
        self.taken.extend_from_slice(&all[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Scripted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reads.pop_front().unwrap_or(Err(ErrorKind::WouldBlock.into()))?;
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

fn session(chunks: &[&'static str]) -> Session<Bytes> {
    let mut session = Session::new();
    for chunk in chunks {
        session.queue(Bytes::from_static(chunk.as_bytes()));
    }
    session
}

#[test]
fn partial_writes_go_on_where_they_stopped() {
    let mut session = session(&["hello", "", " ", "world"]);
    let mut stream = Scripted { writes: [Ok(3), Ok(4)].into(), ..Scripted::default() };
    let first = session.flush(&mut stream);
    assert_eq!(first, Flushed { written: 7, end: FlushEnd::Blocked });
    assert!(session.wants_write());
    assert_eq!(stream.taken, b"hello w");

    stream.writes.push_back(Ok(100));
    assert_eq!(session.flush(&mut stream), Flushed { written: 4, end: FlushEnd::Empty });
    assert_eq!(stream.taken, b"hello world");
    assert!(!session.wants_write());
}

#[test]
fn one_write_takes_many_chunks_but_no_more_than_its_limit() {
    let mut session = session(&["ab"; 200]);
    let mut stream =
        Scripted { writes: (0..10).map(|_| Ok(usize::MAX)).collect(), ..Scripted::default() };
    assert_eq!(session.flush(&mut stream), Flushed { written: 400, end: FlushEnd::Empty });
    assert_eq!(stream.slices_seen, SLICES);
    assert_eq!(stream.writes.len(), 6, "200 chunks take four writes");
}

/// Bytes in pieces, as a request with bodies of several batches has them.
struct Pieces(VecDeque<Bytes>);

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = self.0.iter().zip(slices).map(|(piece, slice)| *slice = IoSlice::new(piece));
        filled.count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.0.front_mut() {
            let step = count.min(front.len());
            front.advance(step);
            count -= step;
            if !front.is_empty() {
                return;
            }
            self.0.pop_front();
        }
    }
}

#[test]
fn a_request_with_a_batch_of_each_partition_is_one_write() {
    let mut session = Session::new();
    session.queue(Pieces(vec![Bytes::from_static(b"ab"); 2 * 16 + 1].into()));
    let mut stream = Scripted { writes: [Ok(65), Ok(1)].into(), ..Scripted::default() };
    let flushed = session.flush(&mut stream);
    assert_eq!(flushed, Flushed { written: 66, end: FlushEnd::Empty });
    assert_eq!(stream.slices_seen, 33, "what follows is one piece");
    assert_eq!(stream.taken, b"ab".repeat(33));
}

#[test]
fn interruptions_are_repeated_and_errors_keep_the_count() {
    let mut broken = session(&["hello"]);
    let reset = io::Error::from(ErrorKind::ConnectionReset);
    let interrupted = io::Error::from(ErrorKind::Interrupted);
    let mut stream =
        Scripted { writes: [Err(interrupted), Ok(2), Err(reset)].into(), ..Scripted::default() };
    let failed = FlushEnd::Failed(DisconnectReason::Reset);
    assert_eq!(broken.flush(&mut stream), Flushed { written: 2, end: failed });

    let mut stuck = session(&["hello"]);
    let mut stream = Scripted { writes: [Ok(0)].into(), ..Scripted::default() };
    let failed = FlushEnd::Failed(DisconnectReason::Error);
    assert_eq!(stuck.flush(&mut stream), Flushed { written: 0, end: failed });
}

#[test]
fn reads_map_data_pause_end_and_errors() {
    let mut session = session(&[]);
    let mut stream = Scripted {
        reads: [
            Err(ErrorKind::Interrupted.into()),
            Ok(&b"abc"[..]),
            Err(ErrorKind::WouldBlock.into()),
            Ok(&b""[..]),
            Err(ErrorKind::BrokenPipe.into()),
            Err(ErrorKind::TimedOut.into()),
        ]
        .into(),
        ..Scripted::default()
    };
    let mut buffer = [0; 8];
    let mut fill = || session.fill(&mut stream, &mut buffer);
    assert_eq!(fill(), Filled::Data(3));
    assert_eq!(fill(), Filled::Blocked);
    assert_eq!(fill(), Filled::Ended(DisconnectReason::Eof));
    assert_eq!(fill(), Filled::Ended(DisconnectReason::Reset));
    assert_eq!(fill(), Filled::Ended(DisconnectReason::Error));
}
