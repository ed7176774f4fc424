use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::plan::Plan;

/// What brokers acknowledged: each record's own number, and where it stands.
pub(crate) type Acknowledged = BTreeMap<u64, (i32, i64)>;

/// Produces until told to stop.
pub(crate) struct Switches {
    pub(crate) is_idle: AtomicBool,
    pub(crate) is_over: AtomicBool,
}

/// Produces records, ticks and poison, each with a number of its own, and notes what is acknowledged.
pub(crate) async fn produce(plan: &Plan, brokers: &str, topic: &str, switches: Arc<Switches>) -> Result<Acknowledged> {
    let mut rng = Rng::with_seed(plan.seed ^ 0x5eed);
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("message.timeout.ms", "60000")
        .set("log_level", "0")
        .create()
        .context("a producer")?;
    let mut deliveries = Vec::new();
    let mut number = 0;
    while !switches.is_over.load(Ordering::Relaxed) {
        if !switches.is_idle.load(Ordering::Relaxed) {
            for _ in 0..plan.rate.div_ceil(50) {
                let value = value(&mut rng, number);
                let record = FutureRecord::<(), _>::to(topic).partition(rng.i32(0..plan.partitions)).payload(&value);
                let delivery = producer.send_result(record).map_err(|(error, _)| error).context("the producer's queue")?;
                deliveries.push((number, delivery));
                number += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut acknowledged = BTreeMap::new();
    for (number, delivery) in deliveries {
        // What was not acknowledged may have landed or not: nobody promised anything.
        if let Ok(Ok(delivered)) = delivery.await {
            acknowledged.insert(number, (delivered.partition, delivered.offset));
        }
    }
    Ok(acknowledged)
}

/// A tick in 97 of 100 records, and else one of the poisons. Each says its number.
fn value(rng: &mut Rng, number: u64) -> Vec<u8> {
    // Event times over three days, so that batches by event time have many objects.
    let time = 1_700_000_000_000 + rng.u64(0..72) * 3_600_000;
    match rng.u8(0..100) {
        0 => format!("poison \"n\":{number}}}").into_bytes(),
        1 => format!(r#"{{"symbol":"A","event_time":{time},"price":"12","n":{number}}}"#).into_bytes(),
        2 => [b"\xff\xfe ", format!("\"n\":{number}}}").as_bytes()].concat(),
        _ => format!(r#"{{"symbol":"S{}","event_time":{time},"price":{}.5,"n":{number}}}"#, number % 7, number % 1000).into_bytes(),
    }
}
