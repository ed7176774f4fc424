use std::collections::BTreeSet;

use anyhow::{Result, bail};
use bytesize::ByteSize;
use jiff::Timestamp;
use local::{LakeContents, Mail, Rows, Stack, Workspace, arrivals, list_objects};
use serde_json::json;
use wording::{count, grouped, percent};

/// DuckDB's count of the curated tables, over the objects that the catalog names.
const COUNTS: &str = "
    SELECT count(*), count(DISTINCT (kafka_partition, kafka_offset)),
           count(DISTINCT (dt, hr)), (SELECT count(*) FROM bars_1m)
    FROM curated_ticks";
/// From the first tick of a symbol to its last.
const MOVES: &str = "
    SELECT * FROM (
        SELECT symbol, last(close ORDER BY last_time, last_partition, last_offset)
            / first(open ORDER BY first_time, first_partition, first_offset) - 1 AS change
        FROM bars_1m GROUP BY symbol
    ) ORDER BY abs(change) DESC, symbol LIMIT 5";

/// The curated hours of a demo.
pub(crate) struct Curated {
    /// Rows of `curated_ticks`.
    pub(crate) rows: u64,
    /// Rows with the same partition and offset as another row.
    pub(crate) duplicates: u64,
    /// Rows of `bars_1m`.
    pub(crate) bars: u64,
    /// `database.table` of the ticks.
    table: String,
    /// Its partitions.
    pub(crate) hours: u64,
    /// The mails about complete hours.
    mails: Vec<Mail>,
    /// Number and bytes of the files of ticks.
    files: u64,
    bytes: u64,
    /// Symbols that have moved most, and their change.
    moves: Vec<(String, f64)>,
}

/// Closes the hours and waits until they are curated, and a mail tells of each.
pub(super) async fn curate(
    workspace: &Workspace,
    stack: &Stack,
    lake: &LakeContents,
) -> Result<Curated> {
    let (aws, deployment) = (&stack.ministack.aws, &stack.deployment);
    let tools = &workspace.tools;
    let plan = json!({"through": Timestamp::now().to_string()});
    arrivals::all_curated(aws, deployment, plan).await?;
    let mails = arrivals::all_hours_announced(lake, &stack.mailbox).await?;
    let database = deployment.output("DatabaseName")?;
    let tables = ["curated_ticks", "bars_1m"];
    let folder = workspace.folder.join("curated");
    let query = async |sql| {
        let rows = Rows::query_catalog(aws, tools, database, &tables, sql, &folder).await?;
        anyhow::Ok(rows.rows)
    };
    let counts = query(COUNTS).await?;
    let counts: Vec<u64> = counts
        .iter()
        .flatten()
        .map(|figure| figure.parse())
        .collect::<Result<_, _>>()?;
    let [rows, distinct, hours, bars] = counts[..] else {
        bail!("DuckDB counted {counts:?}");
    };
    let moved = |row: Vec<String>| match &row[..] {
        [symbol, change] => Ok((symbol.clone(), change.parse()?)),
        _ => bail!("DuckDB found the move {row:?}"),
    };
    let s3 = aws_sdk_s3::Client::new(aws.config());
    let files = list_objects(&s3, deployment.output("LakeBucket")?, "curated/ticks/").await?;
    let moves = query(MOVES).await?.into_iter().map(moved);
    Ok(Curated {
        rows,
        duplicates: rows - distinct,
        bars,
        table: format!("{database}.curated_ticks"),
        hours,
        mails,
        files: files.len() as u64,
        bytes: files.iter().map(|(_, bytes)| bytes).sum(),
        moves: moves.collect::<Result<_>>()?,
    })
}

impl Curated {
    /// Returns a line about files and bars.
    pub(crate) fn sentence(&self, raw: u64) -> String {
        format!(
            "{} → {}, {}, sorted by symbol; {} bars; table {}, {}",
            count(raw, "raw object"),
            count(self.files, "file"),
            ByteSize::b(self.bytes),
            grouped(self.bars),
            self.table,
            count(self.hours, "partition")
        )
    }

    /// Returns a line about the symbols that have moved most.
    pub(crate) fn moves(&self) -> String {
        let moved = |(symbol, change): &(String, f64)| format!("{symbol} {}", percent(*change));
        let moves: Vec<String> = self.moves.iter().map(moved).collect();
        format!("largest moves: {}", moves.join(", "))
    }

    /// Returns a line about the mails of the hours.
    pub(crate) fn mails(&self) -> String {
        let subjects: Vec<&str> = self
            .mails
            .iter()
            .map(|mail| mail.subject.as_str())
            .collect();
        format!("mail: {}", subjects.join(", "))
    }

    /// Returns the number of hours that the mails tell of.
    pub(crate) fn hours_in_mails(&self) -> u64 {
        let hours: BTreeSet<_> = self.mails.iter().flat_map(Mail::hours).collect();
        hours.len() as u64
    }

    /// Returns the moves that are not in the mail of the only hour. With several hours each
    /// has its own moves.
    pub(crate) fn untold_moves(&self) -> Vec<&str> {
        let [mail] = &self.mails[..] else {
            return Vec::new();
        };
        let is_told = |(symbol, change): &&(String, f64)| {
            let change = percent(*change);
            let mut lines = mail.body.lines();
            lines.any(|line| line.starts_with(symbol.as_str()) && line.ends_with(&change))
        };
        let moves = self.moves.iter().filter(|_| self.hours == 1);
        let untold = moves.filter(|moved| !is_told(moved));
        untold.map(|(symbol, _)| symbol.as_str()).collect()
    }
}
