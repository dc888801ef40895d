//! The core alone in a loop over the standard library's non-blocking sockets, which cannot wait for
//! several sockets at once: it looks at each every millisecond. Who minds takes `producer-mio`.
//!
//! ```sh
//! cargo run -p producer-sim --features net --example std_loop                    # an embedded broker
//! cargo run -p producer-sim --features net --example std_loop -- localhost:9092  # yours; topic "numbers"
//! ```

#[path = "shared/app.rs"]
mod app;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use std::{error, thread};

use bytes::Buf;
use producer_proto::{Action, ConnectErrorKind, ConnectionId, DisconnectReason, Input, Transmit};

/// Between two looks at the sockets.
const NAP: Duration = Duration::from_millis(1);

/// A socket and what is still to be written to it.
type Link = (TcpStream, VecDeque<Transmit>);

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut app = app::App::new()?;
    let mut links: BTreeMap<ConnectionId, Link> = BTreeMap::new();
    loop {
        app.push()?;
        // What the core has to say. Each answer may give it more.
        while app.producer.has_output() {
            while let Some(action) = app.producer.poll_action() {
                let answer = match action {
                    Action::Connect { conn, host, port, .. } => match dial(&host, port) {
                        Ok(stream) => {
                            links.insert(conn, (stream, VecDeque::new()));
                            Input::Connected { conn }
                        }
                        Err(_) => Input::ConnectFailed { conn, kind: ConnectErrorKind::Other },
                    },
                    Action::Close { conn } => {
                        links.remove(&conn);
                        Input::Disconnected { conn, reason: DisconnectReason::Requested }
                    }
                    Action::Run(job) => Input::Done(job.run()),
                    _ => continue,
                };
                app.producer.handle_input(app.now(), answer);
            }
            while let Some(transmit) = app.producer.poll_transmit(app.now()) {
                if let Some((_, queue)) = links.get_mut(&transmit.conn()) {
                    queue.push_back(transmit);
                }
            }
            if app.is_done()? {
                return Ok(());
            }
        }
        // What the sockets have to say, and if that is nothing, a nap.
        let mut is_idle = true;
        links.retain(|&conn, link| {
            let mut tell = |input: Input<'_>| {
                is_idle = false;
                app.producer.handle_input(app.now(), input);
            };
            let reason = match exchange(conn, link, &mut tell) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => DisconnectReason::Error,
                Ok(()) => DisconnectReason::Eof,
            };
            tell(Input::Disconnected { conn, reason });
            false
        });
        if is_idle {
            let due = app.producer.poll_timeout().map_or(NAP, |at| at.saturating_since(app.now()));
            thread::sleep(due.min(NAP));
        }
        app.producer.handle_input(app.now(), Input::Timeout);
    }
}

/// Opens a connection, and waits for it: the standard library has no other way.
fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Writes and reads until both would block, or the peer has closed its side.
fn exchange(
    conn: ConnectionId,
    link: &mut Link,
    mut tell: impl FnMut(Input<'_>),
) -> io::Result<()> {
    let (stream, queue) = link;
    while let Some(front) = queue.front_mut() {
        match stream.write(front.chunk()) {
            Ok(bytes) => {
                front.advance(bytes);
                tell(Input::Written { conn, bytes });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
        if !front.has_remaining() {
            queue.pop_front();
        }
    }
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => tell(Input::Received { conn, bytes: &buffer[..length] }),
        }
    }
}
