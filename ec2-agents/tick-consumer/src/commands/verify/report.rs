use std::collections::BTreeMap;

use lake::Audit;
use wording::grouped;

use super::table::table;

/// The findings.
pub(crate) struct Report {
    /// By topic and partition.
    pub(crate) partitions: BTreeMap<(String, i32), Audit>,
    /// Objects below the lake's prefixes that no manifest knows.
    pub(crate) strangers: Audit,
}

impl Report {
    pub(crate) fn faults(&self) -> u64 {
        self.partitions
            .values()
            .map(|audit| audit.faults)
            .sum::<u64>()
            + self.strangers.faults
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let partition = |((topic, partition), audit): (&(String, i32), &Audit)| {
            let mut entry = serde_json::json!(audit);
            entry["topic"] = topic.as_str().into();
            entry["partition"] = (*partition).into();
            entry
        };
        serde_json::json!({
            "whole": self.faults() == 0,
            "faults": self.faults(),
            "partitions": self.partitions.iter().map(partition).collect::<Vec<_>>(),
            "objects_in_no_manifest": self.strangers.faults,
            "fault_messages": self.strangers.fault_messages,
        })
    }

    /// Returns a table for people, with every fault below it.
    pub(crate) fn table(&self) -> String {
        let headings = [
            "from",
            "to",
            "landed",
            "dead letters",
            "gaps",
            "absent",
            "objects",
            "expired",
            "inexact numbers",
            "faults",
        ]
        .map(str::to_owned);
        let mut lines = Vec::new();
        let mut topic = "";
        for ((of, partition), audit) in &self.partitions {
            if of != topic {
                topic = of;
                lines.push([vec![format!("topic {of}")], headings.to_vec()].concat());
            }
            let number = |number: Option<i64>| {
                number.map_or_else(|| "–".to_owned(), |number| grouped(number.unsigned_abs()))
            };
            let gaps: Vec<String> = audit
                .gaps
                .iter()
                .map(|(reason, offsets)| format!("{} ({reason})", grouped(*offsets)))
                .collect();
            lines.push(vec![
                partition.to_string(),
                number(audit.from),
                number(audit.to),
                grouped(audit.landed),
                grouped(audit.dead_letters),
                if gaps.is_empty() {
                    "–".to_owned()
                } else {
                    gaps.join(", ")
                },
                grouped(audit.absent),
                grouped(audit.objects),
                grouped(audit.expired),
                audit
                    .inexact_numbers
                    .map_or_else(|| "–".to_owned(), grouped),
                grouped(audit.faults),
            ]);
        }
        let mut text = table(&lines);
        for ((topic, partition), audit) in &self.partitions {
            audit.fault_messages.iter().for_each(|fault| {
                text.push_str(&format!(
                    "fault in partition {partition} of topic {topic}: {fault}\n"
                ))
            });
        }
        self.strangers
            .fault_messages
            .iter()
            .for_each(|fault| text.push_str(&format!("fault: {fault}\n")));
        match (self.faults(), self.partitions.is_empty()) {
            (0, true) => text.push_str("nothing has landed in this lake yet.\n"),
            (0, false) => text.push_str("whole: every offset is accounted for exactly once.\n"),
            (faults, _) => text.push_str(&format!("NOT WHOLE: {} faults.\n", grouped(faults))),
        }
        text
    }
}
