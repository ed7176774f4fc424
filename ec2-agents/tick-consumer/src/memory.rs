use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Kept free for what is in no batch: code, client buffers, connections, the allocator's reserve.
const BASE: u64 = 48 << 20;
/// Memory that a record of 150 bytes takes in librdkafka's queue, in multiples of what the queue's bound counts.
const QUEUED: u64 = 4;
/// The smallest limit that the consumer can work with.
pub(crate) const LEAST: u64 = 96 << 20;

/// How much memory the batches of all partitions take (G3). Where they reach their budget the largest open batch is sealed, and nothing is read until there is room.
pub(crate) struct Memory {
    budget: u64,
    used: Mutex<Used>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Used {
    open: BTreeMap<i32, u64>,
    sealing: u64,
}

/// How a limit is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// For batches, open and being sealed.
    pub(crate) batches: u64,
    /// For each partition's queue in librdkafka, as its bound counts.
    pub(crate) queue: u64,
    /// For one answer of a broker, all partitions together.
    pub(crate) fetch: u64,
}

impl Shares {
    /// Shares a limit out. Three tenths of what is free are for batches, as much again for what their columns become while they are encoded. A quarter goes to the queues: librdkafka looks at their bounds *before* it asks for more, so that each may hold one fetch
    /// more than its bound.
    pub(crate) fn of(limit: u64, partitions: u64) -> Self {
        let free = limit.saturating_sub(BASE);
        let queues = free / 4 / QUEUED;
        // Below 1 MiB brokers may have records that do not fit.
        Self {
            batches: free * 3 / 10,
            queue: (queues / partitions.max(1)).clamp(64 << 10, 16 << 20),
            fetch: (queues / 2).clamp(1 << 20, 50 << 20),
        }
    }
}

impl Memory {
    pub(crate) fn new(budget: u64) -> Arc<Self> {
        Arc::new(Self { budget, used: Mutex::default(), changes: watch::Sender::new(0) })
    }

    /// Returns what tells of every change that may end somebody's wait.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Says how large a partition's open batch is.
    pub(crate) fn set_open(&self, partition: i32, bytes: u64) {
        let (before, after) = self.update(|used| {
            match bytes {
                0 => used.open.remove(&partition),
                bytes => used.open.insert(partition, bytes),
            };
        });
        if (before >= self.budget) != (after >= self.budget) {
            self.tell();
        }
    }

    /// Counts a batch that is being sealed, until the returned value is dropped.
    pub(crate) fn sealing(self: &Arc<Self>, bytes: u64) -> Charge {
        self.update(|used| used.sealing += bytes);
        Charge { memory: Arc::clone(self), bytes }
    }

    /// Returns true where nothing more may be read.
    pub(crate) fn is_full(&self) -> bool {
        self.total() >= self.budget
    }

    /// Returns true where a partition's batch is the one to be sealed to make room.
    pub(crate) fn is_largest(&self, partition: i32) -> bool {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.open.iter().max_by_key(|(_, bytes)| **bytes).is_some_and(|(largest, _)| *largest == partition)
    }

    fn total(&self) -> u64 {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).total()
    }

    fn update(&self, change: impl FnOnce(&mut Used)) -> (u64, u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let before = used.total();
        change(&mut used);
        let after = used.total();
        metrics::gauge!("ticklake_open_batches").set(used.open.len() as f64);
        metrics::gauge!("ticklake_buffered_bytes").set(after as f64);
        (before, after)
    }

    fn tell(&self) {
        self.changes.send_modify(|change| *change += 1);
    }
}

impl Used {
    fn total(&self) -> u64 {
        self.open.values().sum::<u64>() + self.sealing
    }
}

/// A batch that is being sealed.
pub(crate) struct Charge {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Charge {
    /// Says how large it is now.
    pub(crate) fn set(&mut self, bytes: u64) {
        self.memory.update(|used| used.sealing = used.sealing + bytes - self.bytes);
        self.bytes = bytes;
        self.memory.tell();
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.update(|used| used.sealing -= self.bytes);
        self.memory.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_open_batch_makes_room_and_sealing_counts_until_it_is_over() {
        let memory = Memory::new(100);
        memory.set_open(0, 40);
        memory.set_open(1, 59);
        assert!(!memory.is_full());
        memory.set_open(0, 41);
        assert!(memory.is_full() && memory.is_largest(1) && !memory.is_largest(0));
        let mut charge = memory.sealing(59);
        memory.set_open(1, 0);
        assert!(memory.is_full() && memory.is_largest(0));
        charge.set(10);
        assert!(!memory.is_full());
        drop(charge);
        assert_eq!(memory.total(), 41);
    }

    #[test]
    fn queues_and_batches_stay_within_the_limit() {
        for (limit, partitions) in [(LEAST, 1), (256 << 20, 12), (1 << 30, 100)] {
            let Shares { batches, queue, fetch } = Shares::of(limit, partitions);
            assert!(2 * batches + QUEUED * (queue * partitions + fetch) + BASE <= limit, "{limit} {partitions}");
        }
    }
}
