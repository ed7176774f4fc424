//! The contents of Glue and its catalog.

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

/// Creates a database.
///
/// # Errors
/// Glue refuses.
pub async fn create_database(aws: &Aws, name: &str) -> Result<(), CallError> {
    let database = json!({"DatabaseInput": {"Name": name}});
    aws.call("glue", "create_database", &database).await?;
    Ok(())
}

/// Creates a table at a location, with partitions by dt and hr.
///
/// # Errors
/// Glue refuses.
pub async fn create_table(
    aws: &Aws,
    database: &str,
    table: &str,
    location: &str,
) -> Result<(), CallError> {
    let column = |name: &str| json!({"Name": name, "Type": "string"});
    let input = json!({
        "Name": table,
        "StorageDescriptor": {"Columns": [column("symbol")], "Location": location},
        "PartitionKeys": [column("dt"), column("hr")],
    });
    let create = json!({"DatabaseName": database, "TableInput": input});
    aws.call("glue", "create_table", &create).await?;
    Ok(())
}

/// Gives a partition of a table another location.
///
/// # Errors
/// Glue refuses, or there is no such partition.
pub async fn relocate_partition(
    aws: &Aws,
    database: &str,
    table: &str,
    values: &[&str],
    location: &str,
) -> Result<(), CallError> {
    let input = json!({"Values": values, "StorageDescriptor": {"Location": location}});
    let entry = json!({"PartitionValueList": values, "PartitionInput": input});
    let update = json!({"DatabaseName": database, "TableName": table, "Entries": [entry]});
    aws.call("glue", "batch_update_partition", &update).await?;
    Ok(())
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
    let located = locations(aws, database, table).await?;
    Ok(located.into_iter().map(|(values, _)| values).collect())
}

/// Returns the values of each partition that a table has in the catalog, and its
/// location.
///
/// # Errors
/// The catalog has no such table.
pub async fn locations(
    aws: &Aws,
    database: &str,
    table: &str,
) -> Result<Vec<(Vec<String>, String)>, CallError> {
    let table = json!({"DatabaseName": database, "TableName": table});
    let pages = aws.call_pages("glue", "get_partitions", table).await?;
    let partitions = pages.iter().flat_map(|page| items(&page["Partitions"]));
    let located = |partition: &Value| {
        let location = partition["StorageDescriptor"]["Location"].as_str();
        let location = location.unwrap_or_default().to_owned();
        (strings(&partition["Values"]), location)
    };
    Ok(partitions.map(located).collect())
}

/// Returns the texts in a list.
fn strings(list: &Value) -> Vec<String> {
    let texts = items(list).filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
