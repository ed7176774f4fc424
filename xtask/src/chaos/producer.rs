use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use rdkafka::ClientConfig;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};

use super::plan::Plan;
use super::transactions;

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

/// Produces records, ticks and poison, each with its own number, until `is_over` is set.
pub(crate) async fn produce(
    plan: &Plan,
    brokers: &str,
    topic: &str,
    switches: Arc<Switches>,
) -> Result<Produced> {
    let mut rng = Rng::with_seed(plan.seed ^ 0x5eed);
    let producer: FutureProducer = client_config(brokers).create().context("a producer")?;
    let mut sent = Vec::new();
    let mut send = |rng: &mut Rng, partition: i32| {
        let number = sent.len() as u64;
        let value = value(rng, number);
        let record = FutureRecord::<(), _>::to(topic)
            .partition(partition)
            .payload(&value);
        let delivery = producer
            .send_result(record)
            .map_err(|(error, _)| error)
            .context("the producer's queue")?;
        sent.push((number, delivery));
        anyhow::Ok(())
    };
    let alone = async {
        while !switches.is_over() {
            for _ in 0..switches.records_at_once(plan) {
                let partition = rng.i32(0..plan.partitions);
                send(&mut rng, partition)?;
            }
            tokio::time::sleep(BURST_INTERVAL).await;
        }
        anyhow::Ok(())
    };
    let in_transactions = async {
        match plan.has_transactions {
            true => transactions::produce(plan, brokers, topic, Arc::clone(&switches)).await,
            false => Ok(Produced::default()),
        }
    };
    let (alone, in_transactions) = tokio::join!(alone, in_transactions);
    alone?;
    let mut produced = in_transactions?;
    // The last record of each partition stays. No record has to land after it, and the
    // consumer notices that retention took the records before it.
    for partition in 0..plan.partitions {
        send(&mut rng, partition)?;
    }
    produced.acknowledge(sent).await;
    Ok(produced)
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
pub(super) fn value(rng: &mut Rng, number: u64) -> Vec<u8> {
    // Event times over three days, so that batches by event time have many objects.
    let time = 1_700_000_000_000 + rng.u64(0..72) * 3_600_000;
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
