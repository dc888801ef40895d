//! The simulated brokers on loopback sockets: real TCP, real time, same scripts.
//!
//! One thread per connection reads, carries out and answers; one more thread sends what becomes
//! due later. Everything is shared under one lock, so a test can script and look at any time.

mod serve;
mod shape;

pub use shape::{Line, Shape, Traffic};

use crate::{Cluster, ClusterConfig, Instant};
use serve::Shared;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

/// A [`Cluster`] that listens on 127.0.0.1, one port per broker. Dropping it closes every
/// connection and ends every thread.
///
/// ```
/// use producer_sim::{ClusterConfig, NetCluster, TopicConfig};
/// let net = NetCluster::start(ClusterConfig::new(3))?;
/// net.with(|cluster| cluster.create_topic("orders", TopicConfig::new(6)));
/// println!("bootstrap.servers={}", net.bootstrap());
/// // ... run the application ...
/// net.with(|cluster| assert!(cluster.violations().is_empty()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct NetCluster {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

impl NetCluster {
    /// Starts the brokers of `config` on ports that the system chooses. Their hosts and ports, and
    /// the wall clock, are set to the real ones.
    pub fn start(config: ClusterConfig) -> io::Result<Self> {
        Self::start_on(config, |_| 0)
    }

    /// Starts the brokers on `base_port` and the ports behind it, in the order of the
    /// configuration. Fails with the system's error when a port is taken.
    pub fn start_at(config: ClusterConfig, base_port: u16) -> io::Result<Self> {
        Self::start_on(config, |i| base_port.saturating_add(i))
    }

    fn start_on(mut config: ClusterConfig, port: impl Fn(u16) -> u16) -> io::Result<Self> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        config.wall_clock_millis = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for (broker, i) in config.brokers.iter_mut().zip(0..) {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port(i)))?;
            let address = listener.local_addr()?;
            broker.host = address.ip().to_string();
            broker.port = address.port();
            addresses.push(address);
            listeners.push((broker.id, listener));
        }
        let shared = Arc::new(Shared::new(Cluster::new(config)));
        let mut net = Self { shared, addresses, threads: Vec::new() };
        for (broker, listener) in listeners {
            let shared = Arc::clone(&net.shared);
            net.spawn(format!("broker-{broker}"), move || {
                serve::accept(&shared, broker, &listener)
            })?;
        }
        let shared = Arc::clone(&net.shared);
        net.spawn("cluster-timer".to_owned(), move || serve::send_what_becomes_due(&shared))?;
        Ok(net)
    }

    fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name).spawn(run)?);
        Ok(())
    }

    /// The brokers' addresses, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// All addresses as a value for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.addresses.iter().map(SocketAddr::to_string).collect();
        addresses.join(",")
    }

    /// Scripts the cluster or looks at it; the brokers wait meanwhile. What becomes due by it goes
    /// out at once. A broker that is [down](Cluster::set_up) still accepts and then closes, as its
    /// port stays bound.
    pub fn with<T>(&self, action: impl FnOnce(&mut Cluster) -> T) -> T {
        self.shared.with(action)
    }

    /// Sets what the network does to connections, from the next that is accepted on: `shape` is
    /// asked once for each.
    pub fn set_shape(&self, shape: impl FnMut(Line) -> Shape + Send + 'static) {
        self.shared.set_shape(Box::new(shape));
    }

    /// Lets answers that [`Shape::stall_after_answers`] holds back go out, on all connections and
    /// for good.
    pub fn release_stalls(&self) {
        self.shared.release_stalls();
    }

    /// Whether a broker reads what clients send; true at first. A client that goes on writing finds
    /// its socket full when the system's buffers are. What one read has taken already is still
    /// carried out.
    pub fn set_reading(&self, broker: i32, reading: bool) {
        self.shared.set_reading(broker, reading);
    }

    /// Begins to keep all bytes that go over connections, see [`traffic`](Self::traffic).
    pub fn record_traffic(&self) {
        self.shared.record_traffic();
    }

    /// What went over each connection since [`record_traffic`](Self::record_traffic); empty
    /// without that.
    pub fn traffic(&self) -> BTreeMap<Line, Traffic> {
        self.shared.traffic()
    }

    /// The time now, as the cluster counts it: since the start.
    pub fn now(&self) -> Instant {
        self.shared.now()
    }
}

impl Drop for NetCluster {
    fn drop(&mut self) {
        self.shared.stop(&self.addresses);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; there is nothing to add while dropping.
            let _ = thread.join();
        }
    }
}
