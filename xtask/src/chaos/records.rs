//! The records of a run, and the control of those who produce them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use rdkafka::ClientConfig;
use rdkafka::producer::DeliveryFuture;

use super::plan::Plan;

/// Time between two bursts of records.
pub(super) const BURST_INTERVAL: Duration = Duration::from_millis(20);
const BURSTS_PER_SECOND: u64 = 50;

/// The records that were produced.
#[derive(Default)]
pub(crate) struct Produced {
    /// The records that brokers acknowledged, and committed if they were in a
    /// transaction: number, partition and offset.
    pub(crate) acknowledged: BTreeMap<u64, (i32, i64)>,
    /// The numbers of the records in aborted transactions.
    pub(crate) aborted: BTreeSet<u64>,
}

/// An acknowledged record that is a valid tick, and has landed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AcknowledgedTick {
    pub(crate) number: u64,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Produced {
    /// Waits for the records' deliveries. A record that is not acknowledged may be in the
    /// log or not; there is no promise about it.
    pub(super) async fn acknowledge(&mut self, sent: Vec<(u64, DeliveryFuture)>) {
        for (number, delivery) in sent {
            if let Ok(Ok(delivered)) = delivery.await {
                self.acknowledged
                    .insert(number, (delivered.partition, delivered.offset));
            }
        }
    }

    /// Returns the offset after the last record of a partition.
    pub(crate) fn end(&self, partition: i32) -> i64 {
        self.acknowledged
            .values()
            .filter(|(of, _)| *of == partition)
            .map(|(_, offset)| offset + 1)
            .max()
            .unwrap_or(0)
    }
}

/// Controls the producers.
#[derive(Default)]
pub(crate) struct Switches {
    pub(crate) is_idle: AtomicBool,
    pub(crate) is_over: AtomicBool,
}

impl Switches {
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Returns the number of records that a producer sends now.
    pub(super) fn records_at_once(&self, plan: &Plan) -> u64 {
        let producers = 1 + u64::from(plan.has_transactions);
        if self.is_idle.load(Ordering::Relaxed) {
            0
        } else {
            plan.rate.div_ceil(BURSTS_PER_SECOND * producers)
        }
    }
}

/// Returns the settings that all producers share.
pub(super) fn client_config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("message.timeout.ms", "60000");
    config.set("log_level", "0");
    config
}

/// Returns a tick for 97 of 100 records, otherwise one of the poisons. Each contains its
/// number.
pub(super) fn value(plan: &Plan, rng: &mut Rng, number: u64) -> Vec<u8> {
    // Event times of many hours, so that batches by event time have many objects.
    let time = 1_700_000_000_000 + rng.u64(0..plan.hours) * 3_600_000;
    match rng.u8(0..100) {
        0 => format!("poison \"n\":{number}}}").into_bytes(),
        1 => format!(r#"{{"symbol":"A","event_time":{time},"price":"12","n":{number}}}"#)
            .into_bytes(),
        2 => [b"\xff\xfe ", format!("\"n\":{number}}}").as_bytes()].concat(),
        _ => format!(
            r#"{{"symbol":"S{}","event_time":{time},"price":{}.5,"n":{number}}}"#,
            number % 7,
            number % 1000
        )
        .into_bytes(),
    }
}
