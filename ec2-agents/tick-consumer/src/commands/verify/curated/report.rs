use curated_audit::Faults;
use curation::Pointer;
use serde_json::{Value, json};
use wording::{count, grouped};

use super::hour::HourReport;
use crate::commands::verify::table::table;

/// The page that says what to do about faults.
const REMEDY: &str = "docs/runbook.md#a-curated-hour-is-not-whole";

/// The findings about the curated hours.
pub(crate) struct CuratedReport {
    pub(super) hours: Vec<HourReport>,
    /// Objects below the prefixes of curated hours that are none of ticklake's.
    pub(super) strangers: Faults,
}

impl CuratedReport {
    pub(crate) fn faults(&self) -> u64 {
        self.sum(|hour| hour.faults.count()) + self.strangers.count()
    }

    fn sum(&self, of: impl Fn(&HourReport) -> u64) -> u64 {
        self.hours.iter().map(of).sum()
    }

    fn count(&self, is: impl Fn(&&HourReport) -> bool) -> u64 {
        self.hours.iter().filter(is).count() as u64
    }

    pub(crate) fn json(&self) -> Value {
        let hour = |report: &HourReport| {
            let figures = report.figures;
            json!({
                "hour": report.hour.to_string(),
                "ticks_version": number(report.pointers.ticks),
                "bars_version": number(report.pointers.bars),
                "ticks": figures.ticks,
                "bars": figures.bars,
                "files": figures.files,
                "raw_objects": figures.raw_objects,
                "raw_objects_gone": figures.gone,
                "ticks_not_compared": figures.not_compared,
                "raw_objects_not_curated": report.not_curated,
                "files_of_abandoned_versions": report.leftovers.0,
                "faults": report.faults.count(),
                "fault_messages": messages(&report.faults),
                "notes": report.notes,
            })
        };
        json!({
            "whole": self.faults() == 0,
            "faults": self.faults(),
            "hours": self.hours.iter().map(hour).collect::<Vec<_>>(),
            "fault_messages": messages(&self.strangers),
        })
    }

    /// Returns a table for people, with every fault below it.
    pub(crate) fn table(&self) -> String {
        let headings = [
            "curated hour",
            "version",
            "ticks",
            "bars",
            "files",
            "raw objects",
            "gone",
            "not compared",
            "not curated",
            "faults",
        ];
        let mut lines = vec![headings.map(str::to_owned).to_vec()];
        lines.extend(self.hours.iter().map(line));
        let mut text = match self.hours.is_empty() {
            true => String::new(),
            false => table(&lines),
        };
        let faults = self.hours.iter().map(|hour| &hour.faults);
        for faults in faults.chain([&self.strangers]) {
            for fault in messages(faults) {
                text.push_str(&format!("fault: {fault}\n"));
            }
            let unlisted = faults.count() - faults.listed().len() as u64;
            if unlisted > 0 {
                text.push_str(&format!("… and {} more\n", count(unlisted, "fault")));
            }
        }
        for note in self.hours.iter().flat_map(|hour| &hour.notes) {
            text.push_str(&format!("{note}; the next look of curate sets it\n"));
        }
        text.push_str(&self.rest());
        text.push_str(&self.verdict());
        text
    }

    /// Returns lines about everything that was not compared.
    fn rest(&self) -> String {
        let mut text = String::new();
        let not_curated = self.sum(|hour| hour.not_curated);
        if not_curated > 0 {
            let hours = self.count(|hour| hour.not_curated > 0);
            text.push_str(&format!(
                "not curated yet: {} of {}.\n",
                count(not_curated, "raw object"),
                count(hours, "hour")
            ));
        }
        let not_compared = self.sum(|hour| hour.figures.not_compared);
        if not_compared > 0 {
            text.push_str(&format!(
                "not compared: {}, of raw objects that do not exist any more or cannot be read.\n",
                count(not_compared, "tick")
            ));
        }
        let leftovers = self.sum(|hour| hour.leftovers.0);
        if leftovers > 0 {
            text.push_str(&format!(
                "left over: {} of abandoned versions, {} KiB; nothing reads them.\n",
                count(leftovers, "file"),
                grouped(self.sum(|hour| hour.leftovers.1).div_ceil(1_024))
            ));
        }
        text
    }

    fn verdict(&self) -> String {
        let hours = self.count(|hour| matches!(hour.pointers.ticks, Pointer::Version(_)));
        match (self.faults(), hours) {
            (0, 0) => "no hour is curated yet.\n".to_owned(),
            (0, _) => format!(
                "whole: {} of {}, each once in the version that the catalog names; {} as a \
                 recount has them.\n",
                count(self.sum(|hour| hour.figures.ticks), "tick"),
                count(hours, "curated hour"),
                count(self.sum(|hour| hour.figures.bars), "bar"),
            ),
            (faults, _) => format!("NOT WHOLE: {}: {REMEDY}\n", count(faults, "fault")),
        }
    }
}

fn number(pointer: Pointer) -> Option<u32> {
    match pointer {
        Pointer::Version(version) => Some(version),
        Pointer::Absent | Pointer::Elsewhere => None,
    }
}

fn line(report: &HourReport) -> Vec<String> {
    let named = |pointer| match pointer {
        Pointer::Version(version) => version.to_string(),
        Pointer::Absent => "–".to_owned(),
        Pointer::Elsewhere => "?".to_owned(),
    };
    let pointers = report.pointers;
    let version = match pointers.ticks == pointers.bars {
        true => named(pointers.ticks),
        false => format!("{} and {}", named(pointers.ticks), named(pointers.bars)),
    };
    let figures = report.figures;
    let numbers = [
        figures.ticks,
        figures.bars,
        figures.files,
        figures.raw_objects,
        figures.gone,
        figures.not_compared,
        report.not_curated,
        report.faults.count(),
    ];
    let head = [report.hour.to_string(), version];
    head.into_iter().chain(numbers.map(grouped)).collect()
}

fn messages(faults: &Faults) -> Vec<String> {
    faults.listed().iter().map(ToString::to_string).collect()
}
