use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::Aws;
use crate::aws_call::items;

/// How long a query may take.
const LIMIT: Duration = Duration::from_secs(120);

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
    /// Athena refuses it or it fails; says why.
    pub async fn query(aws: &Aws, work_group: &str, database: &str, sql: &str) -> Result<Self> {
        let query = json!({
            "QueryString": sql, "WorkGroup": work_group,
            "QueryExecutionContext": {"Database": database},
        });
        let started = aws.call("athena", "start_query_execution", &query).await?;
        let query = json!({"QueryExecutionId": started["QueryExecutionId"]});
        let deadline = tokio::time::Instant::now() + LIMIT;
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
                    LIMIT.as_secs()
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
