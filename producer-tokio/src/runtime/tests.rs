//! Reads and writes while tokio's reactor has not been asked.

use std::net::{self, Ipv4Addr, TcpListener};

use super::*;

/// A socket and its peer.
fn connected() -> (Socket, net::TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    (Socket { stream: TcpStream::from_std(stream).unwrap(), looks: Looks::default() }, peer)
}

fn is_blocked(result: io::Result<usize>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Within one poll of a task nothing comes from the reactor.
#[tokio::test]
async fn a_look_asks_the_system_once() {
    let (mut socket, mut peer) = connected();
    let buffer = &mut [0; 8];
    peer.write_all(b"abc").unwrap();
    assert!(is_blocked(socket.read(buffer)), "tokio has not heard of it");
    assert!(is_blocked(socket.write(b"x")));
    Tokio::look(&mut socket);
    assert_eq!(socket.read(buffer).unwrap(), 3);
    assert_eq!(socket.write(b"x").unwrap(), 1);
    peer.write_all(b"de").unwrap();
    assert!(is_blocked(socket.read(buffer)), "a look is for one read");
    assert!(is_blocked(socket.write_vectored(&[IoSlice::new(b"y")])), "and for one write");
    Tokio::look(&mut socket);
    assert_eq!(socket.write_vectored(&[IoSlice::new(b"y"), IoSlice::new(b"z")]).unwrap(), 2);
    assert_eq!(socket.read(buffer).unwrap(), 2);
    let mut written = [0; 3];
    peer.read_exact(&mut written).unwrap();
    assert_eq!(&written, b"xyz");
}

#[tokio::test]
async fn what_comes_after_a_short_read_is_heard_of() {
    let (mut socket, mut peer) = connected();
    let buffer = &mut [0; 8];
    for text in ["abc", "de", "f"] {
        peer.write_all(text.as_bytes()).unwrap();
        std::future::poll_fn(|context| Tokio::poll_readable(&socket, context)).await;
        assert_eq!(socket.read(buffer).unwrap(), text.len());
        assert!(is_blocked(socket.read(buffer)));
    }
    drop(peer);
    std::future::poll_fn(|context| Tokio::poll_readable(&socket, context)).await;
    assert_eq!(socket.read(buffer).unwrap(), 0);
}
