//! What tokio offers for the driver's task.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem::take;
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use producer_driver::proto::Config;
use producer_driver::{Driver, Helpers, Runtime, Task, Work, connect_end};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::{self, RuntimeFlavor};
use tokio::task::unconstrained;
use tokio::time::{Sleep, sleep_until};

/// Starts the task. It ends when the producer is closed; when the runtime drops it, the driver
/// closes the producer at once.
pub(crate) fn spawn(runtime: &runtime::Handle, config: &Config, driver: Driver<Socket>) {
    let workers = match runtime.runtime_flavor() {
        RuntimeFlavor::CurrentThread => None,
        _ => Some((runtime.clone(), Helpers::default())),
    };
    let task = {
        let _context = runtime.enter();
        Task::new(config, driver, Tokio { workers })
    };
    // The task bounds its own turns. Under tokio's budget a busy socket would hide that a
    // deadline has passed.
    drop(runtime.spawn(unconstrained(task)));
}

#[derive(Clone)]
struct Tokio {
    /// Where jobs run; `None` for here, on a runtime with a single thread.
    workers: Option<(runtime::Handle, Helpers)>,
}

impl Runtime for Tokio {
    type Stream = Socket;
    type Timer = Pin<Box<Sleep>>;

    fn timer(&self, at: Instant) -> Self::Timer {
        Box::pin(sleep_until(at.into()))
    }

    fn reset(timer: &mut Self::Timer, at: Instant) {
        timer.as_mut().reset(at.into());
    }

    async fn look_up(&self, host: Arc<str>, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((&*host, port)).await?.collect())
    }

    async fn finish_connect(&self, socket: net::TcpStream) -> io::Result<Socket> {
        let stream = TcpStream::from_std(socket)?;
        stream.async_io(Interest::WRITABLE, || connect_end(&stream)).await?;
        Ok(Socket { stream, looks: Looks::default() })
    }

    fn poll_readable(socket: &Socket, context: &mut Context<'_>) -> Poll<()> {
        socket.stream.poll_read_ready(context).map(drop)
    }

    fn poll_writable(socket: &Socket, context: &mut Context<'_>) -> Poll<()> {
        socket.stream.poll_write_ready(context).map(drop)
    }

    fn look(socket: &mut Socket) {
        socket.looks = Looks { read: true, write: true };
    }

    fn run(&self, work: Work) {
        match &self.workers {
            None => work.run(),
            Some((workers, helpers)) => {
                if let Some(helper) = helpers.add(work) {
                    drop(workers.spawn_blocking(|| helper.run()));
                }
            }
        }
    }
}

/// A tokio socket as the non-blocking stream that the driver pumps.
pub(crate) struct Socket {
    stream: TcpStream,
    /// What is to be tried once though tokio has not heard that the socket is ready for it.
    looks: Looks,
}

#[derive(Clone, Copy, Default)]
struct Looks {
    read: bool,
    write: bool,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut drained = None;
        let result = self.stream.try_io(Interest::READABLE, || {
            let count = self.stream.try_read(buffer)?;
            if producer_driver::has_drained(count, buffer) {
                // As if a second read had found nothing: what comes next, or the end, wakes us.
                // Said for what tokio knew before the read, lest news of what came after it are
                // taken back.
                drained = Some(count);
                return Err(ErrorKind::WouldBlock.into());
            }
            Ok(count)
        });
        match (drained, result) {
            (Some(count), _) => Ok(count),
            (None, Err(error))
                if error.kind() == ErrorKind::WouldBlock && take(&mut self.looks.read) =>
            {
                (&*SockRef::from(&self.stream)).read(buffer)
            }
            (None, result) => result,
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.try_write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && take(&mut self.looks.write) => {
                (&*SockRef::from(&self.stream)).write(bytes)
            }
            result => result,
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.stream.try_write_vectored(slices) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && take(&mut self.looks.write) => {
                (&*SockRef::from(&self.stream)).write_vectored(slices)
            }
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
