use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use aws_connect::{SdkConfig, has_status};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Tag, Tagging};
use bytes::Bytes;
use curation::{OutputKey, RegisterKey};
use jiff::Timestamp;

/// Limit of each attempt to transfer an object of some hundred megabytes.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(60);
/// Attempts of a call, of a download that breaks off, and of a PUT that meets another
/// one.
const MAX_ATTEMPTS: u32 = 5;
/// Time before another attempt; the SDK doubles it each time.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// The S3 metadata of an output that names the plan that it was made by.
const PLAN_DIGEST: &str = "plan";
/// The tag by which the lifecycle rule in template.yaml finds outputs to expire.
const SUPERSEDED: (&str, &str) = ("ticklake-superseded", "true");

/// The bucket of the lake.
#[derive(Debug, Clone)]
pub struct LakeBucket {
    /// For calls with small answers.
    s3: Client,
    /// For whole objects.
    transfers: Client,
    name: String,
}

/// An object in a listing.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// When it was created.
    pub modified: Timestamp,
}

/// The outcome of a PUT that may only create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object was created.
    Created,
    /// There is one already: an earlier attempt's, or somebody else's.
    Exists,
}

impl LakeBucket {
    /// Returns the bucket. With `path_style` its name goes into the path of each request
    /// instead of the host name.
    pub fn new(config: &SdkConfig, name: String, path_style: bool) -> Self {
        let retries = RetryConfig::standard()
            .with_max_attempts(MAX_ATTEMPTS)
            .with_initial_backoff(RETRY_INTERVAL);
        let settings = Builder::from(config)
            .force_path_style(path_style)
            .retry_config(retries);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(TRANSFER_TIMEOUT);
        let transfers = settings.clone().timeout_config(timeouts.build());
        Self {
            s3: Client::from_conf(settings.build()),
            transfers: Client::from_conf(transfers.build()),
            name,
        }
    }

    /// Returns the objects below a prefix.
    ///
    /// # Errors
    /// S3 does not answer, or refuses.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let list = self.s3.list_objects_v2().bucket(&self.name).prefix(prefix);
        let mut pages = list.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("ListObjectsV2", prefix, &error))?;
            for object in page.contents() {
                let listed = (|| {
                    let modified = object.last_modified()?;
                    let nanos = i32::try_from(modified.subsec_nanos()).ok()?;
                    Some(Listed {
                        key: object.key()?.to_owned(),
                        bytes: object.size()?.try_into().ok()?,
                        modified: Timestamp::new(modified.secs(), nanos).ok()?,
                    })
                })();
                found.push(listed.with_context(|| {
                    format!(
                        "ListObjectsV2 {}: an object lacks a key, size or time",
                        self.place(prefix)
                    )
                })?);
            }
        }
        Ok(found)
    }

    /// Returns the folders directly below a prefix, as prefixes.
    ///
    /// # Errors
    /// S3 does not answer, or refuses.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let list = self.s3.list_objects_v2().bucket(&self.name);
        let mut pages = list.prefix(prefix).delimiter("/").into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("ListObjectsV2", prefix, &error))?;
            let folders = page.common_prefixes().iter();
            found.extend(folders.filter_map(|folder| folder.prefix().map(str::to_owned)));
        }
        Ok(found)
    }

    /// Returns an object's body, or `None` if there is no object.
    ///
    /// # Errors
    /// S3 does not answer, or refuses.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let mut attempt = 1;
        loop {
            let get = self.transfers.get_object().bucket(&self.name).key(key);
            let object = match get.send().await {
                Ok(object) => object,
                Err(error) if has_status(&error, 404) => return Ok(None),
                Err(error) => return Err(self.failed("GetObject", key, &error)),
            };
            // The SDK does not retry a body that breaks off.
            match object.body.collect().await {
                Ok(body) => return Ok(Some(body.into_bytes())),
                Err(error) if attempt >= MAX_ATTEMPTS => {
                    let place = self.place(key);
                    return Err(anyhow!(error)).with_context(|| format!("GetObject {place}"));
                }
                Err(_) => {}
            }
            attempt += 1;
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// Returns whether an output carries the digest of this plan.
    ///
    /// # Errors
    /// S3 does not answer, or refuses.
    pub async fn has_digest(&self, output: &OutputKey, digest: &str) -> Result<bool> {
        let key = output.to_string();
        let head = self.s3.head_object().bucket(&self.name).key(&key).send();
        let head = head
            .await
            .map_err(|error| self.failed("HeadObject", &key, &error))?;
        let found = head
            .metadata()
            .and_then(|metadata| metadata.get(PLAN_DIGEST));
        Ok(found.is_some_and(|found| found == digest))
    }

    /// Creates an output that carries its plan's digest, if there is none with its key.
    ///
    /// # Errors
    /// S3 does not answer, or refuses.
    pub async fn create_output(&self, key: &OutputKey, body: Bytes, digest: &str) -> Result<Put> {
        let metadata = HashMap::from([(PLAN_DIGEST.to_owned(), digest.to_owned())]);
        self.create_with(key.to_string(), body, Some(metadata))
            .await
    }

    /// Creates a register, if there is none with its key.
    ///
    /// # Errors
    /// S3 does not answer, or refuses.
    pub async fn create(&self, key: &RegisterKey, body: Bytes) -> Result<Put> {
        self.create_with(key.to_string(), body, None).await
    }

    /// Nothing is ever overwritten.
    async fn create_with(
        &self,
        key: String,
        body: Bytes,
        metadata: Option<HashMap<String, String>>,
    ) -> Result<Put> {
        let mut attempt = 1;
        loop {
            let put = self
                .transfers
                .put_object()
                .bucket(&self.name)
                .key(&key)
                .if_none_match("*")
                .set_metadata(metadata.clone())
                .body(ByteStream::from(body.clone()));
            match put.send().await {
                Ok(_) => return Ok(Put::Created),
                Err(error) if has_status(&error, 412) => return Ok(Put::Exists),
                // Another PUT of the key is under way.
                Err(error) if has_status(&error, 409) && attempt < MAX_ATTEMPTS => {}
                Err(error) => return Err(self.failed("PutObject", &key, &error)),
            }
            attempt += 1;
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// Tags an object, so that the lifecycle rule of superseded versions expires it.
    ///
    /// # Errors
    /// S3 does not answer, or refuses.
    pub async fn tag_superseded(&self, key: &str) -> Result<()> {
        let (name, value) = SUPERSEDED;
        let tag = Tag::builder().key(name).value(value).build()?;
        let tagging = Tagging::builder().tag_set(tag).build()?;
        let put = self.s3.put_object_tagging().bucket(&self.name).key(key);
        match put.tagging(tagging).send().await {
            Ok(_) => Ok(()),
            // It has expired since it was listed.
            Err(error) if has_status(&error, 404) => Ok(()),
            Err(error) => Err(self.failed("PutObjectTagging", key, &error)),
        }
    }

    fn place(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    fn failed<E, R>(&self, call: &str, key: &str, error: &SdkError<E, R>) -> anyhow::Error
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        let place = self.place(key);
        anyhow!("{call} {place}: {}", aws_connect::brief(error))
    }
}
