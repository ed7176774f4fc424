use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use aws_connect::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use lake::{Manifest, ManifestKey, Object, ObjectMetadata, Retention, Term};
use tokio::time::Instant;

use crate::config::Lake;
use crate::landing::attempt;

/// One attempt of one S3 call; a batch's object is at most some tens of megabytes.
const ATTEMPT: Duration = Duration::from_secs(60);
/// How long a start waits for the bucket.
const START: Duration = Duration::from_secs(10);
/// Time between two looks at it.
const AGAIN: Duration = Duration::from_millis(500);

/// Where probe objects go.
const PROBES: &str = "_probe/";

/// What a listing says of an object.
pub(crate) type Listed = aws_sdk_s3::types::Object;

/// The bucket of the lake.
#[derive(Debug, Clone)]
pub(crate) struct LakeBucket {
    s3: Client,
    name: String,
}

/// What came of a PUT that may only create.
#[derive(Debug)]
pub(crate) enum Put {
    /// The object was created.
    Created,
    /// S3 refuses: there is one already.
    Refused,
    /// Nobody knows whether it was created; after a 409 that is so as another PUT of the
    /// same key is under way.
    Unknown(anyhow::Error),
}

impl LakeBucket {
    /// Returns the bucket after a look at it. An S3 that does not answer, or is
    /// overloaded, is asked again for [`START`].
    pub(crate) async fn connect(lake: &Lake) -> Result<Self> {
        Self::connect_by(lake, Instant::now() + START).await
    }

    /// Returns the bucket for those who write to it: also refuses a store that
    /// overwrites. Takes no longer than [`LakeBucket::connect`].
    pub(crate) async fn connect_to_write(lake: &Lake) -> Result<Self> {
        let deadline = Instant::now() + START;
        let bucket = Self::connect_by(lake, deadline).await?;
        bucket.refuse_a_store_that_overwrites(deadline).await?;
        Ok(bucket)
    }

    async fn connect_by(lake: &Lake, deadline: Instant) -> Result<Self> {
        let name = lake.bucket.as_str();
        let s3 = client(&aws_connect::load(ATTEMPT).await, lake.path_style);
        let endpoint = endpoint();
        let mut last = anyhow!(
            "no answer from S3 within {} s, asked {endpoint} for bucket {name:?}",
            START.as_secs()
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
                        "bucket {name:?} does not exist at {endpoint}\n  set lake.bucket (now {name:?}) to the stack's output LakeBucket, or deploy the stack"
                    ),
                    403 => bail!(
                        "access to bucket {name:?} is denied by {endpoint}\n  check lake.bucket (now {name:?}) and the role or credentials of this machine"
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
                    "cannot reach S3 for bucket {name:?} at {endpoint}: {}\n  check the network, AWS_REGION, AWS_ENDPOINT_URL and the credentials; a store behind one host name wants lake.path_style: true",
                    aws_connect::brief(&error)
                ),
            };
            if Instant::now() + AGAIN >= deadline {
                return Err(last);
            }
            tokio::time::sleep(AGAIN).await;
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
            "no answer to a PUT below s3://{}/{PROBES} from {} within {} s",
            self.name,
            endpoint(),
            START.as_secs()
        );
        while Instant::now() < deadline {
            let key = format!("{PROBES}{}.json", attempt());
            let put = || self.create_json(&key, b"{}".to_vec());
            let Ok(puts) =
                tokio::time::timeout_at(deadline, async { (put().await, put().await) }).await
            else {
                break;
            };
            last = match puts {
                (_, Put::Refused) => return Ok(()),
                (Put::Created, Put::Created) => bail!(
                    "{} has created s3://{}/{key} twice: it ignores If-None-Match, without which records land twice or overwrite each other\n  \
                     use a store with conditional writes: AWS S3, MinIO, or Ceph from Squid on",
                    endpoint(),
                    self.name
                ),
                // Nobody knows whether a PUT took effect that was not answered.
                (Put::Unknown(error), _) | (_, Put::Unknown(error)) => error,
                (Put::Refused, Put::Created) => anyhow!(
                    "{} refuses to create s3://{}/{key}, and then creates it",
                    endpoint(),
                    self.name
                ),
            };
            tokio::time::sleep(AGAIN).await;
        }
        Err(last.context("cannot try whether the lake's store creates an object only once"))
    }

    /// Creates a manifest that must not exist yet.
    pub(crate) async fn create_manifest(&self, manifest: &Manifest) -> Result<Put> {
        let body = manifest.to_json().context("a manifest has no JSON")?;
        let key = manifest.key().to_string();
        let put = self
            .s3
            .put_object()
            .content_type("application/json")
            .body(ByteStream::from(body));
        Ok(self.create(put, &key).await)
    }

    /// Creates an object that must not exist yet.
    pub(crate) async fn create_object(&self, object: &Object) -> Put {
        let put = self
            .s3
            .put_object()
            .set_metadata(Some(object.metadata.to_map()))
            .body(ByteStream::from(object.body.clone()));
        self.create(put, &object.key.to_string()).await
    }

    /// Creates a small JSON object outside of the lake's tables that must not exist yet.
    pub(crate) async fn create_json(&self, key: &str, body: Vec<u8>) -> Put {
        self.create(
            self.s3
                .put_object()
                .content_type("application/json")
                .body(ByteStream::from(body)),
            key,
        )
        .await
    }

    /// G1: nothing in the lake is ever overwritten.
    async fn create(&self, put: PutObjectFluentBuilder, key: &str) -> Put {
        match put
            .bucket(&self.name)
            .key(key)
            .if_none_match("*")
            .send()
            .await
        {
            Ok(_) => Put::Created,
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 412 => {
                Put::Refused
            }
            Err(error) => Put::Unknown(anyhow!(
                "PUT s3://{}/{key}: {}",
                self.name,
                aws_connect::brief(&error)
            )),
        }
    }

    /// Returns the newest manifest of a partition.
    pub(crate) async fn newest_manifest(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Option<Arc<Manifest>>> {
        let prefix = ManifestKey::prefix(topic, partition);
        let (manifests, _) = self.page(&prefix, None, 1).await?;
        let Some(key) = manifests.first().and_then(Listed::key) else {
            return Ok(None);
        };
        let key = ManifestKey::parse(key).with_context(|| {
            format!(
                "s3://{}/{key} is no manifest's key, and another program wrote it: move it away",
                self.name
            )
        })?;
        self.manifest(&key).await
    }

    /// Returns the manifest with this key.
    pub(crate) async fn manifest(&self, key: &ManifestKey) -> Result<Option<Arc<Manifest>>> {
        let text = key.to_string();
        let Some((body, _)) = self.get(&text).await? else {
            return Ok(None);
        };
        let manifest =
            Manifest::from_json(&body).with_context(|| format!("s3://{}/{text}", self.name))?;
        anyhow::ensure!(
            manifest.key() == *key,
            "s3://{}/{text} says that it is {}",
            self.name,
            manifest.key()
        );
        Ok(Some(Arc::new(manifest)))
    }

    /// Returns an object's body and metadata.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<(Bytes, Option<ObjectMetadata>)>> {
        let object = match self
            .s3
            .get_object()
            .bucket(&self.name)
            .key(key)
            .send()
            .await
        {
            Ok(object) => object,
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => {
                return Ok(None);
            }
            Err(error) => bail!(
                "GET s3://{}/{key}: {}",
                self.name,
                aws_connect::brief(&error)
            ),
        };
        let metadata = object.metadata().and_then(ObjectMetadata::from_map);
        let body = object
            .body
            .collect()
            .await
            .with_context(|| format!("GET s3://{}/{key}", self.name))?;
        Ok(Some((body.into_bytes(), metadata)))
    }

    /// Returns what an object's metadata says: `None` where there is no object, empty
    /// where another program wrote it.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<Option<ObjectMetadata>>> {
        match self
            .s3
            .head_object()
            .bucket(&self.name)
            .key(key)
            .send()
            .await
        {
            Ok(object) => Ok(Some(object.metadata().and_then(ObjectMetadata::from_map))),
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => Ok(None),
            Err(error) => bail!(
                "HEAD s3://{}/{key}: {}",
                self.name,
                aws_connect::brief(&error)
            ),
        }
    }

    /// Returns the keys below a prefix, in order.
    pub(crate) fn keys<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Stream<Item = Result<String>> + Unpin + 'a {
        self.listed(prefix)
            .map_ok(|object| object.key.unwrap_or_default())
    }

    /// Returns what a listing says of the objects below a prefix, in the order of their
    /// keys.
    pub(crate) fn listed<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Stream<Item = Result<Listed>> + Unpin + 'a {
        let first = Some(None::<String>);
        let pages = futures::stream::try_unfold(first, move |next| async move {
            let Some(token) = next else { return Ok(None) };
            let (objects, next) = self.page(prefix, token, 1_000).await?;
            anyhow::Ok(Some((
                futures::stream::iter(objects.into_iter().map(Ok)),
                next.map(Some),
            )))
        });
        Box::pin(pages.try_flatten())
    }

    /// Returns objects below a prefix, and where the next page begins.
    async fn page(
        &self,
        prefix: &str,
        token: Option<String>,
        most: i32,
    ) -> Result<(Vec<Listed>, Option<String>)> {
        let page = self
            .s3
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(prefix)
            .max_keys(most)
            .set_continuation_token(token)
            .send()
            .await;
        let page = page.map_err(|error| {
            anyhow!(
                "LIST s3://{}/{prefix}: {}",
                self.name,
                aws_connect::brief(&error)
            )
        })?;
        Ok((
            page.contents.unwrap_or_default(),
            page.next_continuation_token,
        ))
    }

    /// Records for how long the bucket's lifecycle keeps objects from now on, where that
    /// has changed.
    pub(crate) async fn record_retention(&self, days: Option<u32>) -> Result<()> {
        let recorded = self.retention().await?.days();
        if recorded == days {
            return Ok(());
        }
        let (key, body) = Term { since: now(), days }.to_object();
        match self.create_json(&key, body).await {
            Put::Created => tracing::info!(
                days,
                was = recorded,
                "the lake's retention has changed, and is recorded"
            ),
            // Another consumer that starts within the same second records the same.
            Put::Refused => {}
            Put::Unknown(error) => return Err(error),
        }
        Ok(())
    }

    /// Returns the lake's retention as it is recorded.
    pub(crate) async fn retention(&self) -> Result<Retention> {
        let mut terms = Vec::new();
        let mut keys = self.keys(Term::PREFIX);
        while let Some(key) = keys.try_next().await? {
            let (body, _) = self
                .get(&key)
                .await?
                .with_context(|| format!("s3://{}/{key} is gone", self.name))?;
            let term = Term::parse(&key, &body).with_context(|| {
                format!("s3://{}/{key} is no record of the lake's retention, and another program wrote it: move it away", self.name)
            })?;
            terms.push(term);
        }
        Ok(Retention::new(terms))
    }

    /// Returns true where the bucket's lifecycle may have taken a manifest's objects.
    pub(crate) async fn may_have_expired(&self, manifest: &ManifestKey) -> Result<bool> {
        let key = manifest.to_string();
        let head = self
            .s3
            .head_object()
            .bucket(&self.name)
            .key(&key)
            .send()
            .await;
        let head = head.map_err(|error| {
            anyhow!(
                "HEAD s3://{}/{key}: {}",
                self.name,
                aws_connect::brief(&error)
            )
        })?;
        let created = head
            .last_modified()
            .with_context(|| format!("HEAD s3://{}/{key} has no Last-Modified", self.name))?
            .secs();
        Ok(self.retention().await?.may_have_expired(created, now()))
    }

    /// Lists the folders right below a prefix.
    pub(crate) async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut pages = self
            .s3
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(prefix)
            .delimiter("/")
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                anyhow!(
                    "LIST s3://{}/{prefix}: {}",
                    self.name,
                    aws_connect::brief(&error)
                )
            })?;
            let name = |folder: &str| {
                folder
                    .strip_prefix(prefix)
                    .map(|name| name.trim_end_matches('/').to_owned())
            };
            found.extend(
                page.common_prefixes()
                    .iter()
                    .filter_map(|folder| folder.prefix())
                    .filter_map(name),
            );
        }
        Ok(found)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
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

/// Returns the seconds since the epoch.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs() as i64)
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
