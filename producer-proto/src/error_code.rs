//! Kafka's error codes: names, and what each means for a producer.

use std::fmt;

/// The error code of a response or of a part of one.
///
/// Codes of brokers newer than this crate are kept as they are; they behave like
/// [`UNKNOWN_SERVER_ERROR`](Self::UNKNOWN_SERVER_ERROR).
///
/// ```
/// use producer_proto::ErrorCode;
/// assert_eq!(ErrorCode(6), ErrorCode::NOT_LEADER_OR_FOLLOWER);
/// assert_eq!(ErrorCode(6).to_string(), "NOT_LEADER_OR_FOLLOWER (6)");
/// assert_eq!(ErrorCode(9999).to_string(), "UNKNOWN (9999)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ErrorCode(pub i16);

macro_rules! error_codes {
    ($($code:literal $name:ident: $description:literal,)*) => {
        impl ErrorCode {
            $(
                #[doc = $description]
                pub const $name: Self = Self($code);
            )*

            /// The code's name in Kafka, or `UNKNOWN`.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($code => stringify!($name),)*
                    _ => "UNKNOWN",
                }
            }

            /// What the code says, in a short sentence. A broker may send a text of its own with
            /// the code; that one is more precise.
            pub const fn description(self) -> &'static str {
                match self.0 {
                    $($code => $description,)*
                    _ => "An error that this version does not know.",
                }
            }

            /// Every code that has a name.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR: "The broker met an error it did not expect.",
    0 NONE: "No error.",
    1 OFFSET_OUT_OF_RANGE: "The offset is outside what the partition holds.",
    2 CORRUPT_MESSAGE: "The batch arrived damaged or in a form the broker does not take.",
    3 UNKNOWN_TOPIC_OR_PARTITION: "The broker does not host this topic or partition.",
    4 INVALID_FETCH_SIZE: "The fetch size is not valid.",
    5 LEADER_NOT_AVAILABLE: "The partition has no leader at the moment.",
    6 NOT_LEADER_OR_FOLLOWER: "The broker is not the leader (or a replica) of the partition.",
    7 REQUEST_TIMED_OUT: "The request took longer than it was allowed.",
    8 BROKER_NOT_AVAILABLE: "The broker is not available.",
    9 REPLICA_NOT_AVAILABLE: "The replica is not available on this broker.",
    10 MESSAGE_TOO_LARGE: "The batch is larger than the topic or broker allows.",
    11 STALE_CONTROLLER_EPOCH: "The controller has moved to another broker.",
    12 OFFSET_METADATA_TOO_LARGE: "The metadata of the committed offset is too large.",
    13 NETWORK_EXCEPTION: "The connection was lost before the answer came.",
    14 COORDINATOR_LOAD_IN_PROGRESS: "The coordinator is still loading its state.",
    15 COORDINATOR_NOT_AVAILABLE: "The coordinator is not available.",
    16 NOT_COORDINATOR: "The broker is not the coordinator.",
    17 INVALID_TOPIC_EXCEPTION: "The topic name is not legal, or the topic is internal.",
    18 RECORD_LIST_TOO_LARGE: "The batch is larger than a segment of the log.",
    19 NOT_ENOUGH_REPLICAS: "Fewer replicas are in sync than the topic requires; nothing was written.",
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND: "The leader wrote the batch, but too few replicas are in sync.",
    21 INVALID_REQUIRED_ACKS: "The value of acks is not valid.",
    22 ILLEGAL_GENERATION: "The generation is not that of the group.",
    23 INCONSISTENT_GROUP_PROTOCOL: "The member's protocols do not fit the group's.",
    24 INVALID_GROUP_ID: "The group id is not valid.",
    25 UNKNOWN_MEMBER_ID: "The group does not know this member.",
    26 INVALID_SESSION_TIMEOUT: "The session timeout is outside what the broker allows.",
    27 REBALANCE_IN_PROGRESS: "The group is rebalancing.",
    28 INVALID_COMMIT_OFFSET_SIZE: "The size of the committed offset's data is not valid.",
    29 TOPIC_AUTHORIZATION_FAILED: "Not authorized for the topic.",
    30 GROUP_AUTHORIZATION_FAILED: "Not authorized for the group.",
    31 CLUSTER_AUTHORIZATION_FAILED: "Not authorized for the cluster.",
    32 INVALID_TIMESTAMP: "The timestamp is outside the range the topic accepts.",
    33 UNSUPPORTED_SASL_MECHANISM: "The broker does not offer this SASL mechanism.",
    34 ILLEGAL_SASL_STATE: "The request does not fit the state of SASL authentication.",
    35 UNSUPPORTED_VERSION: "The broker does not support this version of the API.",
    36 TOPIC_ALREADY_EXISTS: "A topic of this name exists.",
    37 INVALID_PARTITIONS: "The number of partitions is not valid.",
    38 INVALID_REPLICATION_FACTOR: "The replication factor is not valid or larger than the number of brokers.",
    39 INVALID_REPLICA_ASSIGNMENT: "The assignment of replicas is not valid.",
    40 INVALID_CONFIG: "The configuration is not valid.",
    41 NOT_CONTROLLER: "The broker is not the controller.",
    42 INVALID_REQUEST: "The request contradicts itself or the protocol.",
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT: "The topic's message format does not support this.",
    44 POLICY_VIOLATION: "A policy of the cluster forbids this.",
    45 OUT_OF_ORDER_SEQUENCE_NUMBER: "The batch's sequence does not follow the last one the broker has.",
    46 DUPLICATE_SEQUENCE_NUMBER: "The broker already has a batch with this sequence.",
    47 INVALID_PRODUCER_EPOCH: "The producer's epoch is older than the one the broker knows.",
    48 INVALID_TXN_STATE: "The transaction is not in a state that allows this.",
    49 INVALID_PRODUCER_ID_MAPPING: "The producer id does not belong to this transactional id.",
    50 INVALID_TRANSACTION_TIMEOUT: "The transaction timeout is longer than the broker allows.",
    51 CONCURRENT_TRANSACTIONS: "The previous transaction of this producer is still being completed.",
    52 TRANSACTION_COORDINATOR_FENCED: "The transaction coordinator has been replaced by a newer one.",
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "Not authorized for the transactional id.",
    54 SECURITY_DISABLED: "Security features are turned off.",
    55 OPERATION_NOT_ATTEMPTED: "Not tried, because another part of the request failed.",
    56 KAFKA_STORAGE_ERROR: "The broker could not use its disk.",
    57 LOG_DIR_NOT_FOUND: "The log directory is not one of the broker's.",
    58 SASL_AUTHENTICATION_FAILED: "The credentials were refused.",
    59 UNKNOWN_PRODUCER_ID: "The broker has no record of this producer id any more.",
    60 REASSIGNMENT_IN_PROGRESS: "The partition is being reassigned.",
    61 DELEGATION_TOKEN_AUTH_DISABLED: "Delegation tokens are turned off.",
    62 DELEGATION_TOKEN_NOT_FOUND: "No such delegation token.",
    63 DELEGATION_TOKEN_OWNER_MISMATCH: "The delegation token belongs to somebody else.",
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: "Delegation tokens may not be used over this connection.",
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED: "Not authorized for the delegation token.",
    66 DELEGATION_TOKEN_EXPIRED: "The delegation token has expired.",
    67 INVALID_PRINCIPAL_TYPE: "The type of the principal is not supported.",
    68 NON_EMPTY_GROUP: "The group still has members.",
    69 GROUP_ID_NOT_FOUND: "No such group.",
    70 FETCH_SESSION_ID_NOT_FOUND: "No such fetch session.",
    71 INVALID_FETCH_SESSION_EPOCH: "The epoch of the fetch session is not valid.",
    72 LISTENER_NOT_FOUND: "The leader has no listener of the kind the request came by.",
    73 TOPIC_DELETION_DISABLED: "Topics may not be deleted.",
    74 FENCED_LEADER_EPOCH: "The leader epoch is older than the broker's.",
    75 UNKNOWN_LEADER_EPOCH: "The leader epoch is newer than the broker's.",
    76 UNSUPPORTED_COMPRESSION_TYPE: "The broker does not support this codec here.",
    77 STALE_BROKER_EPOCH: "The epoch of the broker is out of date.",
    78 OFFSET_NOT_AVAILABLE: "The leader's high watermark is not known yet after its election.",
    79 MEMBER_ID_REQUIRED: "The member must have an id before it joins.",
    80 PREFERRED_LEADER_NOT_AVAILABLE: "The preferred leader is not available.",
    81 GROUP_MAX_SIZE_REACHED: "The group is full.",
    82 FENCED_INSTANCE_ID: "Another member with this instance id has taken over.",
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE: "No replica that may lead is available.",
    84 ELECTION_NOT_NEEDED: "The partition has the leader that was asked for.",
    85 NO_REASSIGNMENT_IN_PROGRESS: "The partition is not being reassigned.",
    86 GROUP_SUBSCRIBED_TO_TOPIC: "The group is subscribed to the topic.",
    87 INVALID_RECORD: "The broker refused records of the batch.",
    88 UNSTABLE_OFFSET_COMMIT: "There are offsets whose transaction is still open.",
    89 THROTTLING_QUOTA_EXCEEDED: "The quota is used up.",
    90 PRODUCER_FENCED: "A newer producer with the same transactional id has taken over.",
    91 RESOURCE_NOT_FOUND: "No such resource.",
    92 DUPLICATE_RESOURCE: "The resource is named twice.",
    93 UNACCEPTABLE_CREDENTIAL: "The new credential is not acceptable.",
    94 INCONSISTENT_VOTER_SET: "The voters are not the same on both sides.",
    95 INVALID_UPDATE_VERSION: "The version to update from is not valid.",
    96 FEATURE_UPDATE_FAILED: "A feature could not be updated.",
    97 PRINCIPAL_DESERIALIZATION_FAILURE: "The forwarded principal could not be read.",
    98 SNAPSHOT_NOT_FOUND: "No such snapshot.",
    99 POSITION_OUT_OF_RANGE: "The position is outside the snapshot.",
    100 UNKNOWN_TOPIC_ID: "The broker does not host a topic of this id.",
    101 DUPLICATE_BROKER_REGISTRATION: "The broker id is in use.",
    102 BROKER_ID_NOT_REGISTERED: "The broker id is not registered.",
    103 INCONSISTENT_TOPIC_ID: "The topic id is not that of the log.",
    104 INCONSISTENT_CLUSTER_ID: "The cluster id is not the broker's.",
    105 TRANSACTIONAL_ID_NOT_FOUND: "No such transactional id.",
    106 FETCH_SESSION_TOPIC_ID_ERROR: "The fetch session met topic ids that contradict each other.",
    107 INELIGIBLE_REPLICA: "The replica may not become part of those in sync.",
    108 NEW_LEADER_ELECTED: "The change of replicas in sync led to a new leader.",
    109 OFFSET_MOVED_TO_TIERED_STORAGE: "The offset has moved to remote storage.",
    110 FENCED_MEMBER_EPOCH: "The member's epoch is behind the group's.",
    111 UNRELEASED_INSTANCE_ID: "Another member still holds this instance id.",
    112 UNSUPPORTED_ASSIGNOR: "The group does not support this assignor.",
    113 STALE_MEMBER_EPOCH: "The member's epoch is out of date.",
    114 MISMATCHED_ENDPOINT_TYPE: "The request went to an endpoint of the wrong kind.",
    115 UNSUPPORTED_ENDPOINT_TYPE: "The kind of endpoint is not supported.",
    116 UNKNOWN_CONTROLLER_ID: "No such controller.",
    117 UNKNOWN_SUBSCRIPTION_ID: "The telemetry subscription has changed.",
    118 TELEMETRY_TOO_LARGE: "The telemetry is larger than the broker allows.",
    119 INVALID_REGISTRATION: "The broker's registration is not valid.",
    120 TRANSACTION_ABORTABLE: "The transaction met an error and must be aborted.",
    121 INVALID_RECORD_STATE: "The state of the shared record does not allow this.",
    122 SHARE_SESSION_NOT_FOUND: "No such share session.",
    123 INVALID_SHARE_SESSION_EPOCH: "The epoch of the share session is not valid.",
    124 FENCED_STATE_EPOCH: "The state epoch is older than the coordinator's.",
    125 INVALID_VOTER_KEY: "The voter's id and directory do not belong together.",
    126 DUPLICATE_VOTER: "The voter is already in the set.",
    127 VOTER_NOT_FOUND: "No such voter.",
    128 INVALID_REGULAR_EXPRESSION: "The regular expression is not valid.",
    129 REBOOTSTRAP_REQUIRED: "The client must start again from its bootstrap servers.",
    130 STREAMS_INVALID_TOPOLOGY: "The streams topology is not valid.",
    131 STREAMS_INVALID_TOPOLOGY_EPOCH: "The epoch of the streams topology is not valid.",
    132 STREAMS_TOPOLOGY_FENCED: "The streams topology is older than the group's.",
    133 SHARE_SESSION_LIMIT_REACHED: "The broker has no room for another share session.",
}

impl ErrorCode {
    /// Whether there is no error.
    pub const fn is_none(self) -> bool {
        self.0 == Self::NONE.0
    }

    /// Whether the same request may succeed when it is sent again.
    pub const fn is_retriable(self) -> bool {
        self.needs_metadata_refresh()
            || matches!(
                self,
                Self::CORRUPT_MESSAGE
                    | Self::REQUEST_TIMED_OUT
                    | Self::COORDINATOR_LOAD_IN_PROGRESS
                    | Self::COORDINATOR_NOT_AVAILABLE
                    | Self::NOT_COORDINATOR
                    | Self::NOT_ENOUGH_REPLICAS
                    | Self::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                    | Self::NOT_CONTROLLER
                    | Self::CONCURRENT_TRANSACTIONS
                    | Self::FETCH_SESSION_ID_NOT_FOUND
                    | Self::INVALID_FETCH_SESSION_EPOCH
                    | Self::UNKNOWN_LEADER_EPOCH
                    | Self::OFFSET_NOT_AVAILABLE
                    | Self::UNSTABLE_OFFSET_COMMIT
                    | Self::THROTTLING_QUOTA_EXCEEDED
                    | Self::FETCH_SESSION_TOPIC_ID_ERROR
                    | Self::SHARE_SESSION_NOT_FOUND
                    | Self::INVALID_SHARE_SESSION_EPOCH
                    | Self::SHARE_SESSION_LIMIT_REACHED
            )
    }

    /// Whether the code says that the client's metadata is out of date, so that a retry makes
    /// sense only after a refresh. All such codes are retriable.
    pub const fn needs_metadata_refresh(self) -> bool {
        matches!(
            self,
            Self::UNKNOWN_TOPIC_OR_PARTITION
                | Self::LEADER_NOT_AVAILABLE
                | Self::NOT_LEADER_OR_FOLLOWER
                | Self::REPLICA_NOT_AVAILABLE
                | Self::NETWORK_EXCEPTION
                | Self::KAFKA_STORAGE_ERROR
                | Self::LISTENER_NOT_FOUND
                | Self::FENCED_LEADER_EPOCH
                | Self::PREFERRED_LEADER_NOT_AVAILABLE
                | Self::ELIGIBLE_LEADERS_NOT_AVAILABLE
                | Self::ELECTION_NOT_NEEDED
                | Self::UNKNOWN_TOPIC_ID
                | Self::INCONSISTENT_TOPIC_ID
        )
    }

    /// Whether the code of a topic in a Metadata answer is a decision of the cluster against the
    /// topic. Everything else may be different in the next answer, or from the next broker.
    pub(crate) const fn refuses_topic(self) -> bool {
        matches!(self, Self::INVALID_TOPIC_EXCEPTION | Self::TOPIC_AUTHORIZATION_FAILED)
    }

    /// Whether a Produce answer with this code proves that *this attempt* was not appended.
    ///
    /// A list of what the broker checks before it appends; everything else proves nothing. That
    /// includes three codes one might expect here: with acks = all the leader appends first and
    /// then waits for its replicas, and when it loses the partition while it waits, the answer is
    /// `NOT_LEADER_OR_FOLLOWER`, `UNKNOWN_TOPIC_OR_PARTITION` or `KAFKA_STORAGE_ERROR`, although
    /// the new leader may well have the batch.
    pub(crate) const fn refuses_append(self) -> bool {
        matches!(
            self,
            Self::CORRUPT_MESSAGE
                | Self::MESSAGE_TOO_LARGE
                | Self::INVALID_TOPIC_EXCEPTION
                | Self::RECORD_LIST_TOO_LARGE
                | Self::NOT_ENOUGH_REPLICAS
                | Self::INVALID_REQUIRED_ACKS
                | Self::TOPIC_AUTHORIZATION_FAILED
                | Self::CLUSTER_AUTHORIZATION_FAILED
                | Self::INVALID_TIMESTAMP
                | Self::UNSUPPORTED_VERSION
                | Self::INVALID_REQUEST
                | Self::UNSUPPORTED_FOR_MESSAGE_FORMAT
                | Self::POLICY_VIOLATION
                | Self::OUT_OF_ORDER_SEQUENCE_NUMBER
                | Self::INVALID_PRODUCER_EPOCH
                | Self::INVALID_TXN_STATE
                | Self::INVALID_PRODUCER_ID_MAPPING
                | Self::CONCURRENT_TRANSACTIONS
                | Self::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                | Self::UNKNOWN_PRODUCER_ID
                | Self::FENCED_LEADER_EPOCH
                | Self::UNKNOWN_LEADER_EPOCH
                | Self::UNSUPPORTED_COMPRESSION_TYPE
                | Self::INVALID_RECORD
                | Self::THROTTLING_QUOTA_EXCEEDED
                | Self::PRODUCER_FENCED
                | Self::UNKNOWN_TOPIC_ID
                | Self::INCONSISTENT_TOPIC_ID
                | Self::TRANSACTION_ABORTABLE
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
