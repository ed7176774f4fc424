use futures::{Stream, TryStreamExt as _};

use super::bucket::LakeBucket;
use super::error::LakeError;

/// An object in a listing.
pub(crate) type Listed = aws_sdk_s3::types::Object;

/// Most objects of a page that S3 returns.
const PAGE_OBJECTS: i32 = 1_000;

impl LakeBucket {
    /// Returns the first key below a prefix.
    pub(super) async fn first_key(&self, prefix: &str) -> Result<Option<String>, LakeError> {
        let (objects, _) = self.page(prefix, None, 1).await?;
        Ok(objects.into_iter().next().and_then(|object| object.key))
    }

    /// Returns the keys below a prefix, in order.
    pub(crate) fn keys<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Stream<Item = Result<String, LakeError>> + Unpin + 'a {
        self.listed(prefix)
            .map_ok(|object| object.key.unwrap_or_default())
    }

    /// Returns the listing of the objects below a prefix, in the order of their keys.
    pub(crate) fn listed<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Stream<Item = Result<Listed, LakeError>> + Unpin + 'a {
        let first = Some(None::<String>);
        let pages = futures::stream::try_unfold(first, move |next| async move {
            let Some(token) = next else { return Ok(None) };
            let (objects, next) = self.page(prefix, token, PAGE_OBJECTS).await?;
            let objects = futures::stream::iter(objects.into_iter().map(Ok));
            Ok(Some((objects, next.map(Some))))
        });
        Box::pin(pages.try_flatten())
    }

    /// Returns objects below a prefix, and the token of the next page.
    async fn page(
        &self,
        prefix: &str,
        token: Option<String>,
        max_objects: i32,
    ) -> Result<(Vec<Listed>, Option<String>), LakeError> {
        let page = self
            .s3
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(prefix)
            .max_keys(max_objects)
            .set_continuation_token(token)
            .send()
            .await
            .map_err(|error| self.failed("LIST", prefix, &error))?;
        let objects = page.contents.unwrap_or_default();
        Ok((objects, page.next_continuation_token))
    }

    /// Lists the folders right below a prefix.
    pub(crate) async fn folders(&self, prefix: &str) -> Result<Vec<String>, LakeError> {
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
            let page = page.map_err(|error| self.failed("LIST", prefix, &error))?;
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
}
