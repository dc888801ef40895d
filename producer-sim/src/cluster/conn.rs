//! One client connection as a broker sees it: bytes into frames, answers in request order.

use super::observe::ReceivedRequest;
use super::rule::{Fired, RuleId};
use super::waiting::Held;
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::RequestKind;
use producer_proto::Instant;
use std::collections::VecDeque;

/// `socket.request.max.bytes`: a broker closes the connection on a larger frame.
const MAX_FRAME: usize = 100 << 20;

/// What a connection has for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Bytes to send.
    Bytes(Bytes),
    /// The broker closes the connection; nothing follows.
    Close,
}

/// A request that was read and waits its turn.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) request: ReceivedRequest,
    pub(super) kind: RequestKind,
    pub(super) fired: Vec<Fired>,
}

/// Why a connection does not begin with its next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Until(Instant),
    Released(RuleId),
}

/// The place of one request in the order of answers.
#[derive(Debug)]
pub(super) enum Answer {
    At(Instant, Bytes),
    Held(RuleId, Bytes),
    /// Never comes, and nothing behind it can.
    Never,
    Close,
}

pub(super) struct Conn {
    pub(super) broker: i32,
    inbound: BytesMut,
    /// Whole frames without their length prefix, with the time of their last byte.
    pub(super) frames: VecDeque<(Instant, Bytes)>,
    pub(super) stalled: Option<(Wait, Pending)>,
    /// A Produce request that waits for followers.
    pub(super) waiting: Option<Box<Held>>,
    /// The broker does nothing at all for the moment.
    pub(super) paused: bool,
    /// The channel is muted because of a quota.
    pub(super) muted_until: Option<Instant>,
    pub(super) answers: VecDeque<Answer>,
    /// The broker will say nothing more, and reads nothing more.
    pub(super) dead: bool,
    /// The broker has closed it.
    pub(super) closed: bool,
    /// The client has gone; requests read before still take effect.
    pub(super) client_gone: bool,
}

impl Conn {
    pub(super) fn new(broker: i32, paused: bool) -> Self {
        Self {
            broker,
            inbound: BytesMut::new(),
            frames: VecDeque::new(),
            stalled: None,
            waiting: None,
            paused,
            muted_until: None,
            answers: VecDeque::new(),
            dead: false,
            closed: false,
            client_gone: false,
        }
    }

    /// Takes bytes of the stream and cuts them into frames; the length that no frame may have, if
    /// there was one.
    pub(super) fn push_bytes(&mut self, now: Instant, bytes: &[u8]) -> Result<(), i32> {
        self.inbound.extend_from_slice(bytes);
        while let Some(prefix) = self.inbound.first_chunk::<4>() {
            let length = i32::from_be_bytes(*prefix);
            let frame = match usize::try_from(length) {
                Ok(frame) if frame <= MAX_FRAME => frame,
                _ => return Err(length),
            };
            if self.inbound.len() - 4 < frame {
                self.inbound.reserve(frame + 4 - self.inbound.len());
                break;
            }
            self.inbound.advance(4);
            self.frames.push_back((now, self.inbound.split_to(frame).freeze()));
        }
        Ok(())
    }

    pub(super) fn poll_output(&mut self, now: Instant) -> Option<Output> {
        if self.paused {
            return None;
        }
        match self.answers.front()? {
            Answer::At(at, _) if *at > now => None,
            Answer::Held(..) | Answer::Never => None,
            Answer::At(..) | Answer::Close => match self.answers.pop_front()? {
                Answer::At(_, bytes) => Some(Output::Bytes(bytes)),
                _ => {
                    self.close();
                    Some(Output::Close)
                }
            },
        }
    }

    /// When [`Conn::poll_output`] or the next request is due, if time alone decides it.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.paused {
            return None;
        }
        let answer = match self.answers.front() {
            Some(Answer::At(at, _)) if !self.client_gone => Some(*at),
            Some(Answer::Close) if !self.client_gone => Some(Instant::ZERO),
            _ => None,
        };
        let stall = match &self.stalled {
            Some((Wait::Until(at), _)) => Some(*at),
            _ => None,
        };
        let muted = self.muted_until.filter(|_| !self.frames.is_empty());
        let waiting = self.waiting.as_ref().map(|held| held.waiting.deadline);
        [answer, stall, muted, waiting].into_iter().flatten().min()
    }

    pub(super) fn release(&mut self, rule: RuleId, now: Instant) {
        if let Some((wait, _)) = &mut self.stalled
            && *wait == Wait::Released(rule)
        {
            *wait = Wait::Until(now);
        }
        for answer in &mut self.answers {
            if let Answer::Held(holder, bytes) = answer
                && *holder == rule
            {
                *answer = Answer::At(now, std::mem::take(bytes));
            }
        }
    }

    /// The broker closes the connection now.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.frames.clear();
        self.answers.clear();
        self.stalled = None;
        self.waiting = None;
    }

    /// Nothing can ever come of this connection again.
    pub(super) fn is_finished(&self) -> bool {
        self.client_gone
            && (self.closed
                || self.dead
                || (self.frames.is_empty() && self.stalled.is_none() && self.waiting.is_none()))
    }
}
