//! Name resolution and dialling.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use producer_driver::proto::{Config, ConnectErrorKind};
use producer_driver::{Dial, DialPlan};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

/// How connections are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialler {
    /// For looking up the name and trying all its addresses.
    limit: Duration,
    send_buffer: Option<u32>,
    receive_buffer: Option<u32>,
}

impl Dialler {
    pub(crate) fn new(config: &Config) -> Self {
        // A size beyond what the system's call can carry is the system's to cut.
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(i32::MAX as u32);
        Self {
            // The core gives an attempt up after this time less a jitter of a fifth: by then the
            // last address must have had its turn.
            limit: config.socket_connection_setup_timeout.mul_f64(0.8),
            send_buffer: config.send_buffer_bytes.map(size),
            receive_buffer: config.receive_buffer_bytes.map(size),
        }
    }

    /// Resolves the name and tries its addresses until one answers.
    pub(crate) async fn dial(self, dial: Dial) -> Result<TcpStream, ConnectErrorKind> {
        let start = Instant::now();
        let addresses = match timeout(self.limit, lookup_host((&*dial.host, dial.port))).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => {
                tracing::debug!(host = &*dial.host, %error, "name look-up failed");
                return Err(ConnectErrorKind::Dns);
            }
            Err(_) => return Err(ConnectErrorKind::Dns),
        };
        let mut plan = DialPlan::new(addresses, start, self.limit);
        while let Some(attempt) = plan.next(Instant::now()) {
            match timeout(attempt.timeout, self.connect(attempt.address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => {
                    tracing::debug!(address = %attempt.address, %error, "connect failed");
                    plan.failed(&error);
                }
                Err(_) => plan.timed_out(),
            }
        }
        Err(plan.failure())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // Nagle's algorithm and delayed acknowledgements together hold a request for 40 ms.
        socket.set_nodelay(true)?;
        // Before connecting, as the receive buffer decides what window is offered.
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect(address).await
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use producer_driver::proto::ConnectionId;

    use super::*;

    fn dial_to(host: &str, port: u16) -> Dial {
        Dial { conn: ConnectionId(0), host: host.into(), port, broker: None }
    }

    #[tokio::test]
    async fn con_sockets_are_set_to_no_delay_and_to_their_buffer_sizes() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dialler = Dialler::new(&Config::new("localhost:1"));
        let stream = dialler.dial(dial_to("127.0.0.1", port)).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn con_every_address_of_a_name_is_tried() {
        // "localhost" is ::1 and 127.0.0.1 on most systems, and only one of them answers here.
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dialler = Dialler::new(&Config::new("localhost:1"));
        assert!(dialler.dial(dial_to("localhost", port)).await.is_ok());
    }

    #[tokio::test]
    async fn con_failures_have_their_kind() {
        let closed = {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let dialler = Dialler::new(&Config::new("localhost:1"));
        let refused = dialler.dial(dial_to("127.0.0.1", closed)).await;
        assert_eq!(refused.unwrap_err(), ConnectErrorKind::Refused);
        let unknown = dialler.dial(dial_to("no such host", 1)).await;
        assert_eq!(unknown.unwrap_err(), ConnectErrorKind::Dns);
    }
}
