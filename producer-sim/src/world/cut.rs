//! How a stream is cut into pieces.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// How what arrives at one moment is cut before the producer sees it. By contract the cut makes
/// no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Cut {
    /// Everything at once, also several answers.
    #[default]
    Whole,
    /// Pieces of so many bytes (at least 1).
    Every(usize),
    /// So many bytes before (-) or behind (+) each answer's end, if there are such bytes.
    Edge(i8),
    /// Pieces of any size, about so many bytes on average.
    About(usize),
    /// Drawn for each connection from all the others.
    Drawn,
}

impl Cut {
    /// Cuts the frames that arrive at one moment; `draw` gives numbers below its argument.
    pub(super) fn apply(self, frames: &[Bytes], mut draw: impl FnMut(u64) -> u64) -> Vec<Bytes> {
        if self == Self::Whole && frames.len() == 1 {
            return frames.to_vec();
        }
        let mut stream = BytesMut::new();
        let mut ends = Vec::new();
        for frame in frames {
            stream.extend_from_slice(frame);
            ends.push(stream.len());
        }
        let stream = stream.freeze();
        let marks: Vec<usize> = match self {
            Self::Whole | Self::Drawn => Vec::new(),
            Self::Every(size) => {
                (1..).map(|i| i * size.max(1)).take_while(|m| *m < stream.len()).collect()
            }
            Self::Edge(shift) => {
                // Behind the last end there is nothing, but behind the first beginning there is.
                let edges = [0].into_iter().chain(ends);
                edges.filter_map(|end| end.checked_add_signed(shift.into())).collect()
            }
            Self::About(size) => {
                let mut marks = Vec::new();
                let mut at = 0;
                while at < stream.len() {
                    at += 1 + draw(2 * size.max(1) as u64) as usize;
                    marks.push(at);
                }
                marks
            }
        };
        let mut pieces = Vec::new();
        let mut start = 0;
        for mark in marks.into_iter().chain([stream.len()]) {
            if mark > start && mark <= stream.len() {
                pieces.push(stream.slice(start..mark));
                start = mark;
            }
        }
        pieces
    }

    /// What [`Cut::Drawn`] stands for on one connection.
    pub(super) fn drawn(mut draw: impl FnMut(u64) -> u64) -> Self {
        match draw(8) {
            0..3 => Self::Whole,
            3 => Self::Every(1),
            // Inside the length in front of each answer, and around the border of two answers.
            4 => Self::Edge([-1, 0, 1, 2, 3][draw(5) as usize]),
            5 => Self::Every(2 + draw(6) as usize),
            _ => Self::About(1 + draw(100) as usize),
        }
    }
}
