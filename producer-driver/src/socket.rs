//! Opening TCP sockets, for adapters over the system's own. Feature `net`.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use producer_proto::Config;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// How connections are made.
#[derive(Clone, Copy, Debug)]
pub struct DialSettings {
    /// For looking up the name and trying all its addresses.
    pub limit: Duration,
    /// `SO_SNDBUF` in bytes; `None` leaves it to the system.
    pub send_buffer: Option<usize>,
    /// `SO_RCVBUF` in bytes; `None` leaves it to the system.
    pub receive_buffer: Option<usize>,
}

impl DialSettings {
    /// What these settings of a producer ask for.
    pub fn new(config: &Config) -> Self {
        // What is beyond the system's call is the system's to cut.
        let size = |bytes: usize| bytes.min(i32::MAX as usize);
        Self {
            // The core gives an attempt up after this time less a jitter of a fifth: by then the
            // last address must have had its turn.
            limit: config.socket_connection_setup_timeout.mul_f64(0.8),
            send_buffer: config.send_buffer_bytes.map(size),
            receive_buffer: config.receive_buffer_bytes.map(size),
        }
    }

    /// Opens a non-blocking socket without Nagle's delay and begins to connect it. When it is
    /// writable, [`connect_end`] says how that ended.
    ///
    /// # Errors
    /// The system has no socket to give, or refuses at once.
    pub fn begin_connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // Nagle's algorithm and delayed acknowledgements together hold a request for 40 ms.
        socket.set_tcp_nodelay(true)?;
        // Before connecting, as the receive buffer decides what window is offered.
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if is_under_way(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(socket.into())
    }
}

/// How the connect of a socket that [`DialSettings::begin_connect`] has opened ended. It takes a
/// reference to any type of stream.
///
/// # Errors
/// Why it failed; `WouldBlock` while it goes on.
pub fn connect_end<'s>(socket: impl Into<SockRef<'s>>) -> io::Result<()> {
    let socket = socket.into();
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Err(error) if error.kind() == ErrorKind::NotConnected => Err(ErrorKind::WouldBlock.into()),
        peer => peer.map(drop),
    }
}

/// Whether a non-blocking connect has only begun. Unix has an error for that which has no kind in
/// the standard library.
fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == ErrorKind::WouldBlock
}

/// Looks a name up with the system's resolver; blocks for as long as that takes. An address needs
/// no look-up and is given at once, see [`literal`].
///
/// # Errors
/// As the system says.
pub fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

/// The address that a host is without any look-up, if it is one.
pub fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn con_sockets_are_set_to_no_delay_and_to_their_buffer_sizes() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut config = Config::new("localhost:1");
        config.send_buffer_bytes = Some(10_000);
        config.receive_buffer_bytes = Some(20_000);
        let settings = DialSettings::new(&config);
        let stream = settings.begin_connect(listener.local_addr().unwrap()).unwrap();
        let _accepted = listener.accept().unwrap();
        connect_end(&stream).unwrap();
        assert!(stream.nodelay().unwrap());
        // The system may add room of its own to both.
        let socket = SockRef::from(&stream);
        assert!((10_000..=40_000).contains(&socket.send_buffer_size().unwrap()));
        assert!((20_000..=80_000).contains(&socket.recv_buffer_size().unwrap()));
    }

    #[test]
    fn con_addresses_need_no_look_up() {
        assert_eq!(literal("10.0.0.1", 9), Some("10.0.0.1:9".parse().unwrap()));
        assert_eq!(literal("::1", 9), Some("[::1]:9".parse().unwrap()));
        assert_eq!(literal("localhost", 9), None);
        assert!(!look_up("localhost", 9).unwrap().is_empty());
        assert!(look_up("no such host", 9).is_err());
    }
}
