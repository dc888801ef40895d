//! Sockets registered with mio, and which token is whose.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use producer_driver::proto::ConnectionId;
use producer_driver::{ReadGate, connect_end};

/// The tokens of one event loop. A token is free again when its socket is dropped.
#[derive(Debug)]
pub(crate) struct Sources {
    registry: Registry,
    tokens: Range<usize>,
    taken: Mutex<BTreeMap<usize, ConnectionId>>,
}

impl Sources {
    pub(crate) fn new(registry: Registry, tokens: Range<usize>) -> Arc<Self> {
        Arc::new(Self { registry, tokens, taken: Mutex::default() })
    }

    /// Registers a socket for all that may happen to it.
    pub(crate) fn add(
        self: &Arc<Self>,
        conn: ConnectionId,
        socket: std::net::TcpStream,
    ) -> io::Result<Socket> {
        let token = self.take(conn)?;
        let stream = TcpStream::from_std(socket);
        let (gate, sources) = (ReadGate::new(), self.clone());
        let mut socket = Socket { stream, token, sources, gate };
        // Both at once and for good: mio tells of changes only.
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut socket.stream, Token(token), interest)?;
        Ok(socket)
    }

    fn take(&self, conn: ConnectionId) -> io::Result<usize> {
        let mut taken = self.lock();
        // Few are taken and none for long, apart from one for each broker.
        let free = self.tokens.clone().find(|token| !taken.contains_key(token));
        let token = free.ok_or_else(|| {
            io::Error::other(format!("all tokens of the range {:?} are in use", self.tokens))
        })?;
        taken.insert(token, conn);
        Ok(token)
    }

    /// Whether the token is one of ours, and of which connection.
    pub(crate) fn find(&self, Token(token): Token) -> Option<ConnectionId> {
        self.lock().get(&token).copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, ConnectionId>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registered socket, as the non-blocking stream that the driver pumps.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    token: usize,
    sources: Arc<Sources>,
    gate: ReadGate,
}

impl Socket {
    /// It has become readable; `is_ending` when the peer or an error has ended it.
    pub(crate) fn readable(&mut self, is_ending: bool) {
        self.gate.open(is_ending);
    }

    /// How the connect ended; `WouldBlock` when it has not.
    pub(crate) fn connect_end(&self) -> io::Result<()> {
        connect_end(&self.stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Fails only for what is not registered, such as after a failed registration.
        let _ = self.sources.registry.deregister(&mut self.stream);
        self.sources.lock().remove(&self.token);
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.gate.read(&mut self.stream, buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
