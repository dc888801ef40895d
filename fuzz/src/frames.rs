//! Cutting a stream into frames: however it is cut into pieces, the frames are those of a splitter
//! that sees all at once.

use arbitrary::Unstructured;
use producer_proto::internals::split_frames;

/// A limit, up to eight sizes of pieces that repeat, and the stream.
pub fn run(input: &[u8]) {
    let mut from = Unstructured::new(input);
    let limit = usize::from(from.arbitrary::<u16>().unwrap_or_default());
    let sizes: [u8; 8] = from.arbitrary().unwrap_or_default();
    let stream = from.take_rest();
    let expected = split_at_once(stream, limit);
    let (frames, error) = split_frames([stream], limit);
    assert_eq!((frames.as_slice(), error.is_some()), (expected.0.as_slice(), expected.1));
    let (cut, cut_error) = split_frames(pieces(stream, sizes), limit);
    assert_eq!((cut, cut_error), (frames, error), "pieces of {sizes:?}");
}

/// Frames of a stream, and whether it ends with a length that no response has.
fn split_at_once(mut stream: &[u8], limit: usize) -> (Vec<Vec<u8>>, bool) {
    let mut frames = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        let Some(length) = usize::try_from(length).ok().filter(|n| (4..=limit).contains(n)) else {
            return (frames, true);
        };
        let Some((frame, rest)) = rest.split_at_checked(length) else { break };
        frames.push(frame.to_vec());
        stream = rest;
    }
    (frames, false)
}

/// The stream in pieces of these sizes, over and over; a size of zero is an empty piece.
fn pieces(mut stream: &[u8], sizes: [u8; 8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let sizes = if sizes == [0; 8] { [1; 8] } else { sizes };
    for size in sizes.into_iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at(stream.len().min(size.into()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}
