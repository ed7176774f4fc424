use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use lake::{Batch, Format, Record, Routing, Rules};
use serde_json::json;

use crate::Aws;

/// A raw object as the consumer writes it, for tests of its readers: ticks of volume 2,
/// one a second.
#[derive(Debug, Clone, Copy)]
pub struct RawTicks<'a> {
    /// Format of the object.
    pub format: Format,
    /// Time of the first tick in milliseconds since 1970; it gives the object its hour.
    pub first_ms: i64,
    /// Kafka partition.
    pub partition: i32,
    /// Offset of the first tick.
    pub first_offset: i64,
    /// Symbols and prices.
    pub ticks: &'a [(&'a str, f64)],
}

impl RawTicks<'_> {
    /// Puts the object and returns its key. Replaces an object that has the key.
    ///
    /// # Errors
    /// S3 refuses, or the ticks are not valid ones of the same hour.
    pub async fn put(&self, aws: &Aws, bucket: &str) -> Result<String> {
        let rules = Rules {
            routing: Routing::default(),
            max_record_bytes: 1_000,
            skip_tombstones: false,
        };
        let mut batch = Batch::new("ticks", self.partition, self.first_offset, rules);
        for (number, (symbol, price)) in (0..).zip(self.ticks) {
            let time = self.first_ms + 1_000 * number;
            let value = json!({"symbol": symbol, "event_time": time, "price": price, "volume": 2});
            let value = value.to_string();
            let record = Record {
                offset: self.first_offset + number,
                timestamp_ms: Some(time),
                value: Some(value.as_bytes()),
                ..Record::default()
            };
            let letter = batch.push(&record, Instant::now());
            ensure!(letter.is_none(), "not a valid tick: {letter:?}");
        }
        let (_, objects) = batch.seal(self.format, "topic", "attempt")?;
        ensure!(
            objects.len() == 1,
            "the ticks are of {} hours",
            objects.len()
        );
        let key = objects[0].key.to_string();
        let put = aws_sdk_s3::Client::new(aws.config()).put_object();
        let put = put.bucket(bucket).key(&key);
        let put = put.set_metadata(Some(objects[0].metadata.to_map()));
        let put = put.body(objects[0].body.clone().into()).send();
        put.await.with_context(|| format!("PutObject {key}"))?;
        Ok(key)
    }
}
