use std::sync::Arc;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::plan::Plan;
use super::records::{BURST_INTERVAL, Produced, Switches, client_config, value};
use super::transactions;

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
        let value = value(plan, rng, number);
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
