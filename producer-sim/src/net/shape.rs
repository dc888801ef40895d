//! What a bad network does to the connections of a [`NetCluster`](super::NetCluster), and what
//! went over them.

/// What the network does to one connection. Bytes are counted from its beginning. The default is
/// a good network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Answers go out in pieces of so many bytes at most, each in a write of its own; 0 leaves
    /// them whole.
    pub piece: usize,
    /// The connection is reset when so many bytes of answers have gone out.
    pub reset_after_answers: Option<u64>,
    /// The connection is reset when the broker has got so many bytes of requests.
    pub reset_after_requests: Option<u64>,
    /// After so many bytes of answers nothing more goes out until
    /// [`NetCluster::release_stalls`](super::NetCluster::release_stalls).
    pub stall_after_answers: Option<u64>,
}

impl Shape {
    /// A connection that is reset after so many bytes of answers.
    pub fn reset_after_answers(bytes: u64) -> Self {
        Self { reset_after_answers: Some(bytes), ..Self::default() }
    }

    /// A connection that is reset after so many bytes of requests.
    pub fn reset_after_requests(bytes: u64) -> Self {
        Self { reset_after_requests: Some(bytes), ..Self::default() }
    }

    /// A connection that says nothing more after so many bytes of answers.
    pub fn stall_after_answers(bytes: u64) -> Self {
        Self { stall_after_answers: Some(bytes), ..Self::default() }
    }
}

/// One connection of a [`NetCluster`](super::NetCluster): the broker, and which of its connections
/// it is, counted from 0 in the order in which they were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// The broker's id.
    pub broker: i32,
    /// How many connections it had accepted before.
    pub ordinal: u64,
}

/// What went over one connection, both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What the broker got.
    pub requests: Vec<u8>,
    /// What it answered.
    pub answers: Vec<u8>,
}
