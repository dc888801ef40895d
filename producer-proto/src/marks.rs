//! Coverage marks: one at each branch of the core that exists because something can go wrong.
//!
//! Random runs show by their hits which of these branches they have been through. Each mark names
//! the one hand-written test that explains it. Without feature `marks` a hit is no code at all.

macro_rules! marks {
    ($($(#[doc = $doc:literal])+ $mark:ident = $name:literal, $test:literal;)+) => {
        /// A branch of the core that exists because something can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Mark {
            $($(#[doc = $doc])+ $mark,)+
        }

        #[cfg(feature = "marks")]
        impl Mark {
            /// All marks, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$mark),+];

            /// A short name for tables, such as `expired in flight`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$mark => $name,)+ }
            }

            /// The test that explains the branch, as `file::function`; the file is relative to
            /// `producer-sim/tests`.
            pub fn explained_by(self) -> &'static str {
                match self { $(Self::$mark => $test,)+ }
            }
        }
    };
}

marks! {
    // ---- expiry

    /// A batch reached its delivery timeout before it was ever handed out.
    ExpiredInQueue = "expired in queue", "delivery/ret.rs::ret_04_delivery_timeout_never_sent";
    /// A batch reached its delivery timeout while it waited to be handed out again.
    ExpiredInBackoff = "expired in back-off", "delivery/contract.rs::contract_04_a_timeout_is_used_up";
    /// A batch reached its delivery timeout in flight.
    ExpiredInFlight = "expired in flight", "delivery/ret.rs::ret_05_delivery_timeout_while_in_flight";
    /// A batch reached its delivery timeout while a job had it.
    ExpiredAtJob = "expired at a job", "delivery/branches.rs::a_batch_expires_while_a_job_has_it";
    /// A batch that had expired in flight was acknowledged.
    LateSuccess = "late success of an expired batch", "delivery/ret.rs::ret_05_delivery_timeout_while_in_flight";
    /// A batch that had expired in flight was refused.
    LateRefusal = "late refusal of an expired batch", "delivery/branches.rs::a_refusal_after_the_expiry_changes_nothing";
    /// A batch that had expired in flight got no answer.
    LostAfterExpiry = "no answer to an expired batch", "delivery/ord.rs::ord_04_expiry_with_one_in_flight";

    // ---- retries

    /// A batch is to be tried again that is not the oldest of its partition.
    RetriedBehindOlder = "retried behind an older one", "delivery/idp.rs::idp_16_possibly_written_n_of_5";
    /// A newer leader is known: a batch is tried again without backoff.
    RetriedAtNewLeader = "retried at a newer leader at once", "delivery/contract.rs::contract_11_nothing_goes_to_a_broker_that_is_known_not_to_lead";
    /// A batch had its share of attempts.
    RetriesExhausted = "retries exhausted", "delivery/ret.rs::ret_09_attempt_count";
    /// An attempt ended without an answer: whether it took effect is open.
    AnswerLost = "answer lost", "environment/con_loss.rs::con_12_disconnect_fails_all_in_flight_in_order";
    /// An answer was an error that does not prove that nothing was appended.
    ErrorInDoubt = "error that proves nothing", "delivery/ord.rs::ord_06_a_success_waits_for_an_older_one_in_doubt";
    /// A broker answered that the batch was there already.
    Duplicate = "duplicate, without offset", "delivery/idp.rs::idp_07_duplicate_sequence_means_success";
    /// A broker named the records that it refuses.
    RecordsNamed = "refused records named", "delivery/ret.rs::ret_10_per_record_errors";

    // ---- splits

    /// A batch was too large for its broker and is cut up.
    Split = "split", "delivery/spl.rs::spl_01_split_and_deliver";
    /// A batch was too large, but may be in the log already: it is not cut up.
    SplitInDoubt = "split refused: in doubt", "delivery/contract.rs::contract_08_what_may_be_in_the_log_is_not_cut_up";
    /// A batch of one record was too large.
    SplitOfOne = "split refused: one record", "delivery/spl.rs::spl_03_one_record_too_large";

    // ---- stamps

    /// A batch was handed out again under the id and epoch it had, which is not the current one.
    OldStampRetried = "retried under an old epoch", "delivery/branches.rs::a_retry_keeps_its_stamp_when_the_epoch_has_moved_on";
    /// A sequence was refused that no older batch can explain: there is a gap.
    GapFound = "gap found", "delivery/idp.rs::idp_08_true_gap_bump";
    /// A sequence was refused while an older batch had no outcome.
    OutOfOrderBehindOlder = "out of order behind an older one", "delivery/idp.rs::idp_08_nothing_is_stamped_anew_while_an_answer_is_out";
    /// A broker had no memory of this producer.
    UnknownProducer = "unknown producer id", "delivery/idp.rs::idp_11_unknown_producer_id";
    /// A batch behind a gap is asked about, alone and under its old stamp.
    GapProbed = "gap probed", "delivery/idp_late.rs::idp_14_late_requests_behind_an_expired_one_double_nothing";
    /// All stamps behind a gap were given up.
    GapResolved = "gap resolved", "delivery/idp.rs::idp_08_true_gap_bump";
    /// The epoch was moved on.
    EpochBumped = "epoch bumped", "delivery/idp.rs::idp_09_idle_partitions_restart_lazily";
    /// The epochs of a producer id were used up: another id is asked for.
    EpochExhausted = "epochs exhausted", "delivery/idp.rs::idp_25_in_flight_batch_finishes_after_the_producer_id_changed";
    /// The newest stamp was given up, known not to be in the log: its sequence is used again.
    SequenceFreed = "sequence freed", "delivery/branches.rs::a_refusal_after_the_expiry_changes_nothing";
    /// The newest stamp was given up, and it or one given after it is in doubt: the next one begins
    /// a new epoch.
    SequenceInDoubt = "sequence in doubt", "delivery/idp_late.rs::idp_26_same_base_sequence_twice_after_reset";
    /// A stamp was given up that is known not to be in the log, and others stand behind it.
    SequenceMissing = "sequence missing", "delivery/idp.rs::idp_19_first_batch_refused_for_good";
    /// A stamp was given up unanswered with others behind it: a late request may close the hole.
    HoleOpen = "open hole", "delivery/idp_late.rs::idp_14_late_requests_behind_an_expired_one_double_nothing";
    /// A broker refused the epoch.
    EpochRefused = "epoch refused", "delivery/branches.rs::a_refused_epoch_is_followed_by_the_next";
    /// A success waits to be told until an older batch has its outcome.
    SuccessWaits = "success waits for an older one", "delivery/ord.rs::ord_06_a_success_waits_for_an_older_one_in_doubt";
    /// A success that waited was told.
    WaitingSuccessTold = "waiting success told", "delivery/ord.rs::ord_06_a_success_that_waits_survives_the_expiry_of_the_older_one";

    // ---- producer id

    /// A request for a producer id failed and is repeated after a backoff.
    ProducerIdLater = "producer id later", "delivery/idp.rs::idp_21_init_producer_id_retries_with_backoff";
    /// No producer id is to be had for now: what waits for one fails.
    ProducerIdRefused = "producer id refused", "delivery/idp.rs::idp_20_authorization";
    /// The whole producer became useless.
    Fatal = "fatal error", "delivery/idp.rs::idp_20_authorization_on_produce_is_fatal";

    // ---- leaders and metadata

    /// An answer named the new leader and it was believed.
    HintUsed = "leader hint used", "delivery/contract.rs::contract_11_nothing_goes_to_a_broker_that_is_known_not_to_lead";
    /// An answer named a leader that is older news than what is known.
    HintStale = "stale leader hint dropped", "environment/hos_values.rs::hos_15_bogus_leaders";
    /// An answer named a leader whose address nobody has told.
    HintUnusable = "leader hint without address", "environment/hos_values.rs::hos_15_bogus_leaders";
    /// A broker said that it does not lead, and not who does.
    LeaderUnknown = "leader unknown after a refusal", "delivery/contract.rs::contract_11_nothing_goes_to_a_broker_that_is_known_not_to_lead";
    /// Metadata named an older leader epoch than what is known.
    EpochStale = "stale leader epoch dropped", "environment/met_view.rs::met_22_odd_partition_lists";
    /// A topic was deleted and made anew.
    TopicRecreated = "topic id changed", "environment/met_view.rs::met_21_topic_recreated_with_batches_in_flight";
    /// A stamped sequence ended with its topic.
    SequenceEnded = "sequence ended with its topic", "environment/met_view.rs::met_21_topic_recreated_with_batches_in_flight";
    /// An answer left out a partition that is known.
    PartitionMissing = "partition missing", "environment/met_view.rs::met_12_partition_gone_for_good";
    /// A known topic was denied for now: its partitions stay, without leaders.
    TopicDenied = "topic denied for now", "delivery/pain.rs::pain_03_a_topic_that_vanishes_for_a_while_keeps_its_sequences";
    /// A topic was refused for good.
    TopicRefused = "topic refused", "environment/met_requests.rs::met_15_topic_level_fatal_errors";
    /// A refused topic has batches without an outcome, so it stays asked for.
    RefusedInUse = "refused topic in use", "environment/met_requests.rs::a_refused_topic_is_asked_for_as_long_as_it_has_batches";
    /// A request for metadata was lost, or its answer of no use.
    MetadataLost = "metadata lost", "environment/met_requests.rs::met_04_failed_update_backs_off";
    /// An answer left out topics that were asked for.
    TopicMissing = "topic missing", "delivery/branches.rs::a_topic_that_an_answer_leaves_out_is_asked_for_again";
    /// All known brokers were forgotten for the bootstrap list.
    Rebootstrapped = "rebootstrapped", "environment/met_who.rs::met_20_rebootstrap";
    /// A broker has another address.
    BrokerMoved = "broker moved", "environment/met_view.rs::met_23_broker_address_moves";
    /// A broker is not part of the cluster any more.
    BrokerGone = "broker gone", "environment/con_life.rs::con_17_broker_removed";
    /// A topic that nobody used was forgotten.
    TopicEvicted = "idle topic evicted", "environment/met_requests.rs::met_06_idle_topic_leaves_used_topic_stays";

    // ---- connections

    /// A connection attempt failed.
    ConnectFailed = "connection attempt failed", "environment/met_who.rs::met_01_bootstrap_list";
    /// A connection took too long to become ready.
    SetupTimeout = "setup timeout", "environment/con_handshake.rs::con_08_setup_timeout_covers_the_whole_setup";
    /// A request had no answer in time: the peer may be half open.
    RequestTimeout = "request timeout", "environment/con_loss.rs::con_14_half_open_peer";
    /// A connection was lost with requests in flight.
    LostInFlight = "connection lost with requests in flight", "environment/con_loss.rs::con_12_disconnect_fails_all_in_flight_in_order";
    /// A connection was closed by the peer when it was asked for its versions.
    VersionsUnanswered = "closed when asked for versions", "environment/con_handshake.rs::a_broker_that_closes_when_asked_for_its_versions_names_the_setting_for_old_brokers";
    /// A broker wants to be asked for its versions in an older way.
    VersionsDowngraded = "ApiVersions asked in an older version", "environment/con_handshake.rs::con_02_api_versions_downgrade";
    /// A peer broke the protocol.
    ProtocolBroken = "protocol broken", "delivery/contract.rs::contract_01_bad_bytes_close_that_connection_and_others_go_on";
    /// An input came for a connection that is unknown or being closed.
    InputAfterClose = "input after close dropped", "delivery/contract.rs::contract_05_inputs_for_unknown_connections_are_counted_and_change_nothing";
    /// A connection was idle for too long.
    IdleClosed = "idle connection closed", "environment/con_loss.rs::con_10_a_connection_idle_beyond_our_own_limit_is_not_used_again";
    /// A connection is to be closed, with requests still in flight on it.
    SupersededBusy = "superseded with requests in flight", "environment/met_view.rs::met_23_broker_address_moves";
    /// A dial waits for its backoff.
    DialHeldBack = "dial held back", "environment/con_handshake.rs::con_07_it_is_reset_when_the_connection_is_ready";
    /// Memory of finished batches is kept until the transport lets go of their bytes.
    BytesLent = "bytes lent to a closing connection", "delivery/contract.rs::contract_05_what_a_closed_connection_holds_comes_back_with_its_end";
    /// A broker closed the connection after a request without an answer.
    UnconfirmedLost = "closed after acks=0", "environment/ak0.rs::ak0_05_broker_signals_an_error_by_closing";
    /// A broker took no data for too long: unkeyed records go elsewhere.
    BrokerSlow = "slow broker avoided", "batching/prt.rs::prt_09_slow_broker_is_avoided";

    // ---- answers

    /// An answer left out a batch that was asked about.
    AnswerIncomplete = "answer left a partition out", "delivery/branches.rs::a_partition_that_an_answer_leaves_out_is_in_doubt";
    /// An answer names a partition that was not asked about.
    AnswerForeign = "answer to a foreign partition", "delivery/branches.rs::an_answer_about_what_was_not_asked_is_counted_and_dropped";
    /// A broker throttles this client.
    Throttled = "throttled", "environment/thr.rs::thr_01_client_waits";
    /// A broker throttles this client while other requests wait for their answer.
    ThrottledInFlight = "throttled with requests in flight", "environment/thr.rs::thr_03_throttle_and_timeouts";
    /// A throttle time would have ended before the present one.
    ThrottleShorter = "shorter throttle ignored", "environment/thr.rs::thr_04_deadline_never_moves_back";

    // ---- jobs and formats

    /// A job failed.
    JobFailed = "job failed", "delivery/branches.rs::a_split_that_nobody_does_fails_its_batch";
    /// A job's result came after its batch had its outcome.
    JobLate = "job too late", "batching/mem.rs::mem_05_aborted_cancelled_and_left_behind_too";
    /// A job's result was foreign or came twice.
    JobForeign = "foreign job", "delivery/branches.rs::the_result_of_another_producers_job_is_dropped";
    /// A batch was sealed again because its leader takes another format.
    Transcoded = "transcoded for another leader", "batching/old.rs::a_batch_follows_its_leader_from_one_format_to_another";
    /// Records failed because their leader knows no headers.
    HeadersRefused = "headers refused for an old leader", "batching/old.rs::records_with_headers_fail_alone";
    /// A batch failed because its leader does not know its codec.
    CodecRefused = "codec refused for an old leader", "batching/cmp.rs::cmp_04_a_zstd_batch_does_not_follow_its_leader_to_a_broker_that_is_too_old";
    /// Batches failed because their leader has no common version of Produce.
    ProduceRefused = "no common version of Produce", "environment/con_handshake.rs::con_05_a_broker_without_a_common_version_gets_nothing_and_is_named";

    // ---- application

    /// The deadline of a close failed what was left.
    CloseForced = "forced close", "delivery/cls.rs::cls_05_close_deadline";
    /// Batches that were never handed out were aborted.
    AbortedUnsent = "aborted unsent", "delivery/cls.rs::cls_10_purge";
    /// A record was cancelled.
    Cancelled = "cancelled", "delivery/cls.rs::cls_12_cancel_one_record";
    /// All records of a batch were cancelled.
    AllCancelled = "all records cancelled", "delivery/pain.rs::pain_05_a_record_that_fails_before_it_is_sent_leaves_no_gap";
    /// A lane was short of memory: nothing lingers.
    Starved = "memory short", "batching/acc.rs::acc_11_memory_pressure_beats_linger";
    /// A record's partition was not known yet.
    PartitionUnknown = "partition not known yet", "batching/prt.rs::prt_04_explicit_partition";
    /// An unkeyed record went elsewhere because its lane was full.
    ElsewhereFull = "elsewhere because a lane was full", "batching/pain.rs::pain_24_an_outage_does_not_fill_the_memory";
}

/// How often each [`Mark`] was hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    #[cfg(feature = "marks")]
    hits: [u64; Mark::ALL.len()],
}

#[cfg(feature = "marks")]
impl Marks {
    pub(crate) const NONE: Self = Self { hits: [0; Mark::ALL.len()] };

    #[cold]
    pub(crate) fn hit(&mut self, mark: Mark) {
        self.hits[mark as usize] += 1;
    }

    /// How often this one was hit.
    pub fn get(&self, mark: Mark) -> u64 {
        self.hits[mark as usize]
    }

    /// All marks with their hits, in the order of the enum.
    pub fn iter(&self) -> impl Iterator<Item = (Mark, u64)> {
        Mark::ALL.iter().copied().zip(self.hits)
    }
}

#[cfg(not(feature = "marks"))]
impl Marks {
    pub(crate) const NONE: Self = Self {};

    #[inline(always)]
    pub(crate) fn hit(&mut self, _: Mark) {}
}
