use std::time::{Duration, Instant};

use anyhow::Result;
use kafka_native::{Message, Messages};
use lake::Record;
use rdkafka::consumer::Consumer as _;
use tracing::{debug, warn};

use super::open::Open;
use super::reader::PartitionReader;
use crate::membership::TickConsumer;
use crate::retry::Retryable as _;

/// Time before a hole in the log is looked at again.
const HOLE_RETRY: Duration = Duration::from_secs(1);
/// A batch reports its size whenever it has grown by so much.
const REPORTED_GROWTH_BYTES: u64 = 64 << 10;

impl PartitionReader {
    /// Adds messages to the open batch.
    pub(super) async fn take(
        &self,
        open: &mut Open,
        messages: Messages<TickConsumer>,
    ) -> Result<()> {
        let first = messages
            .iter()
            .find_map(|message| Some(message.ok()?.offset()));
        if let Some(first) = first.filter(|first| open.is_fresh && *first > open.batch.next()) {
            let hole = (open.batch.next(), first - 1);
            self.look_at(open, hole).await?;
        }
        open.is_fresh &= first.is_none();
        let now = Instant::now();
        for message in messages.iter() {
            match message {
                Err(error) => {
                    warn!(event = "read_failed", %error, "cannot read, the client goes on trying");
                    open.is_doubtful = true;
                }
                Ok(_) if open.lost => break,
                Ok(message) => self.push(open, &message, now),
            }
        }
        drop(messages);
        let bytes = open.batch.memory();
        if bytes >= open.reported_bytes + REPORTED_GROWTH_BYTES || open.reported_bytes == 0 {
            open.reported_bytes = bytes;
            self.memory.set_open(self.sealer.partition, bytes);
        }
        Ok(())
    }

    /// Adds a message to the open batch.
    fn push(&self, open: &mut Open, message: &Message<'_>, now: Instant) {
        let offset = message.offset();
        let next = open.batch.next();
        if offset < next {
            warn!(
                offset,
                next, "the log goes back behind what was read; looking at it again"
            );
            open.lost = true;
            return;
        }
        if offset > next {
            // Transactions leave holes. Retention does, too, if the reader was slower:
            // librdkafka then goes on at the log's start. And so does a batch that cannot
            // be read: it is read once more, and a hole that remains is looked at.
            let is_doubtful =
                std::mem::take(&mut open.is_doubtful) && offset - 1 > open.known_absent;
            let (start, _) = kafka_native::cached_watermarks(
                self.sealer.consumer.client(),
                &self.sealer.topic,
                self.sealer.partition,
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
            let reason = letter.reason.clone();
            match open.batch.dead_letters() {
                1 => warn!(
                    event = "first_dead_letter",
                    offset, reason, "dead letter, the first of its batch"
                ),
                _ => debug!(offset, reason, "dead letter"),
            }
        }
    }

    /// Looks at a hole behind the last record, if there may be one: no message comes that
    /// would show it, if the record that could not be read is the last that the log has.
    /// The doubt stays: librdkafka's position may be behind the end, and a rebalance
    /// would read on from there.
    pub(super) async fn look_at_the_end(&self, open: &mut Open) -> Result<()> {
        let Some(end) = self.sealer.place.end() else {
            return Ok(());
        };
        let (next, last) = (open.batch.next(), end - 1);
        let may_be_hidden = open.is_doubtful && open.batch.range().is_none() && next <= last;
        if may_be_hidden && last > open.known_absent {
            self.look_at(open, (next, last)).await?;
        }
        Ok(())
    }

    /// Looks whether the log has records in a hole. If it has, or the task has to end
    /// meanwhile, the records after it are not read.
    async fn look_at(&self, open: &mut Open, hole: (i64, i64)) -> Result<()> {
        open.lost = tokio::select! {
            biased;
            () = self.stop.finish.cancelled() => true,
            is_absent = self.is_absent(hole) => !is_absent?,
        };
        open.known_absent = hole.1;
        Ok(())
    }

    /// Returns true if the log has no records in a range; false also if retention has
    /// taken it. Asked about the offsets that the first message after a seek passes over:
    /// a message from before the seek would look the same.
    async fn is_absent(&self, (first, last): (i64, i64)) -> Result<bool> {
        let partition = self.sealer.partition;
        match self.repairs.is_absent(partition, (first, last)).await {
            Ok(is_absent) => Ok(is_absent),
            Err(error) if error.is_retryable() => {
                warn!(
                    first,
                    last,
                    %error,
                    "cannot look at a hole in the log, trying again"
                );
                tokio::time::sleep(HOLE_RETRY).await;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
