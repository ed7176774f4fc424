use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agent::KafkaContext;
use anyhow::{Context as _, Result};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tick::Tick;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Maximum number of kept failure reasons.
const MAX_KEPT_REASONS: usize = 5;
/// librdkafka's default of `message.max.bytes`.
const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_000_000;
/// librdkafka options that the producer sets itself, each with the reason or the setting
/// to use instead.
pub(crate) const RESERVED_OPTIONS: [(&str, &str); 8] = [
    ("enable.idempotence", ONCE_AND_IN_ORDER),
    ("acks", ONCE_AND_IN_ORDER),
    ("request.required.acks", ONCE_AND_IN_ORDER),
    ("compression.type", "use send.compression"),
    ("compression.codec", "use send.compression"),
    (
        "delivery.report.only.error",
        "the producer counts the acknowledgements of Kafka, and waits for all of them",
    ),
    (
        "partitioner",
        "a symbol's ticks go to the same partition as from Java clients, \
         so that they stay in order",
    ),
    (
        "allow.auto.create.topics",
        "a missing topic is an error; the producer never creates one",
    ),
];
const ONCE_AND_IN_ORDER: &str = "the producer relies on it to send each tick once and in order";
/// Limit of the wait for acknowledgements after SIGTERM.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);

/// Counts Kafka's answers.
#[derive(Default)]
struct Deliveries {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    reasons: Mutex<Vec<String>>,
}

struct Delivery {
    deliveries: Arc<Deliveries>,
    context: KafkaContext,
}

impl ClientContext for Delivery {
    agent::shared_callbacks!(context);
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.deliveries.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                self.deliveries.failed.fetch_add(1, Ordering::Relaxed);
                let mut reasons = self
                    .deliveries
                    .reasons
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let reason = error.to_string();
                if reasons.len() < MAX_KEPT_REASONS && !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
    }
}

/// Sends ticks and counts Kafka's answers.
pub(crate) struct Sender {
    producer: ThreadedProducer<Delivery>,
    deliveries: Arc<Deliveries>,
    topic: String,
    /// Maximum bytes of a message, key and value.
    message_limit: usize,
    sent: u64,
}

/// librdkafka's answer to a tick.
pub(crate) enum SendOutcome {
    /// The tick is in its queue.
    Queued,
    /// It refused the tick, as its message is too large.
    TooLarge {
        /// Bytes of the message.
        bytes: usize,
        /// Maximum bytes of a message.
        limit: usize,
    },
}

impl Sender {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let deliveries = Arc::new(Deliveries::default());
        let mut client = config.kafka.client_config();
        client
            // It brings acks=all and at most five requests in flight, so retries neither
            // duplicate nor reorder.
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", config.send.compression.name())
            // With this, a key gets the same partition as from Java clients.
            .set("partitioner", "murmur2_random")
            .set("allow.auto.create.topics", "false");
        if ["linger.ms", "queue.buffering.max.ms"]
            .iter()
            .all(|name| client.get(name).is_none())
        {
            client.set("linger.ms", "20");
        }
        let message_limit = client
            .get("message.max.bytes")
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or(DEFAULT_MAX_MESSAGE_BYTES);
        let producer = client
            .create_with_context(Delivery {
                deliveries: Arc::clone(&deliveries),
                context: KafkaContext::default(),
            })
            .context("kafka.options")?;
        Ok(Self {
            producer,
            deliveries,
            topic: config.kafka.topic.clone(),
            message_limit,
            sent: 0,
        })
    }

    /// Gives a tick to librdkafka. Waits while its queue is full, until `shutdown`.
    ///
    /// # Errors
    /// librdkafka refuses the tick for a reason other than its size.
    pub(crate) fn send(
        &mut self,
        tick: &Tick,
        shutdown: &CancellationToken,
    ) -> Result<SendOutcome> {
        let value = tick.to_json();
        let mut record = BaseRecord::to(&self.topic)
            .key(tick.symbol.as_str())
            .payload(&value);
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.sent += 1;
                    return Ok(SendOutcome::Queued);
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                    return Ok(SendOutcome::TooLarge {
                        bytes: tick.symbol.as_str().len() + value.len(),
                        limit: self.message_limit,
                    });
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if !shutdown.is_cancelled() =>
                {
                    std::thread::sleep(Duration::from_millis(5));
                    record = back;
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    // It counts as sent, but not as acknowledged.
                    self.sent += 1;
                    return Ok(SendOutcome::Queued);
                }
                Err((error, _)) => {
                    return Err(error).with_context(|| {
                        format!(
                            "cannot send a tick of {} to topic {:?}",
                            tick.symbol, self.topic
                        )
                    });
                }
            }
        }
    }

    /// Waits until every tick is acknowledged or has failed, but at most 20 s after
    /// `shutdown`. Calls `progress` from time to time.
    pub(crate) fn finish(&self, shutdown: &CancellationToken, mut progress: impl FnMut(u64)) {
        let mut give_up = None;
        while self.outstanding() > 0 && give_up.is_none_or(|at| Instant::now() < at) {
            // A timeout is not an error, as the loop flushes again.
            let _ = self.producer.flush(Duration::from_millis(200));
            progress(self.outstanding());
            if shutdown.is_cancelled() {
                give_up.get_or_insert(Instant::now() + SHUTDOWN_GRACE);
            }
        }
    }

    /// Returns the number of ticks that are sent and neither acknowledged nor failed.
    pub(crate) fn outstanding(&self) -> u64 {
        let answered = self.deliveries.acknowledged.load(Ordering::Relaxed)
            + self.deliveries.failed.load(Ordering::Relaxed);
        self.sent - answered.min(self.sent)
    }

    /// Returns the numbers of acknowledged and of failed ticks, with the first reasons.
    pub(crate) fn outcome(&self) -> (u64, u64, Vec<String>) {
        let Deliveries {
            acknowledged,
            failed,
            reasons,
        } = &*self.deliveries;
        let reasons = reasons
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        (
            acknowledged.load(Ordering::Relaxed),
            failed.load(Ordering::Relaxed),
            reasons,
        )
    }
}
