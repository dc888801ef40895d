use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1000;

/// What came out of a stream: frames, and how it ended.
type Outcome = (Vec<Vec<u8>>, Result<usize, FrameError>);

/// Feeds `pieces` one after another. `Ok` has the number of bytes still pending.
fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut splitter = FrameSplitter::new(LIMIT);
    let mut frames = Vec::new();
    for mut piece in pieces {
        loop {
            match splitter.next_frame(&mut piece) {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => {
                    assert!(piece.is_empty(), "all input is taken");
                    break;
                }
                Err(error) => {
                    assert_eq!(splitter.next_frame(&mut &[0; 8][..]), Err(error), "for ever");
                    return (frames, Err(error));
                }
            }
        }
    }
    (frames, Ok(splitter.pending()))
}

fn stream(contents: &[Vec<u8>], tail: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for content in contents {
        stream.extend_from_slice(&(content.len() as i32).to_be_bytes());
        stream.extend_from_slice(content);
    }
    stream.extend_from_slice(tail);
    stream
}

fn contents() -> Vec<Vec<u8>> {
    [4, 5, 4, 130, 17].iter().zip(1..).map(|(&len, byte)| vec![byte; len]).collect()
}

/// How the stream is cut changes nothing, and neither does what comes after the good frames: the
/// beginning of another frame, or a length that is refused (HOS-01, HOS-03).
#[test]
fn cuts_change_nothing() {
    let cases: [(&[u8], Result<usize, FrameError>); 8] = [
        (&[], Ok(0)),
        (&[0, 0], Ok(2)),
        (&[0, 0, 0, 9, 1, 2, 3], Ok(7)),
        (&[0xff, 0xff, 0xff, 0xff, 1], Err(FrameError::Negative(-1))),
        (&[0x80, 0, 0, 0], Err(FrameError::Negative(i32::MIN))),
        (&[0, 0, 0, 0, 1, 2], Err(FrameError::TooShort(0))),
        (&[0, 0, 0, 3, 1, 2, 3], Err(FrameError::TooShort(3))),
        (&[0, 0, 3, 0xe9, 1], Err(FrameError::TooLarge { length: 1001, limit: LIMIT })),
    ];
    for (tail, end) in cases {
        let stream = stream(&contents(), tail);
        let whole = split([&stream[..]]);
        assert_eq!(whole, (contents(), end));
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(split([head, tail]), whole, "cut at {cut}");
        }
        for size in 1..=stream.len() {
            assert_eq!(split(stream.chunks(size)), whole, "pieces of {size}");
        }
    }
}

proptest! {
    #[test]
    fn random_cuts_change_nothing(
        lengths in prop::collection::vec(4..200_usize, 0..8),
        tail in prop::collection::vec(any::<u8>(), 0..8),
        sizes in prop::collection::vec(0..90_usize, 1..40),
    ) {
        let contents: Vec<_> = lengths.iter().zip(0..).map(|(&len, byte)| vec![byte; len]).collect();
        let stream = stream(&contents, &tail);
        let mut rest = &stream[..];
        let mut pieces = Vec::new();
        for size in sizes {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(split(pieces), split([&stream[..]]));
    }
}

#[test]
fn whole_frames_are_not_copied() {
    let mut splitter = FrameSplitter::new(LIMIT);
    let stream = stream(&contents(), &[]);
    let mut input = &stream[..];
    while let Some(frame) = splitter.next_frame(&mut input).expect("good frames") {
        assert!(stream.as_ptr_range().contains(&frame.as_ptr()));
    }
    assert_eq!(splitter.partial.capacity(), 0);
}

/// A peer that announces much and sends little costs little.
#[test]
fn memory_follows_what_arrived() {
    let mut splitter = FrameSplitter::new(i32::MAX as usize);
    let mut arrived = 0;
    let mut pieces = vec![i32::MAX.to_be_bytes().to_vec()];
    pieces.extend((0..100).map(|_| vec![7; 1000]));
    for piece in pieces {
        arrived += piece.len();
        assert_eq!(splitter.next_frame(&mut &piece[..]), Ok(None));
        assert_eq!(splitter.pending(), arrived);
        assert!(splitter.partial.capacity() <= 2 * arrived);
    }
}

/// The buffer never grows beyond the frame, and that of an unusually large one is given back.
#[test]
fn memory_is_given_back() {
    let content = vec![1; 4 * KEPT_CAPACITY];
    let stream = stream(std::slice::from_ref(&content), &[]);
    let mut splitter = FrameSplitter::new(content.len());
    for mut piece in stream.chunks(1000) {
        if let Some(frame) = splitter.next_frame(&mut piece).expect("a good frame") {
            assert_eq!(frame, content);
        }
        assert!(splitter.partial.capacity() <= stream.len());
    }
    assert_eq!(splitter.next_frame(&mut &[0, 0][..]), Ok(None));
    assert!(splitter.partial.capacity() <= KEPT_CAPACITY);
    assert_eq!(splitter.pending(), 2);
}

#[test]
fn peers_that_do_not_speak_kafka_are_recognised() {
    let message = |mut bytes: &[u8]| {
        FrameSplitter::new(100 << 20).next_frame(&mut bytes).expect_err("not Kafka").to_string()
    };
    assert_eq!(
        message(b"HTTP/1.1 400 Bad Request\r\n"),
        "frame length 1213486160 is above the limit of 104857600 bytes: this looks like an HTTP \
         server"
    );
    assert!(message(&[0x15, 3, 3, 0, 2, 2, 40]).ends_with("this looks like a TLS server"));
    assert!(message(b"SSH-2.0-OpenSSH").ends_with("this looks like an SSH server"));
    assert!(message(b"220 mail.example.com").ends_with("this looks like an SMTP or FTP server"));
    assert_eq!(message(&[0xff; 4]), "frame length -1 is negative");
    assert_eq!(message(&[0; 4]), "frame length 0 is too short for a response");
    assert_eq!(describe_first_bytes(&[0, 0, 0, 16]), None);
    assert_eq!(describe_first_bytes(&[]), None);
}
