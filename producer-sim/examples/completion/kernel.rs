//! A stand-in for a kernel with completions, as io_uring is one: a thread per operation.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::Bytes;
use producer_proto::ConnectionId;

/// An operation that the kernel is done with, and what it gives back.
pub(crate) enum Done {
    Connect(io::Result<TcpStream>),
    Send(io::Result<usize>),
    Receive(io::Result<Vec<u8>>),
}

/// Where operations are submitted.
pub(crate) struct Kernel(Sender<(ConnectionId, Done)>);

impl Kernel {
    /// The kernel, and its queue of completions.
    pub(crate) fn new() -> (Self, Receiver<(ConnectionId, Done)>) {
        let (sender, completions) = channel();
        (Self(sender), completions)
    }

    pub(crate) fn connect(&self, conn: ConnectionId, host: Arc<str>, port: u16) {
        self.submit(conn, move || Done::Connect(TcpStream::connect((&*host, port))));
    }

    /// Sends from memory that the caller keeps: what is passed here is the mere pointer, and gone
    /// before the completion is told.
    pub(crate) fn send(&self, conn: ConnectionId, stream: Arc<TcpStream>, pointer: Bytes) {
        self.submit(conn, move || Done::Send((&*stream).write(&pointer)));
    }

    pub(crate) fn receive(&self, conn: ConnectionId, stream: Arc<TcpStream>) {
        self.submit(conn, move || {
            let mut buffer = vec![0; 16 * 1024];
            let length = (&*stream).read(&mut buffer);
            Done::Receive(length.map(|length| buffer[..length].to_vec()))
        });
    }

    fn submit(&self, conn: ConnectionId, run: impl FnOnce() -> Done + Send + 'static) {
        let completions = self.0.clone();
        // Fails when the program has ended, and nobody is left to be told.
        thread::spawn(move || drop(completions.send((conn, run()))));
    }
}
