//! Between the world and the producer: when it is called, and what is done with what it says.

use super::network::{Fate, Happening, Jobs};
use super::{MAX_TURNS_PER_INSTANT, Micros, Seen, World};
use crate::Instant;
use crate::run::mix;
use bytes::Buf;
use producer_proto::{ConnectionId, DisconnectReason, Input, Job, Producer};
use std::time::Duration;

impl World {
    /// Takes everything the producer has to say and does what it asks for. Needed after calls on
    /// [`World::producer`] directly; every other method does it.
    pub fn drain(&mut self) {
        for _ in 0..MAX_TURNS_PER_INSTANT {
            let mut quiet = true;
            while let Some(transmit) = self.producer.poll_transmit(self.clock()) {
                quiet = false;
                let conn = self.global(transmit.conn());
                let up = self.network.links.get(&conn).is_some_and(|link| link.takes_bytes());
                assert!(up, "bytes for {conn}, which is not up");
                if let Some(watch) = &mut self.watch {
                    let frame = transmit.clone().copy_to_bytes(transmit.remaining());
                    watch.note(self.now, Seen::Transmit { conn, frame });
                }
                let most = self.driver.write_size.max(1);
                let count = self.network.transmit(self.now, conn, transmit, most);
                self.written(conn, count);
            }
            while let Some(action) = self.producer.poll_action() {
                quiet = false;
                self.act(action);
            }
            quiet &= !self.poll_events();
            if quiet {
                return;
            }
        }
        panic!("the producer never goes quiet at {:?}", self.now);
    }

    /// Takes the producer's events now or arranges for it; whether there were any now.
    fn poll_events(&mut self) -> bool {
        if self.driver.events_late > Micros(0) {
            if !self.events_waiting && self.producer.has_output() {
                self.events_waiting = true;
                let late = self.draw_late(self.driver.events_late, 0);
                self.network.schedule(self.now + late, Happening::TakeEvents);
            }
            return false;
        }
        self.take_events()
    }

    pub(super) fn take_events(&mut self) -> bool {
        self.events_waiting = false;
        let mut any = false;
        while let Some(event) = self.producer.poll_event() {
            any = true;
            if let Some(watch) = &mut self.watch {
                watch.note(self.now, Seen::Event(event));
                continue;
            }
            self.outcomes.note(self.now, &event);
            self.events.push((self.now, event));
        }
        any
    }

    /// The time as the producer is told it.
    pub(crate) fn clock(&self) -> Instant {
        match self.driver.tick.0 {
            0 => self.now,
            tick => Instant::from_micros(self.now.as_micros() / tick * tick),
        }
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        self.happenings += 1;
        self.producer.handle_input(self.clock(), input);
    }

    /// When the driver calls the producer without a reason from outside.
    pub(super) fn next_call(&mut self) -> Option<Instant> {
        let deadline = self.producer.poll_timeout()?;
        let micros = deadline.as_micros();
        let on_clock = match self.driver.tick.0 {
            0 => deadline,
            tick => Instant::from_micros(micros.checked_next_multiple_of(tick).unwrap_or(micros)),
        };
        let lateness = match self.lateness {
            Some((at, lateness)) if at == deadline => lateness,
            _ => {
                let mean = self.driver.late.0;
                let draw = mix(self.network.conditions.noise ^ mix(micros));
                let halvings = u64::from((draw as u8).leading_zeros()).min(7);
                let late = match mean {
                    0 => 0,
                    mean => (draw >> 8) % mean + mean * halvings,
                };
                Duration::from_micros(late)
            }
        };
        self.lateness = Some((deadline, lateness));
        Some((on_clock + lateness).max(self.asleep.unwrap_or(Instant::ZERO)))
    }

    /// Of a timeout and bytes at the same moment either may come first.
    pub(super) fn is_timeout_first(&self) -> bool {
        let conditions = &self.network.conditions;
        conditions.shuffle && mix(conditions.noise ^ self.now.as_micros()) & 1 == 1
    }

    /// Tells the producer that its time has come, if it has, or that it has not.
    pub(super) fn tell_time(&mut self) {
        if self.asleep_until().is_some() {
            return;
        }
        let is_due = self.next_call().is_some_and(|at| at <= self.now);
        let is_spurious = !is_due && self.driver.spurious_per_mille > 0 && {
            self.draws += 1;
            let draw = mix(self.network.conditions.noise ^ mix(self.draws ^ 0x59));
            draw % 1_000 < self.driver.spurious_per_mille
        };
        if !is_due && !is_spurious {
            return;
        }
        self.wake_ups += u64::from(is_due);
        self.timeout();
        let next = self.producer.poll_timeout();
        assert!(
            next.is_none_or(|at| at > self.clock()),
            "after a timeout at {:?} the next deadline is {next:?} ({:?}): a hot loop",
            self.clock(),
            self.producer.timeout_reason(),
        );
    }

    /// Calls the producer with the time, whether it has asked for that or not.
    pub(crate) fn timeout(&mut self) {
        self.mix(1, self.now.as_micros());
        self.see(|| Seen::Timeout);
        self.input(Input::Timeout);
        self.drain();
    }

    /// The process stands still: nothing reaches the producer before `awake`.
    pub(crate) fn suspend(&mut self, awake: Instant) {
        let before = self.asleep_until().unwrap_or(self.now);
        self.slept = self.slept.saturating_add(awake - before);
        self.asleep = Some(awake.max(before));
    }

    /// When the process goes on, if it stands still.
    pub(crate) fn asleep_until(&self) -> Option<Instant> {
        self.asleep.filter(|awake| *awake > self.now)
    }

    /// For how long the process stood still, in all.
    pub(crate) fn slept(&self) -> Duration {
        self.slept
    }

    /// Lets time pass in which nothing happens.
    pub(crate) fn wait_until(&mut self, end: Instant) {
        self.now = self.now.max(end);
    }

    /// The process dies and another one takes over: what its sockets took is still sent, nobody
    /// waits for an answer.
    pub(crate) fn replace_producer(&mut self, producer: Producer) {
        for link in self.network.links.keys().copied().collect::<Vec<_>>() {
            self.network.sever(
                self.now,
                link,
                DisconnectReason::Reset,
                Fate::Arrive,
                Duration::ZERO,
            );
            self.network.links.remove(&link);
        }
        self.producer = producer;
        self.first_conn = self.next_dial;
        self.events_waiting = false;
        self.watch();
    }

    pub(super) fn run_job(&mut self, job: Job) {
        match self.network.jobs {
            Jobs::Inline => {
                let result = if self.is_job_lost() { job.abandon() } else { job.run() };
                match self.draw_late(self.driver.jobs_late, 1) {
                    Duration::ZERO => self.input(Input::Done(result)),
                    late => self.network.schedule(self.now + late, Happening::JobDone(result)),
                }
            }
            Jobs::Abandon => self.input(Input::Done(job.abandon())),
            Jobs::After(delay) => {
                self.network.schedule(self.now + delay, Happening::JobDone(job.run()));
            }
        }
    }

    fn is_job_lost(&mut self) -> bool {
        if self.driver.jobs_lost_per_mille == 0 {
            return false;
        }
        self.draws += 1;
        let draw = mix(self.network.conditions.noise ^ mix(self.draws ^ 0x10b));
        draw % 1_000 < self.driver.jobs_lost_per_mille
    }

    /// A delay below `most`, or none.
    pub(super) fn draw_late(&mut self, most: Micros, entity: u64) -> Duration {
        if most.0 == 0 {
            return Duration::ZERO;
        }
        self.draws += 1;
        let draw = mix(self.network.conditions.noise ^ mix(self.draws ^ entity << 32));
        Duration::from_micros(draw % most.0)
    }

    /// A socket that may take more is given more.
    pub(super) fn write(&mut self, link: ConnectionId) {
        let count = self.network.write(self.now, link, self.driver.write_size.max(1));
        self.written(link, count);
    }

    /// The socket took bytes; reports them, at once or later.
    pub(super) fn written(&mut self, link: ConnectionId, count: usize) {
        let Some(state) = self.network.links.get_mut(&link).filter(|_| count > 0) else { return };
        state.unreported += count;
        if self.driver.written_late == Micros(0) {
            self.report_written(link);
        } else if state.unreported == count {
            let late = self.draw_late(self.driver.written_late, link.0);
            self.network.schedule(self.now + late, Happening::ReportWritten { link });
        }
    }

    pub(super) fn report_written(&mut self, link: ConnectionId) {
        let Some(state) = self.network.links.get_mut(&link) else { return };
        let bytes = std::mem::take(&mut state.unreported);
        if bytes > 0 {
            self.input(Input::Written { conn: self.local(link), bytes });
        }
    }

    /// Whether what arrives on a connection is handed to the producer.
    pub(super) fn is_read(&self, link: ConnectionId) -> bool {
        let sloppy = self.driver.close_late > Micros(0);
        self.network.links.get(&link).is_some_and(|state| {
            state.remote.is_some() && (sloppy || state.ending != Some(DisconnectReason::Requested))
        })
    }

    /// A connection as the world knows it, from the producer's name for it.
    pub(super) fn global(&self, conn: ConnectionId) -> ConnectionId {
        ConnectionId(conn.0 + self.first_conn)
    }

    /// The other way round.
    pub(super) fn local(&self, conn: ConnectionId) -> ConnectionId {
        ConnectionId(conn.0.saturating_sub(self.first_conn))
    }
}
