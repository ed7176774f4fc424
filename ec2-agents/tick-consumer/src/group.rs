use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::client_config::client_config;
use crate::config::GroupSettings;
use crate::membership::{Change, Membership, TickConsumer};
use crate::memory::Shares;
use crate::readers::{Readers, Setup};

/// Reads the partitions that the group gives this consumer, until `shutdown`.
pub(crate) async fn serve(setup: Setup, shutdown: CancellationToken) -> Result<()> {
    let config = Arc::clone(&setup.config);
    let status = Arc::clone(&setup.status);
    let shares = Shares::of(config.memory.limit.0, setup.partitions)?;
    let (membership, mut changed) = Membership::new(&config.kafka.topic, &status);
    let consumer: TickConsumer = client_config(&config, &shares)
        .create_with_context(membership)
        .context("kafka.options")?;
    let consumer = Arc::new(consumer);
    consumer.subscribe(&[&config.kafka.topic])?;
    let mut readers = Readers::new(setup, Arc::clone(&consumer), shares.batches);
    let outcome = loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break Ok(()),
            fault = readers.ended() => break Err(fault),
            Some(change) = changed.recv() => {
                let done = match change {
                    Change::Assigned(partitions) => readers.start(&partitions).await,
                    Change::Revoked { partitions, is_lost } => {
                        if is_lost {
                            status.lost();
                        }
                        readers.give_back(&partitions).await
                    }
                };
                if let Err(error) = done {
                    break Err(error);
                }
            }
            polled = consumer.recv() => match polled {
                Ok(_) => break Err(anyhow!(
                    "a record came outside its partition's queue; this is a fault in \
                     tick-consumer, nothing was committed past it"
                )),
                Err(error) => if let Err(fatal) = survived(&consumer, &error, &config.group) {
                    break Err(fatal);
                },
            },
        }
    };
    let stopped = readers.stop_all().await;
    drop(changed);
    info!(event = "leaving_group", "leaving the group");
    outcome.and(stopped)
}

/// Returns an error if the client cannot go on.
fn survived(consumer: &TickConsumer, error: &KafkaError, group: &GroupSettings) -> Result<()> {
    match consumer.client().fatal_error() {
        Some((RDKafkaErrorCode::FencedInstanceId, _)) => Err(anyhow!(
            "another consumer has joined group {:?} as {:?}, or this one was away for longer than \
             its session\n  \
             start it again, and give each consumer a group.instance_id of its own",
            group.id,
            group.instance_id.as_deref().unwrap_or_default()
        )),
        Some((_, reason)) => Err(anyhow!("the Kafka client cannot go on: {reason}")),
        None => {
            warn!(
                event = "kafka_trouble",
                %error,
                "Kafka is in trouble, the client goes on trying"
            );
            Ok(())
        }
    }
}
