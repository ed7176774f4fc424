use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use lake::Room;
use tokio::sync::watch;

use crate::{metrics, read_back};

/// Kept free for everything except batches: code, client buffers, connections, the
/// allocator's reserve.
const PROCESS_BYTES: u64 = 48 << 20;
/// Memory that a record of 150 bytes takes in librdkafka's queue, in multiples of the
/// size that the queue's bound counts.
const QUEUE_OVERHEAD: u64 = 4;
/// The smallest bound of a partition's queue: some batches of a producer with Kafka's
/// default settings (16 KiB). A queue holds one batch more than its bound, so that a
/// smaller bound would save nothing.
const MIN_QUEUE_BYTES: u64 = 64 << 10;
/// The smallest limit that the consumer can work with.
pub(crate) const MIN_LIMIT_BYTES: u64 = 96 << 20;

/// The memory that the batches of all partitions take (G3). If they reach their budget,
/// the largest open batch is sealed, and nothing is read until there is room.
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
    /// Shares a limit out among the partitions of a topic, each of which this consumer
    /// may get. Three tenths of the free memory are for batches, as much again for
    /// encoding their columns. A quarter goes to the queues: librdkafka looks at their
    /// bounds *before* it asks for more, so that each may hold one fetch more than its
    /// bound.
    ///
    /// # Errors
    /// The limit is too low for so many queues.
    pub(crate) fn of(limit: u64, partitions: u64) -> Result<Self> {
        let free = limit.saturating_sub(PROCESS_BYTES);
        let queues = free / 4 / QUEUE_OVERHEAD;
        let queue = queues / partitions.max(1);
        let needed = PROCESS_BYTES + partitions * MIN_QUEUE_BYTES * QUEUE_OVERHEAD * 4;
        ensure!(
            queue >= MIN_QUEUE_BYTES,
            "memory.limit: {} MiB is too little for the topic's {partitions} partitions, all of \
             which one consumer may get; set {}MiB or more",
            limit >> 20,
            needed.div_ceil(1 << 20)
        );
        // Below 1 MiB brokers may have records that do not fit.
        Ok(Self {
            batches: free * 3 / 10,
            queue: queue.min(16 << 20),
            fetch: (queues / 2).clamp(1 << 20, 50 << 20),
        })
    }
}

impl Memory {
    /// The memory for reading the log once more, beside the kept records: a queue and a
    /// fetch.
    pub(crate) const READER_BYTES: u64 = QUEUE_OVERHEAD * 2 * read_back::QUEUE_BYTES;

    pub(crate) fn new(budget: u64) -> Arc<Self> {
        Arc::new(Self {
            budget,
            used: Mutex::default(),
            changes: watch::Sender::new(0),
        })
    }

    /// Returns a receiver of every change that may end somebody's wait.
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
        // A repair may wait for the last batch to be gone.
        if bytes == 0 || (before >= self.budget) != (after >= self.budget) {
            self.tell();
        }
    }

    /// Counts a batch that is being sealed or repaired, until the returned value is
    /// dropped.
    pub(crate) fn charge(self: &Arc<Self>, bytes: u64) -> Charge {
        let mut charge = Charge {
            memory: Arc::clone(self),
            bytes: 0,
        };
        charge.set(bytes);
        charge
    }

    /// Returns the memory that a repair may hold: half of the batches' share. A single
    /// object may take the share of batches and of their encoding, as nothing else is
    /// held then.
    pub(crate) fn room_of_repairs(&self) -> Room {
        Room {
            for_all: self.budget / 2,
            for_one: 2 * self.budget,
        }
    }

    /// Returns true if nothing more may be read.
    pub(crate) fn is_full(&self) -> bool {
        self.total() >= self.budget
    }

    /// Returns true if a partition's batch is the one to be sealed to make room.
    pub(crate) fn is_largest(&self, partition: i32) -> bool {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.open
            .iter()
            .max_by_key(|(_, bytes)| **bytes)
            .is_some_and(|(largest, _)| *largest == partition)
    }

    fn total(&self) -> u64 {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .total()
    }

    fn update(&self, change: impl FnOnce(&mut Used)) -> (u64, u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let before = used.total();
        change(&mut used);
        let after = used.total();
        metrics::OPEN_BATCHES.set(used.open.len() as f64);
        metrics::BUFFERED_BYTES.set(after as f64);
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

/// A batch that is being sealed or repaired.
pub(crate) struct Charge {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Charge {
    /// Says how large it is now.
    pub(crate) fn set(&mut self, bytes: u64) {
        let (before, after) = self
            .memory
            .update(|used| used.sealing = used.sealing + bytes - self.bytes);
        self.bytes = bytes;
        if after < before || (before >= self.memory.budget) != (after >= self.memory.budget) {
            self.memory.tell();
        }
    }

    /// Waits until there is room for it, or nothing else takes any.
    pub(crate) async fn wait_for_room(&self) {
        let mut changes = self.memory.changes();
        while self.memory.is_full() && self.memory.total() > self.bytes {
            // Its sender is in the memory that this charge is on.
            let _ = changes.changed().await;
        }
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
        let mut charge = memory.charge(59);
        memory.set_open(1, 0);
        assert!(memory.is_full() && memory.is_largest(0));
        charge.set(10);
        assert!(!memory.is_full());
        drop(charge);
        assert_eq!(memory.total(), 41);
    }

    #[tokio::test]
    async fn a_repair_waits_until_there_is_room_or_it_is_alone() {
        use futures::FutureExt as _;
        let memory = Memory::new(100);
        memory.set_open(0, 60);
        let sealing = memory.charge(30);
        let mut repair = memory.charge(9);
        repair.wait_for_room().await;
        repair.set(20);
        assert!(repair.wait_for_room().now_or_never().is_none());
        drop(sealing);
        repair.wait_for_room().await;
        repair.set(150);
        let mut wait = Box::pin(repair.wait_for_room());
        assert!((&mut wait).now_or_never().is_none() && memory.is_largest(0));
        memory.set_open(0, 0);
        tokio::time::timeout(std::time::Duration::from_secs(5), wait)
            .await
            .expect("alone, and it knows");
    }

    #[test]
    fn queues_and_batches_stay_within_the_limit() {
        for (limit, partitions) in [
            (MIN_LIMIT_BYTES, 1),
            (256 << 20, 12),
            (1 << 30, 100),
            (512 << 20, 464),
            (1_048 << 20, 1_000),
        ] {
            let Shares {
                batches,
                queue,
                fetch,
            } = Shares::of(limit, partitions).expect("enough");
            assert!(
                2 * batches + QUEUE_OVERHEAD * (queue * partitions + fetch) + PROCESS_BYTES
                    <= limit,
                "{limit} {partitions}"
            );
        }
    }

    /// At 512 MiB a thousand partitions had shares of 634 MiB.
    #[test]
    fn a_limit_too_low_for_the_partitions_is_refused_with_one_that_will_do() {
        let refusal = Shares::of(512 << 20, 1_000)
            .expect_err("too little")
            .to_string();
        assert!(
            refusal.contains("512 MiB is too little for the topic's 1000 partitions")
                && refusal.ends_with("set 1048MiB or more"),
            "{refusal}"
        );
        Shares::of(1_048 << 20, 1_000).expect("enough");
    }
}
