use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use local::{LakeContents, Mail};
use serde::Serialize;

use super::agents::Figures;
use super::curated::Curated;
use local::arrivals::{Landed, listed};
use wording::{count, grouped};

/// The figures of a demo.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    rows_read: u64,
    rows_skipped: u64,
    rows_rejected: u64,
    rows_sent: u64,
    rows_landed: u64,
    rows_dead_lettered: u64,
    objects: u64,
    crawls: u64,
    mails: u64,
    objects_in_mails: u64,
    rows_curated: u64,
    bars: u64,
    hours: u64,
    hours_in_mails: u64,
    #[serde(skip)]
    duplicates: u64,
    #[serde(skip)]
    curated_duplicates: u64,
    #[serde(skip)]
    untold_moves: String,
}

impl Summary {
    pub(crate) fn new(
        produced: &Figures,
        landed: &Landed,
        lake: &LakeContents,
        crawls: u64,
        mails: &[Mail],
        curated: &Curated,
        bucket: &str,
    ) -> Self {
        let listed = listed(mails);
        let announced = lake
            .objects
            .keys()
            .filter(|key| listed.contains_key(&format!("s3://{bucket}/{key}")))
            .count();
        Self {
            rows_read: produced.rows_read,
            rows_skipped: produced.rows_skipped,
            rows_rejected: produced.rows_rejected,
            rows_sent: produced.rows_sent,
            rows_landed: landed.rows,
            rows_dead_lettered: lake.rows("dead-letter/"),
            objects: lake.objects.len() as u64,
            crawls,
            mails: mails.len() as u64,
            objects_in_mails: announced as u64,
            rows_curated: curated.rows,
            bars: curated.bars,
            hours: curated.hours,
            hours_in_mails: curated.hours_in_mails(),
            duplicates: landed.duplicates,
            curated_duplicates: curated.duplicates,
            untold_moves: curated.untold_moves().join(", "),
        }
    }

    /// Checks that all claims are true.
    ///
    /// # Errors
    /// Lists the claims that are not true.
    pub(crate) fn check(&self) -> Result<()> {
        let mut faults = Vec::new();
        if self.rows_sent == 0 {
            faults.push("no tick was sent".to_owned());
        }
        if self.rows_read != self.rows_skipped + self.rows_rejected + self.rows_sent {
            faults.push(format!(
                "{} rows were read, but {} skipped, {} rejected and {} sent",
                self.rows_read, self.rows_skipped, self.rows_rejected, self.rows_sent
            ));
        }
        if self.rows_landed + self.rows_dead_lettered != self.rows_sent {
            faults.push(format!(
                "{} ticks were sent, but Athena finds {} and dead-letter/ holds {}",
                self.rows_sent, self.rows_landed, self.rows_dead_lettered
            ));
        }
        if self.duplicates > 0 {
            faults.push(format!("{} rows are in the lake twice", self.duplicates));
        }
        if self.rows_curated != self.rows_landed {
            faults.push(format!(
                "Athena finds {} ticks, but the curated hours have {}",
                self.rows_landed, self.rows_curated
            ));
        }
        if self.curated_duplicates > 0 {
            faults.push(format!(
                "{} rows are in the curated hours twice",
                self.curated_duplicates
            ));
        }
        if self.objects_in_mails != self.objects {
            faults.push(format!(
                "{} objects, but {} in mails",
                self.objects, self.objects_in_mails
            ));
        }
        if self.hours_in_mails != self.hours {
            faults.push(format!(
                "{} curated hours, but {} in mails",
                self.hours, self.hours_in_mails
            ));
        }
        if !self.untold_moves.is_empty() {
            faults.push(format!(
                "the mail of the hour does not have the moves of {} that DuckDB finds",
                self.untold_moves
            ));
        }
        if self.rows_landed > 0 && self.crawls == 0 {
            faults.push("no crawl was started".to_owned());
        }
        if faults.is_empty() {
            Ok(())
        } else {
            bail!("{}", faults.join("\n  "))
        }
    }

    pub(crate) fn sentence(&self) -> String {
        let dead = if self.rows_dead_lettered == 0 {
            String::new()
        } else {
            format!(" + {} dead letters", grouped(self.rows_dead_lettered))
        };
        format!(
            "{} rows in the lake{dead} = {} sent · {} rows in curated hours · \
             {} of {} and {} announced · tables and partitions in the catalog",
            grouped(self.rows_landed),
            grouped(self.rows_sent),
            grouped(self.rows_curated),
            grouped(self.objects_in_mails),
            count(self.objects, "object"),
            count(self.hours_in_mails, "hour"),
        )
    }

    /// Writes the figures, with the seconds of each step.
    pub(crate) fn write(
        &self,
        path: &Path,
        steps: &[(String, f64)],
        total: Duration,
    ) -> Result<()> {
        let mut value = serde_json::to_value(self)?;
        let seconds: serde_json::Map<String, serde_json::Value> = steps
            .iter()
            .map(|(name, seconds)| (name.clone(), (*seconds).into()))
            .collect();
        value["seconds"] = seconds.into();
        value["seconds"]["total"] = ((total.as_secs_f64() * 1000.0).round() / 1000.0).into();
        std::fs::write(path, serde_json::to_string_pretty(&value)? + "\n")
            .with_context(|| format!("{}: cannot write the summary", path.display()))
    }
}
