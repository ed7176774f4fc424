use std::sync::Arc;

use aws_connect::has_status;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use lake::{Manifest, ManifestKey, Object, ObjectMetadata};

use super::error::LakeError;

/// The bucket of the lake.
#[derive(Debug, Clone)]
pub(crate) struct LakeBucket {
    pub(super) s3: Client,
    pub(super) name: String,
}

/// The outcome of a PUT that may only create.
#[derive(Debug)]
pub(crate) enum Put {
    /// The object was created.
    Created,
    /// S3 refuses: there is one already.
    Refused,
    /// Nobody knows whether it was created; after a 409 that is so as another PUT of the
    /// same key is under way.
    Unknown(LakeError),
}

/// The answer of a HEAD.
#[derive(Debug)]
pub(crate) enum Head {
    /// There is no object.
    Absent,
    /// Another program wrote the object.
    Foreign,
    /// The object is the lake's own.
    Ours(ObjectMetadata),
}

/// An object that was read.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) body: Bytes,
    /// `None` if another program wrote the object.
    pub(crate) metadata: Option<ObjectMetadata>,
}

impl LakeBucket {
    /// Creates an object that must not exist yet.
    pub(crate) async fn create_object(&self, object: &Object) -> Put {
        let put = self
            .s3
            .put_object()
            .set_metadata(Some(object.metadata.to_map()))
            .body(ByteStream::from(object.body.clone()));
        self.create(put, &object.key.to_string()).await
    }

    /// Creates a small JSON object, such as a manifest, that must not exist yet.
    pub(crate) async fn create_json(&self, key: &str, body: Vec<u8>) -> Put {
        let put = self
            .s3
            .put_object()
            .content_type("application/json")
            .body(ByteStream::from(body));
        self.create(put, key).await
    }

    /// G1: nothing in the lake is ever overwritten.
    async fn create(&self, put: PutObjectFluentBuilder, key: &str) -> Put {
        let put = put.bucket(&self.name).key(key).if_none_match("*");
        match put.send().await {
            Ok(_) => Put::Created,
            Err(error) if has_status(&error, 412) => Put::Refused,
            Err(error) => Put::Unknown(self.failed("PUT", key, &error)),
        }
    }

    /// Returns the newest manifest of a partition.
    pub(crate) async fn newest_manifest(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Option<Arc<Manifest>>, LakeError> {
        let prefix = ManifestKey::prefix(topic, partition);
        let Some(key) = self.first_key(&prefix).await? else {
            return Ok(None);
        };
        let key = ManifestKey::parse(&key).ok_or_else(|| LakeError::Foreign {
            place: self.place(&key),
            wanted: "a manifest's key",
        })?;
        self.manifest(&key).await
    }

    /// Returns the manifest with this key.
    pub(crate) async fn manifest(
        &self,
        key: &ManifestKey,
    ) -> Result<Option<Arc<Manifest>>, LakeError> {
        let text = key.to_string();
        let Some(stored) = self.get(&text).await? else {
            return Ok(None);
        };
        let manifest =
            Manifest::from_json(&stored.body).map_err(|problem| LakeError::Manifest {
                place: self.place(&text),
                problem,
            })?;
        if manifest.key() != *key {
            return Err(LakeError::Misplaced {
                place: self.place(&text),
                named: manifest.key().to_string(),
            });
        }
        Ok(Some(Arc::new(manifest)))
    }

    /// Returns an object's body and metadata; `None` if there is no object.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Stored>, LakeError> {
        let get = self.s3.get_object().bucket(&self.name).key(key);
        let object = match get.send().await {
            Ok(object) => object,
            Err(error) if has_status(&error, 404) => return Ok(None),
            Err(error) => return Err(self.failed("GET", key, &error)),
        };
        let metadata = object.metadata().and_then(ObjectMetadata::from_map);
        let body = object.body.collect().await;
        let body = body.map_err(|error| LakeError::Call {
            call: "GET",
            place: self.place(key),
            problem: error.to_string(),
        })?;
        Ok(Some(Stored {
            body: body.into_bytes(),
            metadata,
        }))
    }

    /// Returns the state of a key.
    pub(crate) async fn head(&self, key: &str) -> Result<Head, LakeError> {
        let head = self.s3.head_object().bucket(&self.name).key(key);
        match head.send().await {
            Ok(object) => Ok(object
                .metadata()
                .and_then(ObjectMetadata::from_map)
                .map_or(Head::Foreign, Head::Ours)),
            Err(error) if has_status(&error, 404) => Ok(Head::Absent),
            Err(error) => Err(self.failed("HEAD", key, &error)),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URI of an object or prefix.
    pub(crate) fn place(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Returns the error of a call.
    pub(super) fn failed<E, R>(
        &self,
        call: &'static str,
        key: &str,
        error: &SdkError<E, R>,
    ) -> LakeError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        LakeError::Call {
            call,
            place: self.place(key),
            problem: aws_connect::brief(error),
        }
    }
}
