//! Counts the record numbers in the objects of a lake, without any of ticklake's own
//! code.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use local::Aws;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;

/// Prefix of the records that are valid ticks.
const TICKS: &str = "ticks/";

/// The contents of a lake.
#[derive(Default)]
pub(crate) struct Counted {
    /// The count of each record number.
    pub(crate) numbers: BTreeMap<u64, u64>,
    /// The numbers of the records that are ticks.
    pub(crate) ticks: BTreeSet<u64>,
    /// By key, the `lost-below` of an object: its records below this offset are lost.
    pub(crate) lost_below: BTreeMap<String, i64>,
}

/// Counts the records in the objects of a lake.
pub(crate) async fn count(aws: &Aws, bucket: &str) -> Result<Counted> {
    let s3 = aws_sdk_s3::Client::new(aws.config());
    let mut counted = Counted::default();
    for prefix in [TICKS, "dead-letter/"] {
        let mut pages = s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            for object in page?.contents() {
                let key = object.key().context("an object without a key")?;
                let object = s3.get_object().bucket(bucket).key(key).send().await?;
                if let Some(offset) = object
                    .metadata()
                    .and_then(|metadata| metadata.get("lost-below"))
                {
                    counted.lost_below.insert(
                        key.to_owned(),
                        offset
                            .parse()
                            .with_context(|| format!("{key}: lost-below {offset}"))?,
                    );
                }
                let body = object.body.collect().await?.into_bytes();
                for row in rows(key, body).with_context(|| key.to_owned())? {
                    let number =
                        number(&row).with_context(|| format!("{key}: no number in {row}"))?;
                    *counted.numbers.entry(number).or_default() += 1;
                    if prefix == TICKS {
                        counted.ticks.insert(number);
                    }
                }
            }
        }
    }
    Ok(counted)
}

fn rows(key: &str, body: bytes::Bytes) -> Result<Vec<String>> {
    if key.ends_with(".parquet") {
        let file = SerializedFileReader::new(body)?;
        return file
            .get_row_iter(None)?
            .map(|row| Ok(row?.to_string()))
            .collect();
    }
    let mut text = String::new();
    GzDecoder::new(body.as_ref()).read_to_string(&mut text)?;
    let header = usize::from(key.ends_with(".csv.gz"));
    Ok(text.lines().skip(header).map(str::to_owned).collect())
}

/// Returns the number in a row's text: `"n":17}` with any escaping of the quotes, or in
/// base64.
fn number(row: &str) -> Option<u64> {
    if let Some((_, rest)) = row.split_once("\"value_base64\":\"") {
        let bytes = STANDARD.decode(rest.split('"').next()?).ok()?;
        return number(&String::from_utf8_lossy(&bytes));
    }
    let plain = row.replace('\\', "");
    let (_, rest) = plain.rsplit_once("\"n\":")?;
    rest.split('}').next()?.parse().ok()
}
