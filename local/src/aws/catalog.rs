//! What Glue and its catalog hold.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::aws::call::items;
use crate::{Aws, CallError};

/// Returns a crawler as Glue describes it.
///
/// # Errors
/// There is no such crawler.
pub async fn crawler(aws: &Aws, name: &str) -> Result<Value, CallError> {
    let mut answer = aws
        .call("glue", "get_crawler", &json!({"Name": name}))
        .await?;
    Ok(answer["Crawler"].take())
}

/// Returns whether a crawler that [`crawler`] returned was crawling.
pub fn is_running(crawler: &Value) -> bool {
    crawler["State"] == "RUNNING"
}

/// Returns the values of each partition that a table has in the catalog.
///
/// # Errors
/// The catalog has no such table.
pub async fn partitions(
    aws: &Aws,
    database: &str,
    table: &str,
) -> Result<BTreeSet<Vec<String>>, CallError> {
    let table = json!({"DatabaseName": database, "TableName": table});
    let pages = aws.call_pages("glue", "get_partitions", table).await?;
    let partitions = pages.iter().flat_map(|page| items(&page["Partitions"]));
    Ok(partitions
        .map(|partition| strings(&partition["Values"]))
        .collect())
}

/// Returns the texts in a list.
fn strings(list: &Value) -> Vec<String> {
    let texts = items(list).filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
