use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::aws::lake_copy::LakeCopy;
use crate::{Aws, Repository, Rows, Tools};

impl Rows {
    /// Runs a query in DuckDB over the objects of the partitions that the catalog has for
    /// these tables. ministack's Athena reads every file below a table's location instead,
    /// whatever its partitions say. `folder` gets the objects.
    ///
    /// # Errors
    /// S3 or Glue refuses, a table has no object, or the query fails.
    pub async fn query_catalog(
        aws: &Aws,
        tools: &Tools,
        database: &str,
        tables: &[&str],
        sql: &str,
        folder: &Path,
    ) -> Result<Self> {
        let mut folders = serde_json::Map::new();
        let copy = LakeCopy { aws, folder };
        for table in tables {
            let count = copy.table(database, table).await?;
            ensure!(
                count > 0,
                "the catalog names no object of {database}.{table}"
            );
            let folder = folder.join(table).display().to_string();
            folders.insert((*table).to_owned(), folder.into());
        }
        let answer = duckdb(tools, &json!({"tables": folders, "sql": sql})).await?;
        std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
        let texts =
            |value: &Value| -> Result<Vec<String>> { Ok(serde_json::from_value(value.clone())?) };
        let rows = answer["rows"].as_array().context("DuckDB gave no rows")?;
        Ok(Self {
            columns: texts(&answer["columns"])?,
            rows: rows.iter().map(texts).collect::<Result<_>>()?,
        })
    }
}

async fn duckdb(tools: &Tools, case: &Value) -> Result<Value> {
    let mut python = Command::new(tools.path("python"));
    python
        .arg(Repository::here().path("local/catalog_query.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut python = python.spawn().context("cannot run python")?;
    let mut input = python.stdin.take().context("no standard input")?;
    input.write_all(case.to_string().as_bytes()).await?;
    drop(input);
    let output = python.wait_with_output().await?;
    ensure!(
        output.status.success(),
        "DuckDB: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}
