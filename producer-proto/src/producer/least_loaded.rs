//! Whom to ask what every broker can answer.

use crate::node::NodeIndex;
use crate::rng::Stream;
use crate::{ConnectionId, Instant};

use super::Producer;

/// Whom to ask.
pub(super) enum Source {
    /// This connection, now.
    Ready(ConnectionId),
    /// A connection is on its way up.
    Soon,
    /// Dial this node.
    Dial(NodeIndex),
    /// All are in backoff or throttled until then.
    Later(Instant),
    /// Nobody is known who could be asked.
    Nobody,
}

impl Producer {
    /// The least loaded broker, or during a bootstrap one of its addresses.
    pub(super) fn metadata_source(&self) -> Source {
        if self.metadata.is_bootstrapping {
            self.best_of(self.nodes.bootstrap())
        } else {
            self.best_of(self.nodes.listed_brokers())
        }
    }

    /// For requests that any broker answers: ready with the fewest requests in flight; else one
    /// that comes up, unless it has failed before and another may be tried; else the one whose
    /// last attempt is the longest ago.
    fn best_of(&self, nodes: impl Iterator<Item = NodeIndex> + Clone) -> Source {
        let count = nodes.clone().count();
        if count == 0 {
            return Source::Nobody;
        }
        let draw = self.rng.draw(Stream::LeastLoadedStart, 0, self.metadata.attempts);
        let start = (draw % count as u64) as usize;
        let rotated = nodes.clone().skip(start).chain(nodes.take(start));
        let mut ready: Option<(usize, ConnectionId)> = None;
        let mut dial: Option<(Option<Instant>, NodeIndex)> = None;
        let mut is_soon = false;
        let mut later = Instant::MAX;
        let mut all_failed = true;
        for index in rotated {
            let node = &self.nodes[index];
            all_failed &= node.setup_failures > 0 && !node.is_up;
            if let Some(id) = node.conn {
                let conn = self.conns.get(&id).filter(|conn| !conn.is_superseded);
                match conn {
                    Some(conn) if conn.is_ready() && node.throttled_until <= self.now => {
                        let load = conn.in_flight.len() + conn.outbox.len();
                        if ready.is_none_or(|(least, _)| load < least) {
                            ready = Some((load, id));
                        }
                    }
                    Some(conn) if conn.is_ready() => later = later.min(node.throttled_until),
                    _ if node.setup_failures == 0 => is_soon = true,
                    _ => {}
                }
            } else if node.dial_at() > self.now {
                later = later.min(node.dial_at());
            } else if dial.is_none_or(|(oldest, _)| node.last_attempt < oldest) {
                dial = Some((node.last_attempt, index));
            }
        }
        match (ready, is_soon, dial) {
            (Some((_, id)), ..) => Source::Ready(id),
            (None, true, _) => Source::Soon,
            // Every broker that is known has refused to come up: start from the beginning.
            (None, false, _)
                if all_failed && self.rebootstraps() && !self.metadata.is_bootstrapping =>
            {
                Source::Nobody
            }
            (None, false, Some((_, node))) => Source::Dial(node),
            (None, false, None) if later == Instant::MAX => Source::Soon,
            (None, false, None) => Source::Later(later),
        }
    }

    /// A connection that can take a request which any broker answers.
    pub(super) fn any_ready_connection(&self) -> Option<ConnectionId> {
        let bootstrap = self.nodes.bootstrap();
        for source in [self.best_of(self.nodes.listed_brokers()), self.best_of(bootstrap)] {
            if let Source::Ready(id) = source {
                return Some(id);
            }
        }
        None
    }
}
