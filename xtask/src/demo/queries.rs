use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table, presets};
use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use local::{Aws, Deployment, Repository, Rows, at, statements};

/// Maximum number of printed rows of a result.
const MAX_PRINTED_ROWS: usize = 10;

/// The results of the sample queries.
pub(crate) struct Shown {
    as_of: Option<DateTime>,
    results: Vec<(String, Rows)>,
}

/// Runs every query of `sql/`. They look back from now. If the newest tick is older than
/// an hour, they look back from that tick, as a replay of old data would otherwise give
/// empty tables.
pub(crate) async fn all(
    repository: &Repository,
    aws: &Aws,
    deployment: &Deployment,
) -> Result<Shown> {
    let work_group = deployment.output("WorkGroupName")?;
    let database = deployment.output("DatabaseName")?;
    let newest = Rows::query(
        aws,
        work_group,
        database,
        "SELECT max(event_time) FROM ticks",
    )
    .await?;
    let newest = newest
        .rows
        .first()
        .and_then(|row| row.first())
        .and_then(|text| text.parse::<DateTime>().ok());
    let hour_ago = (Timestamp::now() - 1.hour())
        .to_zoned(TimeZone::UTC)
        .datetime();
    let as_of = newest.filter(|newest| *newest < hour_ago);
    let mut results = Vec::new();
    for (file, sql) in statements(repository)? {
        let sql = match as_of {
            Some(as_of) => at(&sql, as_of),
            None => sql,
        };
        let rows = Rows::query(aws, work_group, database, &sql)
            .await
            .with_context(|| format!("sql/{file}"))?;
        results.push((file, rows));
    }
    Ok(Shown { as_of, results })
}

impl Shown {
    /// Returns a line about the queries that were run.
    pub(crate) fn heading(&self) -> String {
        let queries = format!("the {} queries of sql/", self.results.len());
        match self.as_of {
            Some(as_of) => format!(
                "{queries}, looking back from the newest tick, {} UTC",
                as_of.strftime("%Y-%m-%d %H:%M")
            ),
            None => queries,
        }
    }

    /// Returns the results as tables.
    pub(crate) fn tables(&self) -> String {
        let result = |(file, rows): &(String, Rows)| {
            format!(
                "\n{} (sql/{file})\n{}\n",
                file.trim_end_matches(".sql").replace('_', " "),
                table(rows)
            )
        };
        self.results.iter().map(result).collect()
    }
}

fn table(result: &Rows) -> String {
    if result.rows.is_empty() {
        return "no rows".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(&result.columns);
    for row in result.rows.iter().take(MAX_PRINTED_ROWS) {
        table.add_row(row);
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        if result.rows[0]
            .get(place)
            .is_some_and(|value| value.parse::<f64>().is_ok())
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let more = result.rows.len().saturating_sub(MAX_PRINTED_ROWS);
    let more = if more == 0 {
        String::new()
    } else {
        format!("\n… and {more} more rows")
    };
    format!("{table}{more}")
}
