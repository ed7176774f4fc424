use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::civil::DateTime;
use serde_json::{Value, json};

use crate::aws::call::items;
use crate::{Aws, Repository};

const QUERY_TIMEOUT: Duration = Duration::from_secs(120);

/// The result of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Values as text; empty for null.
    pub rows: Vec<Vec<String>>,
}

impl Rows {
    /// Runs a query in Athena.
    ///
    /// # Errors
    /// Athena refuses the query or it fails; the error has the reason.
    pub async fn query(aws: &Aws, work_group: &str, database: &str, sql: &str) -> Result<Self> {
        let query = json!({
            "QueryString": sql, "WorkGroup": work_group,
            "QueryExecutionContext": {"Database": database},
        });
        let started = aws.call("athena", "start_query_execution", &query).await?;
        let query = json!({"QueryExecutionId": started["QueryExecutionId"]});
        let deadline = tokio::time::Instant::now() + QUERY_TIMEOUT;
        loop {
            let execution = aws.call("athena", "get_query_execution", &query).await?;
            let status = &execution["QueryExecution"]["Status"];
            match status["State"].as_str() {
                Some("SUCCEEDED") => break,
                Some("FAILED" | "CANCELLED") => {
                    bail!(
                        "the query failed: {}\n{sql}",
                        status["StateChangeReason"]
                            .as_str()
                            .unwrap_or("no reason given")
                    )
                }
                _ if tokio::time::Instant::now() > deadline => bail!(
                    "the query has not ended after {} s:\n{sql}",
                    QUERY_TIMEOUT.as_secs()
                ),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        let pages = aws.call_pages("athena", "get_query_results", query).await?;
        let rows = pages
            .iter()
            .flat_map(|page| items(&page["ResultSet"]["Rows"]));
        let mut rows = rows.map(texts);
        // The first row of the first page holds the names.
        let columns = rows.next().unwrap_or_default();
        Ok(Self {
            columns,
            rows: rows.collect(),
        })
    }
}

fn texts(row: &Value) -> Vec<String> {
    let value = |datum: &Value| {
        datum["VarCharValue"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    items(&row["Data"]).map(value).collect()
}

/// Returns the queries of `sql/` by file name.
///
/// # Errors
/// One cannot be read.
pub fn statements(repository: &Repository) -> Result<BTreeMap<String, String>> {
    let mut statements = BTreeMap::new();
    for entry in std::fs::read_dir(repository.path("sql"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            statements.insert(
                name,
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())?,
            );
        }
    }
    Ok(statements)
}

/// Returns a query as it would be answered at another time.
pub fn at(sql: &str, now: DateTime) -> String {
    sql.replace(
        "current_timestamp",
        &format!(
            "CAST('{}+00' AS timestamp with time zone)",
            now.strftime("%Y-%m-%d %H:%M:%S")
        ),
    )
}
