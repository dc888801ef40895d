//! Name resolution that does not hold up a loop without futures. Feature `net`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Waker;
use std::thread;

use producer_proto::ConnectionId;

use crate::socket::look_up;

/// Turns names into addresses. It is called on the loop's thread and must not block it.
///
/// Hosts that are addresses do not come here.
pub trait Resolve: Send {
    /// Begin a look-up. Its result goes to `answer`, at once or later, from any thread. A late
    /// result does no harm.
    fn resolve(&self, host: Arc<str>, port: u16, answer: Answer);
}

impl<F: Fn(Arc<str>, u16, Answer) + Send> Resolve for F {
    fn resolve(&self, host: Arc<str>, port: u16, answer: Answer) {
        self(host, port, answer);
    }
}

/// What a look-up came to, and for which dial.
pub type Resolved = (ConnectionId, io::Result<Vec<SocketAddr>>);

/// Where the result of one look-up goes. Dropped unused, it counts as a failed look-up.
#[must_use = "a connection waits for this answer"]
pub struct Answer {
    conn: ConnectionId,
    to: Sender<Resolved>,
    waker: Waker,
    given: bool,
}

impl Answer {
    /// An answer for this dial. It is sent to `to`, and whoever receives there is woken.
    pub fn new(conn: ConnectionId, to: Sender<Resolved>, waker: Waker) -> Self {
        Self { conn, to, waker, given: false }
    }

    /// Gives the result: all addresses of the name in the order of preference, or why there are
    /// none.
    pub fn give(mut self, addresses: io::Result<Vec<SocketAddr>>) {
        self.send(addresses);
    }

    fn send(&mut self, addresses: io::Result<Vec<SocketAddr>>) {
        self.given = true;
        // When the loop is gone nobody needs the address any more.
        if self.to.send((self.conn, addresses)).is_ok() {
            self.waker.wake_by_ref();
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.given {
            self.send(Err(io::Error::other("the resolver gave no answer")));
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("conn", &self.conn).finish_non_exhaustive()
    }
}

/// The system's resolver, which blocks, on a thread for each look-up.
pub fn on_a_thread(host: Arc<str>, port: u16, answer: Answer) {
    let name = "producer-look-up".to_owned();
    let look_up = move || answer.give(look_up(&host, port));
    // Without a thread the answer is dropped, which tells.
    if let Err(error) = thread::Builder::new().name(name).spawn(look_up) {
        tracing::warn!(%error, "no thread for a name look-up");
    }
}
