use std::cell::RefCell;

use anyhow::{Context as _, Result, bail};
use local::{Aws, CuratedLake, sample};
use serde_json::json;
use tokio::time::Instant;

use super::deliveries::Deliveries;
use super::seat::Seat;

/// Takes messages out of the queue and hands them over, in place of Lambda.
pub(super) struct Courier<'a> {
    pub(super) aws: &'a Aws,
    pub(super) queue: &'a str,
    pub(super) deliveries: &'a RefCell<Deliveries>,
}

impl Courier<'_> {
    /// Takes the messages out of the queue.
    pub(super) async fn fetch(&self) -> Result<()> {
        loop {
            let receive = json!({"QueueUrl": self.queue, "MaxNumberOfMessages": 10});
            let received = self.aws.call("sqs", "receive_message", &receive).await?;
            let Some(messages) = received["Messages"].as_array() else {
                return Ok(());
            };
            for message in messages {
                let receipt = &message["ReceiptHandle"];
                let delete = json!({"QueueUrl": self.queue, "ReceiptHandle": receipt});
                self.aws.call("sqs", "delete_message", &delete).await?;
                let body = message["Body"].as_str().context("a message without body")?;
                self.deliveries.borrow_mut().add(body, Instant::now());
            }
        }
    }

    /// Hands a message over to a worker. Returns false if none is due.
    pub(super) async fn hand_over(&self, worker: &mut Seat) -> Result<bool> {
        let taken = self.deliveries.borrow_mut().take(Instant::now());
        let Some(delivery) = taken else {
            return Ok(false);
        };
        let batch = CuratedLake::batch(&delivery.body, delivery.receives);
        let is_done = match worker.invoke(&batch).await? {
            Some(Ok(answer)) => sample::failed(&answer)?.is_empty(),
            Some(Err(error)) => bail!("a worker refuses its batch: {error}"),
            None => false,
        };
        if !is_done {
            self.deliveries
                .borrow_mut()
                .give_back(delivery, Instant::now());
        }
        Ok(true)
    }

    /// Returns whether no message waits.
    pub(super) fn is_idle(&self) -> bool {
        self.deliveries.borrow().is_empty()
    }
}
