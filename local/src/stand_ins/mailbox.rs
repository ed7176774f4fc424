use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::Aws;

/// A subscriber's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The e-mail addresses subscribed to the topic.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub body: String,
    /// The time at which SNS sent it, in milliseconds since 1970. ministack's own
    /// timestamp has only seconds.
    pub published_ms: i64,
    /// The values of the message attributes, by which subscribers can filter.
    pub attributes: BTreeMap<String, String>,
}

/// The inbox of the local stack's subscribers. The local AWS sends no e-mail. So a queue
/// is also subscribed to the topic, and every mail becomes a file for people.
pub struct Mailbox {
    folder: PathBuf,
    mails: Arc<Mutex<Vec<Mail>>>,
    reader: JoinHandle<()>,
}

/// The message that SNS puts into a queue.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    subject: Option<String>,
    message: String,
    #[serde(default)]
    message_attributes: BTreeMap<String, Attribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    value: String,
}

impl Mailbox {
    /// Subscribes to a topic and keeps its mails as `0001.txt` and so on in a folder.
    /// With a filter policy it keeps only the mails that match.
    ///
    /// # Errors
    /// The queue or the subscription is refused.
    pub async fn open(
        aws: &Aws,
        topic_arn: &str,
        folder: PathBuf,
        filter: Option<&str>,
    ) -> Result<Self> {
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let sqs = aws_sdk_sqs::Client::new(aws.config());
        let sns = aws_sdk_sns::Client::new(aws.config());
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let queue = sqs
            .create_queue()
            .queue_name(format!("ticklake-local-{name}"))
            .send()
            .await
            .context("CreateQueue")?;
        let url = queue
            .queue_url()
            .context("the mailbox has no queue URL")?
            .to_owned();
        let attributes = sqs
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await
            .context("GetQueueAttributes")?;
        let arn = attributes
            .attributes()
            .and_then(|attributes| attributes.get(&QueueAttributeName::QueueArn))
            .context("the mailbox has no queue ARN")?;
        let statement = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
            }],
        });
        let policy = HashMap::from([(QueueAttributeName::Policy, statement.to_string())]);
        sqs.set_queue_attributes()
            .queue_url(&url)
            .set_attributes(Some(policy))
            .send()
            .await
            .context("SetQueueAttributes")?;
        let filter =
            filter.map(|policy| HashMap::from([("FilterPolicy".to_owned(), policy.to_owned())]));
        sns.subscribe()
            .topic_arn(topic_arn)
            .protocol("sqs")
            .endpoint(arn)
            .set_attributes(filter)
            .send()
            .await
            .context("Subscribe")?;
        let mails = Arc::new(Mutex::new(Vec::new()));
        let reader = tokio::spawn(read(
            sqs,
            sns,
            url,
            topic_arn.to_owned(),
            folder.clone(),
            Arc::clone(&mails),
        ));
        Ok(Self {
            folder,
            mails,
            reader,
        })
    }

    /// Returns the folder of the mails.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the mails that have come so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(
    sqs: aws_sdk_sqs::Client,
    sns: aws_sdk_sns::Client,
    url: String,
    topic_arn: String,
    folder: PathBuf,
    mails: Arc<Mutex<Vec<Mail>>>,
) {
    loop {
        if let Err(error) = receive(&sqs, &sns, &url, &topic_arn, &folder, &mails).await {
            warn!(
                error = format!("{error:#}"),
                "cannot read the mailbox, trying again"
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn receive(
    sqs: &aws_sdk_sqs::Client,
    sns: &aws_sdk_sns::Client,
    url: &str,
    topic_arn: &str,
    folder: &Path,
    mails: &Mutex<Vec<Mail>>,
) -> Result<()> {
    let receive = sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .wait_time_seconds(2);
    let received = receive
        .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
        .send()
        .await
        .context("ReceiveMessage")?;
    for message in received.messages() {
        let notification: Notification = serde_json::from_str(message.body().unwrap_or_default())
            .context("not an SNS notification")?;
        let subscriptions = sns
            .list_subscriptions_by_topic()
            .topic_arn(topic_arn)
            .send()
            .await
            .context("ListSubscriptionsByTopic")?;
        let addresses = subscriptions
            .subscriptions()
            .iter()
            .filter(|subscription| subscription.protocol() == Some("email"));
        let to = addresses
            .filter_map(|subscription| subscription.endpoint())
            .collect::<Vec<_>>()
            .join(", ");
        let sent = message
            .attributes()
            .and_then(|attributes| attributes.get(&MessageSystemAttributeName::SentTimestamp));
        let mail = Mail {
            to,
            subject: notification.subject.unwrap_or_default(),
            body: notification.message,
            published_ms: sent.context("no SentTimestamp")?.parse()?,
            attributes: notification
                .message_attributes
                .into_iter()
                .map(|(name, attribute)| (name, attribute.value))
                .collect(),
        };
        let number = {
            let mut mails = mails.lock().unwrap_or_else(PoisonError::into_inner);
            mails.push(mail.clone());
            mails.len()
        };
        let path = folder.join(format!("{number:04}.txt"));
        std::fs::write(&path, mail.text()).with_context(|| path.display().to_string())?;
        if let Some(receipt) = message.receipt_handle() {
            sqs.delete_message()
                .queue_url(url)
                .receipt_handle(receipt)
                .send()
                .await
                .context("DeleteMessage")?;
        }
    }
    Ok(())
}

impl Mail {
    /// Returns the mail as text with its header lines.
    pub fn text(&self) -> String {
        format!(
            "To: {}\nSubject: {}\n\n{}",
            self.to, self.subject, self.body
        )
    }

    /// Returns the number of times that each object is listed, by `s3://` URL. A listed
    /// file is indented, above the URL of its folder.
    pub fn listed(&self) -> BTreeMap<String, u64> {
        let mut listed = BTreeMap::new();
        let mut names: Vec<&str> = Vec::new();
        for line in self.body.lines() {
            if let Some(file) = line
                .strip_prefix("  ")
                .filter(|file| !file.starts_with("… and "))
            {
                names.extend(file.split("    ").next());
            } else if line.starts_with("s3://") {
                for name in names.drain(..) {
                    *listed.entry(format!("{line}{name}")).or_default() += 1;
                }
            }
        }
        listed
    }

    /// Returns `dt` and `hr` of each complete hour that it tells of, from the queries that
    /// it has.
    pub fn hours(&self) -> BTreeSet<[String; 2]> {
        let hour = |line: &str| {
            let (_, filter) = line
                .strip_prefix("Query the bars:")?
                .split_once(" WHERE ")?;
            let mut values = filter.split('\'').skip(1).step_by(2).map(str::to_owned);
            Some([values.next()?, values.next()?])
        };
        self.body.lines().filter_map(hour).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(body: &str) -> Mail {
        Mail {
            to: String::new(),
            subject: String::new(),
            body: body.to_owned(),
            published_ms: 0,
            attributes: BTreeMap::new(),
        }
    }

    #[test]
    fn complete_hours_are_in_the_queries() {
        let body = concat!(
            "A    1 to 2    +100.00 %\n\n",
            "Query the bars:  SELECT * FROM d.bars_1m WHERE dt = '2026-11-24' AND hr = '05' ORDER BY x\n",
            "Query them:  SELECT * FROM d.ticks WHERE dt = '2026-11-24' AND hr = '06'\n",
        );
        let hours = mail(body).hours();
        assert_eq!(hours, [["2026-11-24", "05"].map(str::to_owned)].into());
        assert_eq!(mail(body).listed(), BTreeMap::new());
    }

    #[test]
    fn listed_objects_are_above_their_folder() {
        let body = concat!(
            "52 new files\n\ndt=x    2 files\n",
            "  a.parquet    1 tick    1 KiB\n  b c.parquet    1 tick    1 KiB\n",
            "  … and 50 more files\nQuery them:  SELECT\ns3://lake/ticks/dt=x/\n",
        );
        let listed: Vec<String> = mail(body).listed().into_keys().collect();
        assert_eq!(
            listed,
            [
                "s3://lake/ticks/dt=x/a.parquet",
                "s3://lake/ticks/dt=x/b c.parquet"
            ]
        );
    }
}
