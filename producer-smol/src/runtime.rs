//! What smol's parts offer for the driver's task.

use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use producer_driver::{Helpers, ReadGate, Runtime, Work, connect_end, look_up};
use smol::{Async, Timer, unblock};

#[derive(Clone, Default)]
pub(crate) struct Smol {
    helpers: Helpers,
}

impl Runtime for Smol {
    type Stream = Socket;
    type Timer = Timer;

    fn timer(&self, at: Instant) -> Timer {
        Timer::at(at)
    }

    fn reset(timer: &mut Timer, at: Instant) {
        timer.set_at(at);
    }

    async fn look_up(&self, host: Arc<str>, port: u16) -> io::Result<Vec<SocketAddr>> {
        unblock(move || look_up(&host, port)).await
    }

    async fn finish_connect(&self, socket: TcpStream) -> io::Result<Socket> {
        let stream = Async::new_nonblocking(socket)?;
        stream.write_with(|socket| connect_end(socket)).await?;
        Ok(Socket { stream, gate: Cell::default() })
    }

    fn poll_readable(socket: &Socket, context: &mut Context<'_>) -> Poll<()> {
        socket.stream.poll_readable(context).map(|_| {
            // The reactor tells of the end as often as it is asked.
            let mut gate = socket.gate.get();
            gate.open(false);
            socket.gate.set(gate);
        })
    }

    fn poll_writable(socket: &Socket, context: &mut Context<'_>) -> Poll<()> {
        socket.stream.poll_writable(context).map(drop)
    }

    fn look(socket: &mut Socket) {
        socket.gate.get_mut().open(false);
    }

    fn run(&self, work: Work) {
        // No executor is to be held up by compression, whichever it is.
        if let Some(helper) = self.helpers.add(work) {
            unblock(|| helper.run()).detach();
        }
    }
}

/// A socket that the reactor watches, as the non-blocking stream that the driver pumps.
pub(crate) struct Socket {
    stream: Async<TcpStream>,
    gate: Cell<ReadGate>,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.gate.get_mut().read(&mut self.stream.get_ref(), buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.get_ref().write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.get_ref().write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
