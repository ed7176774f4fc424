use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use lake::{Object, ObjectMetadata};

/// One attempt of one S3 call; a batch's object is at most some tens of megabytes.
const ATTEMPT: Duration = Duration::from_secs(60);
/// How long a start waits for the bucket.
const START: Duration = Duration::from_secs(12);

/// The bucket of the lake.
#[derive(Debug, Clone)]
pub(crate) struct LakeBucket {
    s3: Client,
    name: String,
}

/// What came of a PUT that may only create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The object was created.
    Created,
    /// An object with this key and the same metadata is there already: an earlier attempt of ours got through.
    Exists,
    /// An object with this key and other metadata is there: somebody else's, or that of a topic which has been made anew since.
    Foreign,
}

impl LakeBucket {
    /// Returns the bucket after a look at it.
    pub(crate) async fn connect(name: &str) -> Result<Self> {
        let s3 = Client::new(&aws_connect::load(ATTEMPT).await);
        let endpoint =
            std::env::var("AWS_ENDPOINT_URL").map_or_else(|_| "AWS".to_owned(), |url| format!("the endpoint in AWS_ENDPOINT_URL ({url})"));
        let head = tokio::time::timeout(START, s3.head_bucket().bucket(name).send()).await;
        let head = head.with_context(|| format!("no answer from S3 within {} s, asked {endpoint} for bucket {name:?}", START.as_secs()))?;
        match head {
            Ok(_) => Ok(Self { s3, name: name.to_owned() }),
            Err(SdkError::ServiceError(error)) => match error.raw().status().as_u16() {
                404 => bail!(
                    "bucket {name:?} does not exist at {endpoint}\n  set lake.bucket (now {name:?}) to the stack's output LakeBucket, or deploy the stack"
                ),
                403 => bail!(
                    "access to bucket {name:?} is denied by {endpoint}\n  check lake.bucket (now {name:?}) and the role or credentials of this machine"
                ),
                status => bail!("bucket {name:?}: {endpoint} answered {status} {}", error.err().message().unwrap_or_default()),
            },
            Err(error) => bail!(
                "cannot reach S3 for bucket {name:?} at {endpoint}: {}\n  check the network, AWS_REGION, AWS_ENDPOINT_URL and the credentials",
                aws_connect::brief(&error)
            ),
        }
    }

    /// Puts an object that must not exist yet. Never overwrites.
    pub(crate) async fn create(&self, object: &Object) -> Result<Put> {
        let put = self.s3.put_object().bucket(&self.name).key(object.key.to_string()).if_none_match("*");
        let put = put.set_metadata(Some(object.metadata.to_map())).body(ByteStream::from(object.body.clone()));
        match put.send().await {
            Ok(_) => Ok(Put::Created),
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 412 => self.compare(object).await,
            Err(error) => {
                Err(anyhow::anyhow!(aws_connect::brief(&error))).with_context(|| format!("PUT s3://{}/{}", self.name, object.key))
            }
        }
    }

    async fn compare(&self, object: &Object) -> Result<Put> {
        let head = self.s3.head_object().bucket(&self.name).key(object.key.to_string()).send().await;
        let head = head
            .map_err(|error| anyhow::anyhow!(aws_connect::brief(&error)))
            .with_context(|| format!("HEAD s3://{}/{}", self.name, object.key))?;
        let there = head.metadata().and_then(ObjectMetadata::from_map);
        Ok(if there.as_ref() == Some(&object.metadata) { Put::Exists } else { Put::Foreign })
    }
}
