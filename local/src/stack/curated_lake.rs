use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use serde_json::{Value, json};

use crate::Aws;

/// Everything around a lake that `curate` needs, without a stack: the curated tables and
/// the queue of units of work. The queue and the tables' database have the bucket's name.
#[derive(Debug, Clone)]
pub struct CuratedLake {
    /// The bucket.
    pub bucket: String,
    /// URL of the queue.
    pub queue: String,
}

impl CuratedLake {
    /// The curated tables, and the prefixes of their locations.
    pub const TABLES: [(&str, &str); 2] = [
        ("curated_ticks", "curated/ticks/"),
        ("bars_1m", "curated/bars_1m/"),
    ];

    /// Creates queue and tables for an existing bucket, and switches its versioning on: a
    /// key that is overwritten then has two versions.
    ///
    /// # Errors
    /// AWS refuses.
    pub async fn create(aws: &Aws, bucket: &str) -> Result<Self> {
        let versioning = VersioningConfiguration::builder();
        let versioning = versioning.status(BucketVersioningStatus::Enabled).build();
        let put = Client::new(aws.config()).put_bucket_versioning();
        let put = put.bucket(bucket).versioning_configuration(versioning);
        put.send().await.context("PutBucketVersioning")?;
        let database = json!({"DatabaseInput": {"Name": bucket}});
        aws.call("glue", "create_database", &database).await?;
        let column = |name: &str| json!({"Name": name, "Type": "string"});
        for (table, prefix) in Self::TABLES {
            let table = json!({
                "DatabaseName": bucket,
                "TableInput": {
                    "Name": table,
                    "PartitionKeys": [column("dt"), column("hr")],
                    "StorageDescriptor": {
                        "Columns": [column("symbol")],
                        "Location": format!("s3://{bucket}/{prefix}"),
                    },
                },
            });
            aws.call("glue", "create_table", &table).await?;
        }
        let queue = json!({"QueueName": bucket});
        let queue = aws.call("sqs", "create_queue", &queue).await?;
        let url = queue["QueueUrl"].as_str().context("a queue without URL")?;
        Ok(Self {
            bucket: bucket.to_owned(),
            queue: url.to_owned(),
        })
    }

    /// Returns the environment of a process of the function that reaches AWS at an
    /// endpoint, and looks at ticks of any age.
    pub fn environment(&self, aws: &Aws, endpoint: &str) -> Vec<(String, String)> {
        let settings = [
            ("AWS_ENDPOINT_URL", endpoint),
            ("LAKE_BUCKET", &self.bucket),
            ("WORK_QUEUE_URL", &self.queue),
            ("GLUE_DATABASE", &self.bucket),
            ("CURATE_GRACE_MINUTES", "10"),
            ("CURATE_LOOK_BACK_DAYS", "36500"),
        ];
        let settings = settings.map(|(name, value)| (name, value.to_owned()));
        let all = aws.environment().into_iter().chain(settings);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Returns the payload that Lambda gives the function for a message that was received
    /// so many times.
    pub fn batch(body: &str, receives: u32) -> Value {
        json!({"Records": [{
            "eventSource": "aws:sqs",
            "messageId": "m0",
            "body": body,
            "attributes": {"ApproximateReceiveCount": receives.to_string()},
        }]})
    }
}
