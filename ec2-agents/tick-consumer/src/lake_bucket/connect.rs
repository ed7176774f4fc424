use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use aws_connect::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

use super::bucket::{LakeBucket, Put};
use crate::attempt::attempt;
use crate::config::LakeSettings;

/// One attempt of one S3 call; a batch's object is at most some tens of megabytes.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a start waits for the bucket.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two looks at it.
const START_RETRY: Duration = Duration::from_millis(500);

/// The prefix of probe objects.
const PROBE_PREFIX: &str = "_probe/";

impl LakeBucket {
    /// Returns the bucket after a look at it. An S3 that does not answer, or is
    /// overloaded, is asked again for [`START_TIMEOUT`].
    pub(crate) async fn connect(lake: &LakeSettings) -> Result<Self> {
        Self::connect_by(lake, Instant::now() + START_TIMEOUT).await
    }

    /// Returns the bucket for those who write to it: also refuses a store that
    /// overwrites. Takes no longer than [`LakeBucket::connect`].
    pub(crate) async fn connect_to_write(lake: &LakeSettings) -> Result<Self> {
        let deadline = Instant::now() + START_TIMEOUT;
        let bucket = Self::connect_by(lake, deadline).await?;
        bucket.refuse_a_store_that_overwrites(deadline).await?;
        Ok(bucket)
    }

    async fn connect_by(lake: &LakeSettings, deadline: Instant) -> Result<Self> {
        let name = lake.bucket.as_str();
        let s3 = client(&aws_connect::load(CALL_TIMEOUT).await, lake.path_style);
        let endpoint = endpoint();
        let mut last = anyhow!(
            "no answer from S3 within {} s, asked {endpoint} for bucket {name:?}",
            START_TIMEOUT.as_secs()
        );
        loop {
            let Ok(head) =
                tokio::time::timeout_at(deadline, s3.head_bucket().bucket(name).send()).await
            else {
                return Err(last);
            };
            last = match head {
                Ok(_) => {
                    return Ok(Self {
                        s3,
                        name: name.to_owned(),
                    });
                }
                Err(SdkError::ServiceError(error)) => match error.raw().status().as_u16() {
                    404 => bail!(
                        "bucket {name:?} does not exist at {endpoint}\n  set lake.bucket (now \
                         {name:?}) to the stack's output LakeBucket, or deploy the stack"
                    ),
                    403 => bail!(
                        "access to bucket {name:?} is denied by {endpoint}\n  check lake.bucket \
                         (now {name:?}) and the role or credentials of this machine"
                    ),
                    status => {
                        let error = anyhow!(
                            "bucket {name:?}: {endpoint} answered {status} {}",
                            error.err().message().unwrap_or_default()
                        );
                        ensure!(status >= 500, error);
                        error
                    }
                },
                Err(error) => anyhow!(
                    "cannot reach S3 for bucket {name:?} at {endpoint}: {}\n  check the network, \
                     AWS_REGION, AWS_ENDPOINT_URL and the credentials; a store behind one host \
                     name wants lake.path_style: true",
                    aws_connect::brief(&error)
                ),
            };
            if Instant::now() + START_RETRY >= deadline {
                return Err(last);
            }
            tokio::time::sleep(START_RETRY).await;
        }
    }

    /// Refuses a store that overwrites objects in spite of `If-None-Match`, on which G1
    /// rests: creates an object, and wants the second PUT of it refused. A lifecycle rule
    /// of the bucket takes the object away.
    ///
    /// # Errors
    /// The store overwrites, or gives no two answers before `deadline`.
    async fn refuse_a_store_that_overwrites(&self, deadline: Instant) -> Result<()> {
        let mut last = anyhow!(
            "no answer to a PUT below {} from {} within {} s",
            self.place(PROBE_PREFIX),
            endpoint(),
            START_TIMEOUT.as_secs()
        );
        while Instant::now() < deadline {
            let key = format!("{PROBE_PREFIX}{}.json", attempt());
            let put = || self.create_json(&key, b"{}".to_vec());
            let Ok(puts) =
                tokio::time::timeout_at(deadline, async { (put().await, put().await) }).await
            else {
                break;
            };
            last = match puts {
                (_, Put::Refused) => return Ok(()),
                (Put::Created, Put::Created) => bail!(
                    "{} has created {} twice: it ignores If-None-Match, without which \
                     records land twice or overwrite each other\n  \
                     use a store with conditional writes: AWS S3, MinIO, or Ceph from Squid on",
                    endpoint(),
                    self.place(&key)
                ),
                // Nobody knows whether a PUT took effect that was not answered.
                (Put::Unknown(error), _) | (_, Put::Unknown(error)) => error.into(),
                (Put::Refused, Put::Created) => anyhow!(
                    "{} refuses to create {}, and then creates it",
                    endpoint(),
                    self.place(&key)
                ),
            };
            tokio::time::sleep(START_RETRY).await;
        }
        Err(last.context("cannot try whether the lake's store creates an object only once"))
    }
}

fn client(aws: &SdkConfig, path_style: bool) -> Client {
    Client::from_conf(
        aws_sdk_s3::config::Builder::from(aws)
            .force_path_style(path_style)
            .build(),
    )
}

/// Returns the store's name for people.
fn endpoint() -> String {
    std::env::var("AWS_ENDPOINT_URL").map_or_else(
        |_| "AWS".to_owned(),
        |url| format!("the endpoint in AWS_ENDPOINT_URL ({url})"),
    )
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
    use aws_sdk_s3::presigning::PresigningConfig;

    use super::*;

    /// MinIO and Ceph behind one host name were asked for a host that nobody knows.
    #[tokio::test]
    async fn a_store_behind_one_host_name_is_asked_by_path() {
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url("http://minio.example:9000")
            .build();
        for (path_style, wanted) in [
            (false, "http://lake.minio.example:9000/key?"),
            (true, "http://minio.example:9000/lake/key?"),
        ] {
            let signing = PresigningConfig::expires_in(Duration::from_secs(1)).expect("a time");
            let request = client(&aws, path_style)
                .get_object()
                .bucket("lake")
                .key("key")
                .presigned(signing)
                .await
                .expect("a request");
            assert!(request.uri().starts_with(wanted), "{}", request.uri());
        }
    }
}
