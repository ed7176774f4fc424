//! Records in transactions. Some commit, some abort, and some lose their producer. The
//! next producer with the same `transactional.id` fences off the lost one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use rdkafka::error::KafkaResult;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::time::Instant;

use super::plan::Plan;
use super::records::{BURST_INTERVAL, Produced, Switches, client_config, value};

/// Long, as the coordinator's broker may have been killed.
const COORDINATOR_TIMEOUT: Duration = Duration::from_secs(60);
/// First number of these records, above the numbers of the others.
const FIRST_NUMBER: u64 = 1 << 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Commit,
    Abort,
    /// The producer dies in the middle of the transaction.
    Die,
}

/// Produces transactions until `is_over` is set. Leaves no transaction open.
pub(super) async fn produce(
    plan: &Plan,
    brokers: &str,
    topic: &str,
    switches: Arc<Switches>,
) -> Result<Produced> {
    let mut rng = Rng::with_seed(plan.seed ^ 0x7a);
    let mut produced = Produced::default();
    let mut number = FIRST_NUMBER;
    let mut producer = next_producer(brokers, topic).await?;
    while !switches.is_over() {
        let length = Duration::from_millis([30, 200, 1_000][rng.usize(0..3)]);
        let end = [End::Commit, End::Commit, End::Commit, End::Abort, End::Die][rng.usize(0..5)];
        let begun = Instant::now();
        producer.begin_transaction().context("a transaction")?;
        let mut sent = Vec::new();
        while begun.elapsed() < length && !switches.is_over() {
            for _ in 0..switches.records_at_once(plan) {
                let value = value(plan, &mut rng, number);
                let record = FutureRecord::<(), _>::to(topic)
                    .partition(rng.i32(0..plan.partitions))
                    .payload(&value);
                // If the transaction can only be aborted, it takes no more records.
                sent.extend(
                    producer
                        .send_result(record)
                        .ok()
                        .map(|delivery| (number, delivery)),
                );
                number += 1;
            }
            tokio::time::sleep(BURST_INTERVAL).await;
        }
        let is_done = match end {
            End::Commit => {
                blocking(&producer, |producer| {
                    producer.commit_transaction(COORDINATOR_TIMEOUT)
                })
                .await?
            }
            End::Abort => {
                blocking(&producer, |producer| {
                    producer.abort_transaction(COORDINATOR_TIMEOUT)
                })
                .await?
            }
            End::Die => false,
        };
        if !is_done {
            let next = next_producer(brokers, topic).await?;
            let dead = std::mem::replace(&mut producer, next);
            tokio::task::spawn_blocking(move || drop(dead)).await?;
        }
        match end {
            End::Commit if is_done => produced.acknowledge(sent).await,
            // A commit without an answer may have happened or not; there is no promise.
            End::Commit => {}
            End::Abort | End::Die => produced
                .aborted
                .extend(sent.iter().map(|(number, _)| number)),
        }
    }
    Ok(produced)
}

/// Returns a producer that has fenced off the one before. The coordinator has aborted the
/// other one's transaction, or completed its commit.
async fn next_producer(brokers: &str, topic: &str) -> Result<FutureProducer> {
    let producer: FutureProducer = client_config(brokers)
        .set("transactional.id", topic)
        .create()
        .context("a transactional producer")?;
    let initialized = producer.clone();
    tokio::task::spawn_blocking(move || initialized.init_transactions(COORDINATOR_TIMEOUT))
        .await?
        .context("the transactional.id")?;
    Ok(producer)
}

/// Returns true if the call succeeded.
async fn blocking(
    producer: &FutureProducer,
    call: impl FnOnce(&FutureProducer) -> KafkaResult<()> + Send + 'static,
) -> Result<bool> {
    let producer = producer.clone();
    Ok(tokio::task::spawn_blocking(move || call(&producer))
        .await?
        .is_ok())
}
