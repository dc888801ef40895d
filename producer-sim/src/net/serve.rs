//! The threads behind the sockets.

use super::shape::{Line, Shape, Traffic};
use crate::{Cluster, ConnId, Instant, Output};
use socket2::SockRef;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A client that takes nothing for this long is cut off, so that it cannot hold up the others.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Least pause between two rounds of the timer thread.
const TICK: Duration = Duration::from_millis(1);
const READ_BUFFER: usize = 256 << 10;

/// One client's socket.
struct Peer {
    stream: TcpStream,
    line: Line,
    shape: Shape,
    /// Held from taking output until it is written, so that answers keep their order.
    writing: Mutex<Outgoing>,
}

#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    /// How many bytes have gone out before.
    sent: u64,
    /// The connection ends behind `bytes`.
    close: bool,
}

impl Peer {
    /// Has the socket reset by its reader, who is woken: no orderly end goes out before.
    fn reset(&self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        let _ = self.stream.shutdown(Shutdown::Read);
    }
}

struct State {
    cluster: Cluster,
    peers: BTreeMap<ConnId, Arc<Peer>>,
    readers: Vec<JoinHandle<()>>,
    /// Something was changed from outside that the timer thread has not seen.
    touched: bool,
    shape: Box<dyn FnMut(Line) -> Shape + Send>,
    stalls: bool,
    /// Brokers that do not read.
    deaf: BTreeSet<i32>,
    traffic: Option<BTreeMap<Line, Traffic>>,
}

impl State {
    /// Where the bytes of a connection are to be kept, if they are.
    fn traffic(&mut self, line: Line) -> Option<&mut Traffic> {
        self.traffic.as_mut().map(|traffic| traffic.entry(line).or_default())
    }
}

pub(super) struct Shared {
    state: Mutex<State>,
    wake_timer: Condvar,
    wake_readers: Condvar,
    stopping: AtomicBool,
    start: std::time::Instant,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            state: Mutex::new(State {
                cluster,
                peers: BTreeMap::new(),
                readers: Vec::new(),
                touched: false,
                shape: Box::new(|_| Shape::default()),
                stalls: true,
                deaf: BTreeSet::new(),
                traffic: None,
            }),
            wake_timer: Condvar::new(),
            wake_readers: Condvar::new(),
            stopping: AtomicBool::new(false),
            start: std::time::Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn with<T>(&self, action: impl FnOnce(&mut Cluster) -> T) -> T {
        let mut state = self.lock();
        let result = action(&mut state.cluster);
        state.touched = true;
        self.wake_timer.notify_one();
        result
    }

    pub(super) fn set_shape(&self, shape: Box<dyn FnMut(Line) -> Shape + Send>) {
        self.lock().shape = shape;
    }

    pub(super) fn release_stalls(&self) {
        let mut state = self.lock();
        state.stalls = false;
        state.touched = true;
        self.wake_timer.notify_one();
    }

    pub(super) fn set_reading(&self, broker: i32, reading: bool) {
        let mut state = self.lock();
        if reading {
            state.deaf.remove(&broker);
        } else {
            state.deaf.insert(broker);
        }
        self.wake_readers.notify_all();
    }

    pub(super) fn record_traffic(&self) {
        self.lock().traffic.get_or_insert_default();
    }

    pub(super) fn traffic(&self) -> BTreeMap<Line, Traffic> {
        self.lock().traffic.clone().unwrap_or_default()
    }

    /// Waits until this broker may read.
    fn wait_for_reading(&self, broker: i32) {
        let mut state = self.lock();
        while state.deaf.contains(&broker) && !self.is_stopping() {
            state = self.wake_readers.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A test that panicked inside `with` must not take the brokers' threads along.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends all threads; the reader threads have ended when it returns.
    pub(super) fn stop(&self, addresses: &[SocketAddr]) {
        self.stopping.store(true, Ordering::Release);
        let readers = {
            let mut state = self.lock();
            for peer in state.peers.values() {
                let _ = peer.stream.shutdown(Shutdown::Both);
            }
            self.wake_timer.notify_one();
            self.wake_readers.notify_all();
            std::mem::take(&mut state.readers)
        };
        for address in addresses {
            // Only to wake the thread that accepts there.
            drop(TcpStream::connect(address));
        }
        for reader in readers {
            let _ = reader.join();
        }
    }
}

/// Takes connections of one broker until the cluster stops.
pub(super) fn accept(shared: &Arc<Shared>, broker: i32, listener: &TcpListener) {
    for stream in listener.incoming() {
        if shared.is_stopping() {
            return;
        }
        let Ok(stream) = stream else {
            std::thread::sleep(TICK); // out of file descriptors, most likely
            continue;
        };
        // Without it each small answer may wait 40 ms for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let mut state = shared.lock();
        if shared.is_stopping() {
            return; // `stop` has already taken the threads that it joins
        }
        let Ok(id) = state.cluster.connect(shared.now(), broker) else { continue };
        let line = Line { broker, ordinal: state.cluster.accepted(broker) - 1 };
        let shape = (state.shape)(line);
        let peer = Arc::new(Peer { stream, line, shape, writing: Mutex::default() });
        state.peers.insert(id, Arc::clone(&peer));
        state.readers.retain(|reader| !reader.is_finished());
        let for_reader = Arc::clone(shared);
        let reader = std::thread::Builder::new()
            .name(format!("broker-{broker}-{}", id.0))
            .spawn(move || read(&for_reader, id, &peer));
        match reader {
            Ok(reader) => state.readers.push(reader),
            Err(_) => {
                state.peers.remove(&id);
                state.cluster.disconnect(shared.now(), id);
            }
        }
    }
}

/// Reads one connection until either side closes it.
fn read(shared: &Shared, id: ConnId, peer: &Peer) {
    let mut buffer = vec![0; READ_BUFFER];
    let mut rest = peer.shape.reset_after_requests;
    flush(shared, id, peer);
    loop {
        shared.wait_for_reading(peer.line.broker);
        let count = match (&peer.stream).read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let count = rest.map_or(count, |rest| count.min(usize::try_from(rest).unwrap_or(count)));
        {
            let mut state = shared.lock();
            if let Some(traffic) = state.traffic(peer.line) {
                traffic.requests.extend_from_slice(&buffer[..count]);
            }
            state.cluster.receive(shared.now(), id, &buffer[..count]);
        }
        flush(shared, id, peer);
        if let Some(rest) = &mut rest {
            *rest -= count as u64;
            if *rest == 0 {
                peer.reset();
            }
        }
    }
    let mut state = shared.lock();
    state.peers.remove(&id);
    state.cluster.disconnect(shared.now(), id);
}

/// Writes what a connection has to say now, as far as its shape lets it.
fn flush(shared: &Shared, id: ConnId, peer: &Peer) {
    let mut outgoing = peer.writing.lock().unwrap_or_else(PoisonError::into_inner);
    let Outgoing { bytes, sent, close } = &mut *outgoing;
    let count;
    {
        let mut state = shared.lock();
        while let Some(output) = state.cluster.poll_output(shared.now(), id) {
            match output {
                Output::Bytes(more) => bytes.extend_from_slice(&more),
                Output::Close => *close = true,
            }
        }
        if state.cluster.poll_timeout().is_some() {
            shared.wake_timer.notify_one();
        }
        let stall = peer.shape.stall_after_answers.filter(|_| state.stalls);
        let limit = stall.into_iter().chain(peer.shape.reset_after_answers).min();
        let rest = limit.map_or(u64::MAX, |limit| limit.saturating_sub(*sent));
        count = bytes.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        if let Some(traffic) = state.traffic(peer.line) {
            traffic.answers.extend_from_slice(&bytes[..count]);
        }
    }
    let piece = if peer.shape.piece == 0 { count.max(1) } else { peer.shape.piece };
    let is_written =
        bytes[..count].chunks(piece).all(|piece| (&peer.stream).write_all(piece).is_ok());
    bytes.drain(..count);
    *sent += count as u64;
    if peer.shape.reset_after_answers == Some(*sent) {
        peer.reset();
    } else if !is_written || (*close && bytes.is_empty()) {
        // The reader sees the end of the stream and cleans up.
        let _ = peer.stream.shutdown(Shutdown::Both);
    }
}

/// Sends delayed, released and scripted output when its time has come.
pub(super) fn send_what_becomes_due(shared: &Shared) {
    let mut state = shared.lock();
    while !shared.is_stopping() {
        let now = shared.now();
        let due = state.cluster.poll_timeout();
        if !state.touched && due.is_none_or(|at| at > now) {
            let wait = due.map_or(Duration::MAX, |at| (at - now).max(TICK));
            // Far deadlines are looked at again now and then, which costs nothing.
            let wait = wait.min(Duration::from_secs(3600));
            state = match shared.wake_timer.wait_timeout(state, wait) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
            continue;
        }
        state.touched = false;
        state.cluster.advance(now);
        let peers: Vec<_> = state.peers.iter().map(|(id, p)| (*id, Arc::clone(p))).collect();
        drop(state);
        for (id, peer) in peers {
            flush(shared, id, &peer);
        }
        std::thread::sleep(TICK);
        state = shared.lock();
    }
}
