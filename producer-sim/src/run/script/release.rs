//! Releases of brokers, as a producer can tell them apart.

use crate::{ApiKey, Era};
use serde::{Deserialize, Serialize};

/// A release of Apache Kafka, with the versions that its brokers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Release {
    /// 0.10: message sets in place of batches, no producer ids.
    V0_10,
    /// 0.11: the first with batches and producer ids.
    V0_11,
    /// 1.0.
    V1_0,
    /// 2.0.
    V2_0,
    /// 2.4.
    V2_4,
    /// 2.8: topics have ids.
    V2_8,
    /// 3.3.
    V3_3,
    /// 3.7: answers to Produce name new leaders.
    V3_7,
    /// 4.0.
    V4_0,
    /// 4.3: Produce names topics by id.
    V4_3,
}

impl Release {
    /// All of them, oldest first.
    pub const ALL: [Self; 10] = [
        Self::V0_10,
        Self::V0_11,
        Self::V1_0,
        Self::V2_0,
        Self::V2_4,
        Self::V2_8,
        Self::V3_3,
        Self::V3_7,
        Self::V4_0,
        Self::V4_3,
    ];

    /// Those that judge producers as today's brokers do.
    pub const MODERN: [Self; 5] = [Self::V2_8, Self::V3_3, Self::V3_7, Self::V4_0, Self::V4_3];

    /// The newest version of each API that it speaks.
    pub(crate) fn apis(self) -> Vec<(ApiKey, i16)> {
        let (produce, metadata, versions, init) = match self {
            Self::V0_10 => (2, 2, 0, None),
            Self::V0_11 => (3, 4, 1, Some(0)),
            Self::V1_0 => (5, 5, 1, Some(0)),
            Self::V2_0 => (6, 6, 2, Some(1)),
            Self::V2_4 => (8, 9, 3, Some(2)),
            Self::V2_8 => (9, 11, 3, Some(4)),
            Self::V3_3 => (9, 12, 3, Some(4)),
            Self::V3_7 => (10, 12, 3, Some(4)),
            Self::V4_0 => (12, 13, 4, Some(5)),
            Self::V4_3 => (13, 13, 4, Some(5)),
        };
        let mut apis = vec![
            (ApiKey::Produce, produce),
            (ApiKey::Metadata, metadata),
            (ApiKey::ApiVersions, versions),
        ];
        apis.extend(init.map(|newest| (ApiKey::InitProducerId, newest)));
        apis
    }

    /// By which rules it judges producers.
    pub(crate) fn era(self) -> Era {
        if self < Self::V2_8 { Era::Legacy } else { Era::Modern }
    }
}
