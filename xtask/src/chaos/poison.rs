use anyhow::Result;
use aws_sdk_s3::Client;
use lake::ManifestKey;
use local::Aws;

/// So high that no consumer reaches it.
const FIRST_OFFSET: i64 = 1_000_000_000_000;

/// A manifest that no consumer can read, listed before a partition's newest one. Only
/// that partition has the fault.
pub(crate) struct Poison {
    s3: Client,
    bucket: String,
    key: String,
}

impl Poison {
    /// Puts the manifest into the lake in `bucket`, which has the topic's name.
    pub(crate) async fn put(aws: &Aws, bucket: &str, partition: i32) -> Result<Self> {
        let key = ManifestKey {
            topic: bucket.to_owned(),
            partition,
            first: FIRST_OFFSET,
        }
        .to_string();
        let poison = Self {
            s3: Client::new(aws.config()),
            bucket: bucket.to_owned(),
            key,
        };
        let body = br#"{"version":9,"writer":"ticklake/9.9.9"}"#.to_vec();
        poison
            .s3
            .put_object()
            .bucket(&poison.bucket)
            .key(&poison.key)
            .body(body.into())
            .send()
            .await?;
        Ok(poison)
    }

    /// Removes the manifest, as an operator does. The partition then continues by itself.
    pub(crate) async fn take_away(self) -> Result<()> {
        self.s3
            .delete_object()
            .bucket(self.bucket)
            .key(self.key)
            .send()
            .await?;
        Ok(())
    }
}
