use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use lake::{Batch, EncodedRatio, Record, Rules, SealCause, SealPolicy};
use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::group::TickConsumer;
use crate::lake_bucket::LakeBucket;
use crate::landing::{Landing, Sealed, is_final};
use crate::memory::Memory;
use crate::repairs::Repairs;
use crate::sealer::{Outcome, Sealer};
use crate::status::{Place, Progress};
use crate::topic::Topic;

/// How long librdkafka may take to begin to read at another offset.
const SEEK: Duration = Duration::from_secs(5);
/// Time between two attempts of it.
const SEEK_AGAIN: Duration = Duration::from_millis(20);
/// Time before a hole in the log is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Time between two looks at the lag.
const GAUGES: Duration = Duration::from_secs(5);
/// A batch says how large it is whenever it has grown by so much.
const GROWTH: u64 = 64 << 10;

pub(crate) type Queue = kafka_native::PartitionQueue<TickConsumer>;

/// How a partition's task is told to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// Seal what is open, then end.
    pub(crate) finish: CancellationToken,
    /// Drop what is not sealed yet and end.
    pub(crate) give_up: CancellationToken,
}

/// Reads one partition into batches: the next one fills while at most one is being
/// sealed.
pub(crate) struct PartitionReader {
    pub(crate) sealer: Sealer,
    pub(crate) policy: SealPolicy,
    pub(crate) rules: Rules,
    pub(crate) repairs: Repairs,
    pub(crate) bucket: LakeBucket,
    pub(crate) topic: Arc<Topic>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) stop: Stop,
    pub(crate) place: Arc<Place>,
    /// Where the partition stood when it was seen to move last, and when that was.
    /// Reading that begins again at the same offset has not moved.
    pub(crate) moved: (i64, Instant),
    /// The present attempt to land the partition has got as far as reading.
    pub(crate) has_read: bool,
}

/// The batch that is being sealed, if there is one. It is given up with the reading that
/// it belongs to.
type Sealing = JoinSet<Result<Outcome>>;

/// Why reading ended.
enum End {
    /// It was told to.
    Stopped,
    /// What comes next has to be found out again.
    Again(Box<Landing>),
}

/// What a partition has read and not landed.
struct Open {
    batch: Batch,
    /// What the batch said last about its size.
    told: u64,
    sealing: Sealing,
    /// Here while nothing is being sealed.
    landing: Option<Landing>,
    ratio: EncodedRatio,
    /// What comes next does not follow: retention took it, or the log has changed.
    lost: bool,
    /// Nothing has come since the seek.
    is_fresh: bool,
    /// An error came since the seek: librdkafka goes on behind what it cannot read, so
    /// that the next hole may hide records.
    is_doubtful: bool,
    /// The log has nothing from where the batch ended to here: it was looked at.
    known_absent: i64,
}

impl PartitionReader {
    /// Lands batches until stopped.
    ///
    /// # Errors
    /// The partition cannot be landed any further. What has landed is whole.
    pub(crate) async fn land(&mut self, queue: &mut Queue, mut landing: Landing) -> Result<()> {
        let finish = self.stop.finish.clone();
        loop {
            self.place.starting();
            let next = tokio::select! {
                biased;
                () = finish.cancelled() => return Ok(()),
                next = self.begin(&mut landing) => next?,
            };
            self.has_read = true;
            let ended = self.read(queue, landing, next).await;
            self.memory.set_open(self.sealer.partition, 0);
            match ended? {
                End::Stopped => return Ok(()),
                End::Again(before) => landing = *before,
            }
        }
    }

    /// Finds out where to go on and lets librdkafka read from there.
    async fn begin(&self, landing: &mut Landing) -> Result<i64> {
        let next = landing.establish().await?;
        self.compare_commit(next).await;
        let Sealer {
            consumer,
            topic,
            partition,
            ..
        } = &self.sealer;
        let mut position = TopicPartitionList::new();
        position.add_partition_offset(topic, *partition, Offset::Offset(next))?;
        let mut told = Instant::now();
        loop {
            let (consumer, seek) = (Arc::clone(consumer), position.clone());
            let sought =
                tokio::task::spawn_blocking(move || consumer.seek_partitions(seek, SEEK)).await?;
            match sought.and_then(|partitions| {
                partitions
                    .elements()
                    .iter()
                    .try_for_each(|element| element.error())
            }) {
                Ok(()) => break,
                // An assignment takes librdkafka a moment. One that it has dropped
                // without a word it makes again, and then this task is replaced.
                Err(error) if told.elapsed() > SEEK => {
                    told = Instant::now();
                    warn!(partition, next, %error, "cannot read yet, trying again");
                }
                Err(_) => {}
            }
            tokio::time::sleep(SEEK_AGAIN).await;
        }
        consumer.resume(&position)?;
        info!(partition, next, "reading");
        self.place.reading();
        Ok(next)
    }

    /// Kafka's committed offset is for lag tools only. It is looked at to tell an
    /// operator what became of it.
    async fn compare_commit(&self, next: i64) {
        let Sealer {
            consumer,
            topic,
            partition,
            ..
        } = &self.sealer;
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, *partition);
        let consumer = Arc::clone(consumer);
        let committed =
            tokio::task::spawn_blocking(move || consumer.committed_offsets(asked, SEEK)).await;
        let Ok(Ok(committed)) = committed else { return };
        match committed.elements().first().map(|element| element.offset()) {
            Some(Offset::Offset(committed)) if committed > next => warn!(
                partition,
                committed,
                next,
                "the group's offset is ahead of what has landed: somebody set it; it is ignored, and reading goes on where the lake ends"
            ),
            Some(Offset::Offset(committed)) if committed < next => info!(
                partition,
                committed,
                next,
                "the group's offset is behind what has landed (a commit was lost, or somebody set it); reading goes on where the lake ends"
            ),
            Some(Offset::Invalid) if next > 0 => {
                warn!(
                    partition,
                    next,
                    "the group has no offset any more (expired or deleted); reading goes on where the lake ends"
                );
            }
            _ => {}
        }
    }

    async fn read(&mut self, queue: &mut Queue, landing: Landing, next: i64) -> Result<End> {
        if next > self.moved.0 {
            self.moved = (next, Instant::now());
        }
        let mut open = Open {
            batch: self.empty_batch(next),
            told: 0,
            sealing: Sealing::new(),
            landing: Some(landing),
            ratio: EncodedRatio::default(),
            lost: false,
            is_fresh: true,
            is_doubtful: false,
            known_absent: -1,
        };
        let mut memory = self.memory.changes();
        let mut gauges = tokio::time::interval(GAUGES);
        let (finish, partition) = (self.stop.finish.clone(), self.sealer.partition);
        loop {
            let due = self.due(&open);
            if let (Some(cause), Some(landing)) = (due, open.landing.take_if(|_| due.is_some())) {
                self.seal(&mut open, landing, cause);
                continue;
            }
            if open.lost && open.sealing.is_empty() {
                return Ok(match open.landing {
                    Some(landing) => End::Again(Box::new(landing)),
                    None => End::Stopped,
                });
            }
            // G3: a full batch behind one that is being sealed stops the reading, and so
            // does full memory: Kafka keeps the rest.
            let may_read = due.is_none() && !open.lost && !self.memory.is_full();
            // G2: an open batch wakes the task, whatever comes or does not.
            let deadline = self.policy.deadline(&open.batch).filter(|_| due.is_none());
            tokio::select! {
                biased;
                () = finish.cancelled() => break,
                sealed = finished(&mut open.sealing), if !open.sealing.is_empty() => {
                    if let Some(end) = self.sealed(&mut open, sealed?) {
                        return Ok(end);
                    }
                }
                () = sleep_until(deadline) => {}
                _ = memory.changed() => {}
                _ = gauges.tick() => {
                    // What could not be read is the last that the log has: no message
                    // comes that would show the hole. The doubt stays: librdkafka's
                    // position may be behind the end, and a rebalance would read on from
                    // there.
                    let hole = self.place.end().map(|end| (open.batch.next(), end - 1)).filter(|(next, last)| {
                        open.is_doubtful && open.batch.range().is_none() && next <= last && *last > open.known_absent
                    });
                    if let Some(hole) = hole {
                        self.look_at(&mut open, hole).await?;
                    }
                    if !open.lost {
                        self.show_progress(&open);
                    }
                }
                messages = queue.recv(), if may_read => {
                    let first = messages.iter().find_map(|message| Some(message.ok()?.offset()));
                    if let Some(first) = first.filter(|first| open.is_fresh && *first > open.batch.next()) {
                        let hole = (open.batch.next(), first - 1);
                        self.look_at(&mut open, hole).await?;
                    }
                    open.is_fresh &= first.is_none();
                    let now = Instant::now();
                    for message in messages.iter() {
                        match message {
                            Err(error) => {
                                warn!(partition, %error, "cannot read, the client goes on trying");
                                open.is_doubtful = true;
                            }
                            Ok(_) if open.lost => break,
                            Ok(message) => self.push(&mut open, &message, now),
                        }
                    }
                    drop(messages);
                    let memory = open.batch.memory();
                    if memory >= open.told + GROWTH || open.told == 0 {
                        open.told = memory;
                        self.memory.set_open(partition, memory);
                    }
                }
            }
        }
        self.leave(open).await?;
        Ok(End::Stopped)
    }

    /// Returns why the open batch is to be sealed now.
    fn due(&self, open: &Open) -> Option<SealCause> {
        open.batch.range()?;
        if open.lost {
            return Some(SealCause::Lost);
        }
        let due = self.policy.due(&open.batch, open.ratio, Instant::now());
        due.or_else(|| {
            let makes_room = self.memory.is_full() && self.memory.is_largest(self.sealer.partition);
            makes_room.then_some(SealCause::Memory)
        })
    }

    fn seal(&self, open: &mut Open, landing: Landing, cause: SealCause) {
        let following = self.empty_batch(open.batch.next());
        let batch = std::mem::replace(&mut open.batch, following);
        let charge = self.memory.charge(batch.memory());
        self.memory.set_open(self.sealer.partition, 0);
        open.told = 0;
        let seal =
            self.sealer
                .clone()
                .seal(landing, batch, cause, charge, self.stop.give_up.clone());
        open.sealing.spawn(seal);
    }

    /// Takes back what was being sealed. Returns how reading ends where it does.
    fn sealed(&self, open: &mut Open, outcome: Outcome) -> Option<End> {
        open.ratio.learn(outcome.value_bytes, outcome.encoded_bytes);
        match outcome.sealed {
            Some(Sealed::Own) => {
                open.landing = Some(outcome.landing);
                None
            }
            // What is open follows a batch that does not exist.
            Some(Sealed::Other { .. }) => Some(End::Again(Box::new(outcome.landing))),
            None => Some(End::Stopped),
        }
    }

    /// Seals what is open and ends.
    async fn leave(&self, mut open: Open) -> Result<()> {
        if !open.sealing.is_empty() {
            let outcome = finished(&mut open.sealing).await?;
            if self.sealed(&mut open, outcome).is_some() {
                return Ok(());
            }
        }
        if let (Some(landing), Some(_), false) = (
            open.landing.take(),
            open.batch.range(),
            self.stop.give_up.is_cancelled(),
        ) {
            self.seal(&mut open, landing, SealCause::Leaving);
            finished(&mut open.sealing).await?;
        }
        Ok(())
    }

    /// Looks whether the log has records in a hole. If it has, or the task is told to end
    /// meanwhile, what is behind it is not read.
    async fn look_at(&self, open: &mut Open, hole: (i64, i64)) -> Result<()> {
        open.lost = tokio::select! {
            biased;
            () = self.stop.finish.cancelled() => true,
            is_absent = self.is_absent(hole) => !is_absent?,
        };
        open.known_absent = hole.1;
        Ok(())
    }

    /// Returns true where the log has no records in a range; false also where retention
    /// has taken it. Asked for what the first message after a seek passes over, as a
    /// message from before the seek would look the same.
    async fn is_absent(&self, (first, last): (i64, i64)) -> Result<bool> {
        let partition = self.sealer.partition;
        match self.repairs.is_absent(partition, (first, last)).await {
            Err(error) if !is_final(&error) => {
                warn!(
                    partition,
                    first,
                    last,
                    error = format!("{error:#}"),
                    "cannot look at a hole in the log, trying again"
                );
                tokio::time::sleep(LOOK_AGAIN).await;
                Ok(false)
            }
            answer => answer,
        }
    }

    /// Adds a message to the open batch.
    fn push(&self, open: &mut Open, message: &kafka_native::Message<'_>, now: Instant) {
        let (offset, next, partition) =
            (message.offset(), open.batch.next(), self.sealer.partition);
        if offset < next {
            warn!(
                partition,
                offset, next, "the log goes back behind what was read; looking at it again"
            );
            open.lost = true;
            return;
        }
        if offset > next {
            // Transactions leave holes. Retention does, too, where the reader was slower:
            // librdkafka then goes on at the log's start. And so does a batch that cannot
            // be read: it is read once more, and what is a hole then is looked at.
            let is_doubtful =
                std::mem::take(&mut open.is_doubtful) && offset - 1 > open.known_absent;
            let (start, _) = kafka_native::cached_watermarks(
                self.sealer.consumer.client(),
                &self.sealer.topic,
                partition,
            );
            if is_doubtful || start.is_none_or(|start| start > next) {
                open.lost = true;
                return;
            }
        }
        let headers = message.headers();
        let record = Record {
            offset,
            timestamp_ms: message.timestamp_ms(),
            key: message.key(),
            value: message.value(),
            headers: &headers,
        };
        if let Some(letter) = open.batch.push(&record, now) {
            let (offset, reason) = (letter.offset, letter.reason.clone());
            match open.batch.dead_letters() {
                1 => warn!(
                    partition,
                    offset, reason, "dead letter, the first of its batch"
                ),
                _ => debug!(partition, offset, reason, "dead letter"),
            }
        }
    }

    fn empty_batch(&self, next: i64) -> Batch {
        Batch::new(&self.sealer.topic, self.sealer.partition, next, self.rules)
    }

    /// Shows how far behind the partition is, and for how long it has not moved. While a
    /// batch is being sealed it is not known how far it is: no further than before.
    fn show_progress(&mut self, open: &Open) {
        let Sealer {
            consumer,
            topic,
            partition,
            ..
        } = &self.sealer;
        let (_, Some(end)) = kafka_native::cached_watermarks(consumer.client(), topic, *partition)
        else {
            return;
        };
        let landed = match open.landing.as_ref().and_then(Landing::next) {
            // Nothing is open either: the offsets up to the end belong to transaction
            // markers and aborted records, which have nothing to land.
            Some(next) if open.batch.range().is_none() => {
                next.max(self.place.end().unwrap_or(next))
            }
            Some(next) => next,
            None => self.moved.0,
        };
        let (lag, now) = ((end - landed).max(0), Instant::now());
        if landed > self.moved.0 || lag == 0 {
            self.moved = (landed, now);
        }
        self.place.progress(Progress {
            lag,
            stalled_seconds: (now - self.moved.1).as_secs_f64(),
        });
    }
}

/// Waits for the batch in flight.
async fn finished(sealing: &mut Sealing) -> Result<Outcome> {
    let Some(ended) = sealing.join_next().await else {
        return std::future::pending().await;
    };
    ended.context("the sealer panicked")?
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
