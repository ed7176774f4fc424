use std::time::Instant;

use rdkafka::consumer::Consumer as _;

use super::moved::Moved;
use super::open::Open;
use super::reader::PartitionReader;
use crate::status::Progress;

impl PartitionReader {
    /// Shows how far behind the partition is, and for how long it has not moved. While a
    /// batch is being sealed it is not known how far it is: no further than before.
    pub(super) fn show_progress(&mut self, open: &Open) {
        let client = self.sealer.consumer.client();
        let (topic, partition) = (&self.sealer.topic, self.sealer.partition);
        let (_, Some(end)) = kafka_native::cached_watermarks(client, topic, partition) else {
            return;
        };
        let landed = match open.lane.next() {
            // Nothing is open either: the offsets up to the end belong to transaction
            // markers and aborted records, which have nothing to land.
            Some(next) if open.batch.range().is_none() => {
                next.max(self.sealer.place.end().unwrap_or(next))
            }
            Some(next) => next,
            None => self.moved.next,
        };
        let lag = (end - landed).max(0);
        let now = Instant::now();
        if landed > self.moved.next || lag == 0 {
            self.moved = Moved {
                next: landed,
                at: now,
            };
        }
        self.sealer.place.progress(Progress {
            lag,
            stalled_seconds: (now - self.moved.at).as_secs_f64(),
        });
    }
}
