//! Records in transactions: some commit, some abort, and some lose their producer, whom
//! the next one with its `transactional.id` fences off.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use rdkafka::error::KafkaResult;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::time::Instant;

use super::plan::Plan;
use super::producer::{PAUSE, Produced, Switches, client_config, value};

/// How long a coordinator may take to answer: its broker may have been killed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the numbers of these records begin, above those of the others.
const FIRST: u64 = 1 << 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Commit,
    Abort,
    /// The producer dies in the middle of the transaction.
    Die,
}

/// Produces transactions until told to stop. No transaction is left open.
pub(super) async fn produce(
    plan: &Plan,
    brokers: &str,
    topic: &str,
    switches: Arc<Switches>,
) -> Result<Produced> {
    let mut rng = Rng::with_seed(plan.seed ^ 0x7a);
    let (mut produced, mut number) = (Produced::default(), FIRST);
    let mut producer = next_producer(brokers, topic).await?;
    while !switches.is_over() {
        let length = Duration::from_millis([30, 200, 1_000][rng.usize(0..3)]);
        let end = [End::Commit, End::Commit, End::Commit, End::Abort, End::Die][rng.usize(0..5)];
        let begun = Instant::now();
        producer.begin_transaction().context("a transaction")?;
        let mut sent = Vec::new();
        while begun.elapsed() < length && !switches.is_over() {
            for _ in 0..switches.records_at_once(plan) {
                let value = value(&mut rng, number);
                let record = FutureRecord::<(), _>::to(topic)
                    .partition(rng.i32(0..plan.partitions))
                    .payload(&value);
                // A transaction that can only be aborted takes no more records.
                sent.extend(
                    producer
                        .send_result(record)
                        .ok()
                        .map(|delivery| (number, delivery)),
                );
                number += 1;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let is_done = match end {
            End::Commit => {
                blocking(&producer, |producer| producer.commit_transaction(PATIENCE)).await?
            }
            End::Abort => {
                blocking(&producer, |producer| producer.abort_transaction(PATIENCE)).await?
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
            // Whether a commit without an answer has happened nobody knows, and nobody
            // promised anything.
            End::Commit => {}
            End::Abort | End::Die => produced
                .aborted
                .extend(sent.iter().map(|(number, _)| number)),
        }
    }
    Ok(produced)
}

/// Returns a producer that has fenced off the one before: the coordinator has aborted its
/// transaction, or completed its commit.
async fn next_producer(brokers: &str, topic: &str) -> Result<FutureProducer> {
    let producer: FutureProducer = client_config(brokers)
        .set("transactional.id", topic)
        .create()
        .context("a transactional producer")?;
    let initialized = producer.clone();
    tokio::task::spawn_blocking(move || initialized.init_transactions(PATIENCE))
        .await?
        .context("the transactional.id")?;
    Ok(producer)
}

/// Returns true if the coordinator did it.
async fn blocking(
    producer: &FutureProducer,
    call: impl FnOnce(&FutureProducer) -> KafkaResult<()> + Send + 'static,
) -> Result<bool> {
    let producer = producer.clone();
    Ok(tokio::task::spawn_blocking(move || call(&producer))
        .await?
        .is_ok())
}
