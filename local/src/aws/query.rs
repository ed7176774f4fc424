use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws_sdk_athena::Client;
use aws_sdk_athena::types::{QueryExecutionState, Row};
use jiff::civil::DateTime;

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
        let athena = Client::new(aws.config());
        let context = aws_sdk_athena::types::QueryExecutionContext::builder()
            .database(database)
            .build();
        let started = athena
            .start_query_execution()
            .query_string(sql)
            .work_group(work_group)
            .query_execution_context(context)
            .send()
            .await;
        let started = started.context("StartQueryExecution")?;
        let id = started
            .query_execution_id()
            .context("Athena gave the query no id")?;
        let deadline = tokio::time::Instant::now() + QUERY_TIMEOUT;
        loop {
            let execution = athena
                .get_query_execution()
                .query_execution_id(id)
                .send()
                .await
                .context("GetQueryExecution")?;
            let status = execution
                .query_execution()
                .and_then(|execution| execution.status());
            match status.and_then(|status| status.state()) {
                Some(QueryExecutionState::Succeeded) => break,
                Some(QueryExecutionState::Failed | QueryExecutionState::Cancelled) => {
                    bail!(
                        "the query failed: {}\n{sql}",
                        status
                            .and_then(|status| status.state_change_reason())
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
        let mut pages = athena
            .get_query_results()
            .query_execution_id(id)
            .into_paginator()
            .send();
        let (mut columns, mut rows) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let page = page.context("GetQueryResults")?;
            let set = page.result_set().context("Athena gave no result")?;
            let mut values = set.rows().iter().map(texts);
            if columns.is_empty() {
                // The first row of the first page holds the names.
                columns = values.next().unwrap_or_default();
            }
            rows.extend(values);
        }
        Ok(Self { columns, rows })
    }
}

fn texts(row: &Row) -> Vec<String> {
    row.data()
        .iter()
        .map(|datum| datum.var_char_value().unwrap_or_default().to_owned())
        .collect()
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
