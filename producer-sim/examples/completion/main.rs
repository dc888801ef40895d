//! The core over completion-style I/O, as io_uring has it: the kernel gets buffers and says later
//! what became of them; until then they must neither move nor go. The chunks of a `Transmit` are
//! reference-counted and never change: to keep them is all it takes.
//!
//! ```sh
//! cargo run -p producer-sim --features net --example completion                    # an embedded broker
//! cargo run -p producer-sim --features net --example completion -- localhost:9092  # yours; topic "numbers"
//! ```

#[path = "../shared/app.rs"]
mod app;
mod kernel;
mod link;

use std::collections::BTreeMap;
use std::error;
use std::time::Duration;

use kernel::Kernel;
use link::Link;
use producer_proto::{Action, ConnectionId, DisconnectReason, Input};

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut app = app::App::new()?;
    let mut links: BTreeMap<ConnectionId, Link> = BTreeMap::new();
    let (kernel, completions) = Kernel::new();
    loop {
        app.push()?;
        while app.producer.has_output() {
            while let Some(action) = app.producer.poll_action() {
                match action {
                    Action::Connect { conn, host, port, .. } => {
                        links.insert(conn, Link::connecting());
                        kernel.connect(conn, host, port);
                    }
                    Action::Close { conn } => {
                        links.entry(conn).and_modify(|link| link.end(DisconnectReason::Requested));
                    }
                    Action::Run(job) => {
                        app.producer.handle_input(app.now(), Input::Done(job.run()));
                    }
                    _ => {}
                }
            }
            while let Some(transmit) = app.producer.poll_transmit(app.now()) {
                if let Some(link) = links.get_mut(&transmit.conn()) {
                    link.write(transmit);
                }
            }
            if app.is_done()? {
                return Ok(());
            }
        }
        // A connection is gone when the kernel has given back all that it had of it.
        links.retain(|&conn, link| {
            let ended = link.submit(conn, &kernel);
            if let Some(reason) = ended {
                app.producer.handle_input(app.now(), Input::Disconnected { conn, reason });
            }
            ended.is_none()
        });
        if app.producer.has_output() {
            continue;
        }
        let due = app.producer.poll_timeout().map(|at| at.saturating_since(app.now()));
        if let Ok((conn, done)) = completions.recv_timeout(due.unwrap_or(Duration::from_secs(1)))
            && let Some(link) = links.get_mut(&conn)
        {
            let mut tell = |input: Input<'_>| app.producer.handle_input(app.now(), input);
            if !link.complete(conn, done, &mut tell) {
                links.remove(&conn);
            }
        }
        app.producer.handle_input(app.now(), Input::Timeout);
    }
}
