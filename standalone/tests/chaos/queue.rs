//! A queue as SQS is one, in a time of its own: at least once, in no order, and never lost.

use chrono::{DateTime, TimeDelta, Utc};
use jobs::{Delivery, Ticket};

/// After how many deliveries a message is set aside: one more than the attempts, for failing what was killed.
pub(crate) const MAX_RECEIVES: u32 = super::world::MAX_ATTEMPTS + 1;

/// How long a message is hidden by a delivery that nobody ends.
const VISIBILITY: TimeDelta = TimeDelta::minutes(10);

/// A message and its deliveries.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) body: String,
    pub(crate) receives: u32,
    pub(crate) ticket: u64,
    visible_at: DateTime<Utc>,
}

/// The messages, and those that were set aside.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    waiting: Vec<Entry>,
    pub(crate) dead: Vec<String>,
    seen: bool,
    tickets: u64,
}

impl Messages {
    pub(crate) fn push(&mut self, body: &str, visible_at: DateTime<Utc>) {
        self.waiting.push(Entry { body: body.to_owned(), receives: 0, ticket: 0, visible_at });
    }

    /// Counts deliveries that are said to have been.
    pub(crate) fn age(&mut self, receives: u32) {
        self.waiting.iter_mut().for_each(|entry| entry.receives = receives);
    }

    /// When the next message can be had; nothing if there is none.
    pub(crate) fn next_visible(&self) -> Option<DateTime<Utc>> {
        self.waiting.iter().map(|entry| entry.visible_at).min()
    }

    /// One of the messages that can be had, chosen by `dice`.
    pub(crate) fn receive(&mut self, now: DateTime<Utc>, dice: &mut fastrand::Rng) -> Option<Entry> {
        loop {
            let visible: Vec<_> = (0..self.waiting.len()).filter(|at| self.waiting[*at].visible_at <= now).collect();
            let at = *dice.choice(&visible)?;
            if self.waiting[at].receives >= MAX_RECEIVES {
                let dead = self.waiting.remove(at);
                self.dead.push(dead.body);
                continue;
            }
            self.tickets += 1;
            let entry = &mut self.waiting[at];
            entry.receives += 1;
            entry.ticket = self.tickets;
            entry.visible_at = now + VISIBILITY;
            return Some(entry.clone());
        }
    }

    /// A ticket that a later delivery replaced removes nothing.
    pub(crate) fn acknowledge(&mut self, ticket: u64) {
        self.waiting.retain(|entry| entry.ticket != ticket);
    }

    pub(crate) fn release(&mut self, ticket: u64, visible_at: DateTime<Utc>) {
        self.waiting.iter_mut().filter(|entry| entry.ticket == ticket).for_each(|entry| entry.visible_at = visible_at);
    }

    /// What was set aside, once until it is shown again.
    pub(crate) fn dead_letters(&mut self) -> Vec<Delivery> {
        if std::mem::replace(&mut self.seen, true) {
            return Vec::new();
        }
        let delivery = |body: &String| Delivery { body: body.clone(), receives: 1, ticket: Ticket(String::new()) };
        self.dead.iter().map(delivery).collect()
    }

    pub(crate) fn show_dead_letters(&mut self) {
        self.seen = false;
    }

    /// Moves everything that was set aside back.
    pub(crate) fn redrive(&mut self, now: DateTime<Utc>) {
        for body in std::mem::take(&mut self.dead) {
            self.push(&body, now);
        }
    }
}
