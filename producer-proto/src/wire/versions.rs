//! Which version of an API to use with a broker.

use std::fmt;

use super::header::ApiKey;
use crate::config::OldBroker;

/// An inclusive range of versions, as it was announced: it may be empty or negative.
pub(crate) type VersionRange = (i16, i16);

impl ApiKey {
    /// The versions we can write and read.
    pub(crate) const fn supported(self) -> VersionRange {
        match self {
            Self::Produce => (0, 13),
            Self::Metadata => (0, 13),
            Self::ApiVersions => (0, 4),
            Self::InitProducerId => (0, 5),
        }
    }
}

/// The versions a broker announced for the APIs we speak; all others are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct BrokerVersions {
    ranges: [Option<VersionRange>; ApiKey::ALL.len()],
}

/// There is no version of an API that both sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsupported {
    pub(crate) api: ApiKey,
    /// The versions we would have accepted.
    pub(crate) ours: VersionRange,
    /// What the broker announced, if anything.
    pub(crate) theirs: Option<VersionRange>,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { api, ours, theirs } = self;
        write!(f, "no common version of {api}: we speak {} to {}, the broker ", ours.0, ours.1)?;
        match theirs {
            Some((min, max)) => write!(f, "announces {min} to {max}"),
            None => f.write_str("does not announce it"),
        }
    }
}

impl std::error::Error for Unsupported {}

impl BrokerVersions {
    /// What brokers speak that are too old to be asked.
    pub(crate) fn assumed(broker: OldBroker) -> Self {
        let produce = match broker {
            OldBroker::V0_8 => 0,
            OldBroker::V0_9 => 1,
        };
        let mut versions = Self::default();
        versions.announce(ApiKey::Produce.key(), 0, produce);
        versions.announce(ApiKey::Metadata.key(), 0, 0);
        versions
    }

    /// Takes one announced range. Of an API that is announced more than once only the versions in
    /// all its ranges count, so that the order does not matter and nothing is assumed.
    pub(crate) fn announce(&mut self, key: i16, min: i16, max: i16) {
        let Some(api) = ApiKey::from_key(key) else { return };
        let range = &mut self.ranges[api.index()];
        *range = match *range {
            Some((other_min, other_max)) => Some((min.max(other_min), max.min(other_max))),
            None => Some((min, max)),
        };
    }

    /// What the broker announced for `api`; not necessarily sensible.
    pub(crate) fn range(&self, api: ApiKey) -> Option<VersionRange> {
        self.ranges[api.index()]
    }

    /// The highest version of `api` that both sides speak.
    pub(crate) fn pick(&self, api: ApiKey) -> Result<i16, Unsupported> {
        self.pick_up_to(api, i16::MAX)
    }

    /// The highest version of `api`, but not above `cap`, that both sides speak: for features
    /// that are not to be used even if the broker has them.
    pub(crate) fn pick_up_to(&self, api: ApiKey, cap: i16) -> Result<i16, Unsupported> {
        let (our_min, our_max) = api.supported();
        self.pick_of(api, (our_min, our_max.min(cap)))
    }

    /// The highest version of `api`, but not below `floor`, that both sides speak: for features
    /// that are not to be done without.
    pub(crate) fn pick_from(&self, api: ApiKey, floor: i16) -> Result<i16, Unsupported> {
        let (our_min, our_max) = api.supported();
        self.pick_of(api, (our_min.max(floor), our_max))
    }

    fn pick_of(&self, api: ApiKey, ours: VersionRange) -> Result<i16, Unsupported> {
        let theirs = self.range(api);
        let unsupported = Unsupported { api, ours, theirs };
        let (their_min, their_max) = theirs.ok_or(unsupported)?;
        let version = ours.1.min(their_max);
        if version >= ours.0 && version >= their_min { Ok(version) } else { Err(unsupported) }
    }
}
