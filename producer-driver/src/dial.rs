//! In which order to try a host's addresses, and how long each may take.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use producer_proto::ConnectErrorKind;

/// A socket-free plan for one [`Action::Connect`](producer_proto::Action::Connect): the adapter
/// resolves the name, then tries what [`next`](Self::next) says until one address answers.
///
/// Addresses of the first one's family come first, in the resolver's order, then the others;
/// doubles are left out. Every address gets an even share of the time that is left, so that one
/// that swallows packets does not use up the time of the rest.
#[derive(Debug)]
pub struct DialPlan {
    addresses: VecDeque<SocketAddr>,
    deadline: Option<Instant>,
    failure: Option<ConnectErrorKind>,
}

/// One address to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Where to connect.
    pub address: SocketAddr,
    /// How long to wait for it; then go on with the next address.
    pub timeout: Duration,
}

impl DialPlan {
    /// A plan for these addresses, to be done within `limit` from `now`.
    pub fn new(
        addresses: impl IntoIterator<Item = SocketAddr>,
        now: Instant,
        limit: Duration,
    ) -> Self {
        let mut ordered: Vec<SocketAddr> = Vec::new();
        for address in addresses {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
        if let Some(first) = ordered.first().map(SocketAddr::is_ipv4) {
            ordered.sort_by_key(|address| address.is_ipv4() != first);
        }
        Self { addresses: ordered.into(), deadline: now.checked_add(limit), failure: None }
    }

    /// The next address to try; `None` when all have failed or the time is up, and then
    /// [`failure`](Self::failure) says why.
    pub fn next(&mut self, now: Instant) -> Option<Attempt> {
        let left =
            self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(now));
        let share = left / u32::try_from(self.addresses.len()).unwrap_or(u32::MAX).max(1);
        if share.is_zero() {
            return None;
        }
        self.addresses.pop_front().map(|address| Attempt { address, timeout: share })
    }

    /// Notes that the last address failed with this error.
    pub fn failed(&mut self, error: &io::Error) {
        self.failure = Some(connect_error_kind(error));
    }

    /// Notes that the last address gave no answer within its time.
    pub fn timed_out(&mut self) {
        self.failure = Some(ConnectErrorKind::TimedOut);
    }

    /// Why dialling failed: what the last address said; without one, that the name has no
    /// address.
    pub fn failure(&self) -> ConnectErrorKind {
        self.failure.unwrap_or(if self.addresses.is_empty() {
            ConnectErrorKind::Dns
        } else {
            ConnectErrorKind::TimedOut
        })
    }
}

/// The core's name for an error of `connect`.
pub fn connect_error_kind(error: &io::Error) -> ConnectErrorKind {
    match error.kind() {
        ErrorKind::ConnectionRefused => ConnectErrorKind::Refused,
        ErrorKind::TimedOut => ConnectErrorKind::TimedOut,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            ConnectErrorKind::Unreachable
        }
        _ => ConnectErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn con_one_family_first_then_the_other_without_doubles() {
        let now = Instant::now();
        let given = ["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::1]:1"].map(address);
        let mut plan = DialPlan::new(given, now, Duration::from_secs(9));
        let mut order = Vec::new();
        while let Some(attempt) = plan.next(now) {
            order.push(attempt.address);
        }
        assert_eq!(order, ["[::1]:1", "[::2]:1", "10.0.0.1:1"].map(address));
    }

    #[test]
    fn con_each_address_gets_an_even_share_of_the_rest() {
        let now = Instant::now();
        let given = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"].map(address);
        let mut plan = DialPlan::new(given, now, Duration::from_secs(9));
        assert_eq!(plan.next(now).unwrap().timeout, Duration::from_secs(3));
        plan.timed_out();
        // The second failed at once, so the third has all that is left.
        assert_eq!(
            plan.next(now + Duration::from_millis(3_000)).unwrap().timeout,
            Duration::from_secs(3)
        );
        plan.failed(&ErrorKind::ConnectionRefused.into());
        assert_eq!(
            plan.next(now + Duration::from_millis(3_001)).unwrap().timeout.as_millis(),
            5_999
        );
        plan.failed(&ErrorKind::NetworkUnreachable.into());
        assert_eq!(plan.next(now + Duration::from_millis(3_002)), None);
        assert_eq!(plan.failure(), ConnectErrorKind::Unreachable);
    }

    #[test]
    fn con_no_address_is_a_dns_failure_and_no_time_is_a_timeout() {
        let now = Instant::now();
        let mut none = DialPlan::new([], now, Duration::from_secs(1));
        assert_eq!(none.next(now), None);
        assert_eq!(none.failure(), ConnectErrorKind::Dns);

        let mut late = DialPlan::new([address("[::1]:1")], now, Duration::from_secs(1));
        assert_eq!(late.next(now + Duration::from_millis(1_000)), None);
        assert_eq!(late.failure(), ConnectErrorKind::TimedOut);
    }
}
