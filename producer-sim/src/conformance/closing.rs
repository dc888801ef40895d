//! The end of a producer, whatever it is at.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::time::{Duration, Instant};

use producer_proto::{Config, Persistence};
use socket2::{Domain, Socket, Type};

use super::adapter::{Adapter, Message, Outcome, Producer};
use super::rig::{SEED, SLACK, cluster, config, millis, nowhere, values};
use super::threads::Threads;
use super::wait::{now, until, wait, within};
use crate::{ApiKey, NetCluster, Rule};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was ever asked of it.
    Fresh,
    /// Its connects are refused.
    Refused,
    /// Its connects are never answered.
    BlackHole,
    /// Its connects succeed, and then nothing comes.
    Silent,
    /// A record is on its way, and is not answered.
    MidRequest,
    /// The only broker has gone with a record.
    BrokerGone,
    /// Records wait for room.
    BufferFull,
}

const STATES: [State; 7] = [
    State::Fresh,
    State::Refused,
    State::BlackHole,
    State::Silent,
    State::MidRequest,
    State::BrokerGone,
    State::BufferFull,
];

impl State {
    fn has_a_record_under_way(self) -> bool {
        matches!(self, Self::MidRequest | Self::BrokerGone | Self::BufferFull)
    }
}

/// Records end after these at the latest, if nothing else ends them.
const MAX_BLOCK: Duration = Duration::from_millis(300);
const DELIVERY_TIMEOUT: Duration = Duration::from_millis(400);

/// A producer in some state.
struct Scene<P> {
    producer: P,
    outcomes: Vec<Pin<Box<dyn Future<Output = Outcome>>>>,
    _peer: Peer,
}

enum Peer {
    None,
    Cluster { _net: NetCluster },
    Listener { _listener: TcpListener, _clients: Vec<TcpStream> },
}

impl Peer {
    /// A port that takes connections and never says anything.
    fn silent() -> (SocketAddr, Self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        (address, Self::Listener { _listener: listener, _clients: Vec::new() })
    }

    /// A port that leaves connects without an answer: its queue is full.
    fn black_hole() -> (SocketAddr, Self) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).expect("loopback has ports");
        socket.listen(0).expect("it is bound");
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().expect("it is bound");
        let connect = |_| TcpStream::connect_timeout(&address, millis(50)).ok();
        let clients: Vec<_> = (0..8).map_while(connect).collect();
        assert!(clients.len() < 8, "the queue never fills");
        (address, Self::Listener { _listener: listener, _clients: clients })
    }
}

fn enter<A: Adapter>(adapter: &A, host: &A::Host, state: State) -> Scene<A::Producer> {
    let limited = |mut config: Config| {
        config.linger = Duration::ZERO;
        config.max_block = MAX_BLOCK;
        config.request_timeout = DELIVERY_TIMEOUT;
        config.delivery_timeout = Some(DELIVERY_TIMEOUT);
        config
    };
    let (producer, peer) = match state {
        State::Fresh | State::Refused => {
            (adapter.start(host, &limited(nowhere().1), SEED), Peer::None)
        }
        State::BlackHole | State::Silent => {
            let (address, peer) =
                if state == State::Silent { Peer::silent() } else { Peer::black_hole() };
            let config = limited(Config::new(address.to_string()));
            (adapter.start(host, &config, SEED), peer)
        }
        _ => {
            let net = cluster(1);
            let hold = Rule::on(ApiKey::Produce).nth(2).always().hold();
            net.with(|cluster| cluster.inject(hold));
            let mut config = limited(config(&net));
            if state == State::BufferFull {
                config.buffer_memory = 32 << 10;
                config.batch_size = 4 << 10;
            }
            let producer = adapter.start(host, &config, SEED);
            producer.send_sync(&Message::order(0, b"x")).expect("it is delivered");
            (producer, Peer::Cluster { _net: net })
        }
    };
    let mut scene = Scene { producer, outcomes: Vec::new(), _peer: peer };
    match state {
        State::Fresh => {}
        State::BufferFull => {
            let full = |scene: &Scene<A::Producer>| scene.producer.stats().pushes_refused_full;
            while full(&scene) == 0 {
                scene.send(&[b'x'; 1_000]);
            }
            (0..10).for_each(|_| scene.send(&[b'x'; 1_000]));
        }
        _ => (0..10).for_each(|_| scene.send(b"x")),
    }
    match &scene._peer {
        Peer::Cluster { _net: net } => until("the request", || values(net, 0).len() > 1),
        _ if state == State::Fresh => {}
        _ => until("the connect", || {
            let stats = scene.producer.stats();
            stats.connections_opened + stats.connections_failed > 0
        }),
    }
    if state == State::BrokerGone {
        scene._peer = Peer::None;
    }
    scene
}

impl<P: Producer> Scene<P> {
    fn send(&mut self, value: &[u8]) {
        let sent = self.producer.send(&Message::order(0, value));
        self.outcomes.push(Box::pin(async { sent.await?.await }));
    }
}

pub(super) fn close_keeps_its_deadline_in_every_state<A: Adapter>(adapter: &A) {
    const TIMEOUT: Duration = Duration::from_millis(60);
    for state in STATES {
        let host = adapter.host();
        let threads = Threads::now();
        let scene = enter(adapter, &host, state);
        let begin = Instant::now();
        wait(scene.producer.close(TIMEOUT));
        let took = begin.elapsed();
        assert!(took < TIMEOUT + SLACK, "{state:?}: {took:?}");
        assert!(took >= TIMEOUT || scene.outcomes.is_empty(), "{state:?}: {took:?} is too early");
        let mut may_be_in_the_log = false;
        for mut outcome in scene.outcomes {
            let outcome = now(&mut outcome).expect("a close answers all");
            let failure = outcome.expect_err("nothing of this can be delivered");
            may_be_in_the_log |= failure.persistence == Some(Persistence::PossiblyPersisted);
        }
        assert_eq!(may_be_in_the_log, state.has_a_record_under_way(), "{state:?}");
        threads.assert_new(0, &format!("closed in state {state:?}"));
    }
}

pub(super) fn a_drop_blocks_in_no_state_and_all_is_answered<A: Adapter>(adapter: &A) {
    // Far less than what the background close takes.
    const AT_ONCE: Duration = Duration::from_millis(200);
    for state in STATES {
        let host = adapter.host();
        let threads = Threads::now();
        let Scene { producer, outcomes, _peer } = enter(adapter, &host, state);
        let begin = Instant::now();
        drop(producer);
        let took = begin.elapsed();
        assert!(took < AT_ONCE, "{state:?}: {took:?}");
        let end = begin + MAX_BLOCK + DELIVERY_TIMEOUT + SLACK;
        for outcome in outcomes {
            let left = end.saturating_duration_since(Instant::now());
            let outcome = within(left, outcome).unwrap_or_else(|| panic!("{state:?}: no answer"));
            outcome.expect_err("nothing of this can be delivered");
        }
        threads.assert_new(0, &format!("dropped in state {state:?}"));
    }
}

pub(super) fn the_end_of_the_runtime_answers_all_in_every_state<A: Adapter>(adapter: &A) {
    if !adapter.ends_with_host() {
        return;
    }
    for state in STATES {
        let host = adapter.host();
        let Scene { producer, outcomes, _peer } = enter(adapter, &host, state);
        let (flush, close) = (producer.flush(), producer.close(super::wait::LONG));
        drop(host);
        let end = Instant::now() + SLACK;
        let left = || end.saturating_duration_since(Instant::now());
        within(left(), flush).unwrap_or_else(|| panic!("{state:?}: the flush has no answer"));
        within(left(), close).unwrap_or_else(|| panic!("{state:?}: the close has no answer"));
        for mut outcome in outcomes {
            let outcome = now(&mut outcome).expect("the end answers all");
            outcome.expect_err("nothing of this can be delivered");
        }
        let failure = producer.send_sync(&Message::order(0, b"x")).expect_err("it is over");
        assert_eq!(failure.persistence, None);
    }
}
