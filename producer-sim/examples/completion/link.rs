//! A connection, and who owns which bytes of it.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use producer_proto::{ConnectErrorKind, ConnectionId, DisconnectReason, Input, Transmit};

use crate::kernel::{Done, Kernel};

/// One connection, and what the kernel has of it.
#[derive(Default)]
pub(crate) struct Link {
    stream: Option<Arc<TcpStream>>,
    queue: VecDeque<Bytes>,
    /// What the kernel sends from: kept until it says that it is done.
    lent: Option<Bytes>,
    is_receiving: bool,
    /// How many operations the kernel has not completed.
    operations: usize,
    ending: Option<DisconnectReason>,
}

impl Link {
    /// A connection whose first operation is to connect.
    pub(crate) fn connecting() -> Self {
        Self { operations: 1, ..Self::default() }
    }

    /// Puts bytes in line, still those that the core made.
    pub(crate) fn write(&mut self, transmit: Transmit) {
        if self.ending.is_none() {
            self.queue.extend(transmit.into_chunks());
        }
    }

    /// Wakes the operations under way, so that they complete soon.
    pub(crate) fn end(&mut self, reason: DisconnectReason) {
        self.ending.get_or_insert(reason);
        self.queue.clear();
        if let Some(stream) = &self.stream {
            drop(stream.shutdown(Shutdown::Both)); // fails if it is down already
        }
    }

    /// Takes back what the kernel had, and tells the core; whether there is a connection, which
    /// there is not when it did not come up.
    pub(crate) fn complete(
        &mut self,
        conn: ConnectionId,
        done: Done,
        tell: &mut impl FnMut(Input<'_>),
    ) -> bool {
        self.operations -= 1;
        match done {
            Done::Connect(_) if self.ending.is_some() => {} // closed before it was open
            Done::Connect(Ok(stream)) => {
                self.stream = Some(Arc::new(stream));
                tell(Input::Connected { conn });
            }
            Done::Connect(Err(_)) => {
                tell(Input::ConnectFailed { conn, kind: ConnectErrorKind::Other });
                return false;
            }
            Done::Send(sent) => {
                let mut chunk = self.lent.take().expect("what is sent was lent");
                match sent {
                    Ok(bytes) => {
                        let rest = chunk.split_off(bytes); // it may have taken a part only
                        if !rest.is_empty() && self.ending.is_none() {
                            self.queue.push_front(rest);
                        }
                        drop(chunk);
                        tell(Input::Written { conn, bytes });
                    }
                    Err(_) => self.end(DisconnectReason::Error),
                }
            }
            Done::Receive(received) => {
                self.is_receiving = false;
                match received {
                    Ok(bytes) if bytes.is_empty() => self.end(DisconnectReason::Eof),
                    Ok(bytes) => tell(Input::Received { conn, bytes: &bytes }),
                    Err(_) => self.end(DisconnectReason::Error),
                }
            }
        }
        true
    }

    /// Submits what can be submitted; why the connection has ended, once all is given back.
    pub(crate) fn submit(
        &mut self,
        conn: ConnectionId,
        kernel: &Kernel,
    ) -> Option<DisconnectReason> {
        if self.ending.is_some() {
            return self.ending.filter(|_| self.operations == 0);
        }
        let stream = self.stream.as_ref()?;
        if self.lent.is_none()
            && let Some(chunk) = self.queue.pop_front()
        {
            kernel.send(conn, stream.clone(), chunk.clone());
            self.lent = Some(chunk);
            self.operations += 1;
        }
        if !self.is_receiving {
            kernel.receive(conn, stream.clone());
            self.is_receiving = true;
            self.operations += 1;
        }
        None
    }
}
