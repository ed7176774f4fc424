//! The paragraphs of a mail.

use std::collections::BTreeMap;

use wording::count;

use super::figures::{line, moment, rows, size, ticks};
use super::folder::Folder;
use crate::announced::{Announced, printable};

/// Kinds of reasons that a mail lists.
const MAX_LISTED_REASONS: usize = 10;
/// The longest of them, in characters.
const MAX_REASON_CHARS: usize = 60;

pub(super) fn write_data(body: &mut String, data: &[&Announced], folders: &[Folder]) {
    line(
        body,
        format_args!(
            "{} in ticks/, {}, {}",
            count(data.len() as u64, "new file"),
            ticks(data),
            size(data)
        ),
    );
    let times = data
        .iter()
        .filter_map(|entry| entry.metadata.as_ref()?.event_times);
    if let Some((first, last)) =
        times.reduce(|(first, last), (from, to)| (first.min(from), last.max(to)))
    {
        line(
            body,
            format_args!("Ticks from {} to {} (UTC)", moment(first), moment(last)),
        );
    }
    body.push('\n');
    write_folders(body, folders, false);
}

pub(super) fn write_dead_letters(body: &mut String, letters: &[&Announced], folders: &[Folder]) {
    let records = rows(letters).map_or_else(
        || count(letters.len() as u64, "file"),
        |rows| count(rows, "record"),
    );
    line(
        body,
        format_args!(
            "Warning: not usable as ticks, kept in dead-letter/ with the reason: {records}"
        ),
    );
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, count) in letters
        .iter()
        .filter_map(|entry| entry.metadata.as_ref())
        .flat_map(|metadata| &metadata.reasons)
    {
        let total = reasons.entry(reason).or_default();
        *total = total.saturating_add(*count);
    }
    if !reasons.is_empty() {
        let mut most: Vec<(&str, u64)> = reasons.into_iter().collect();
        most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let others = most.len().saturating_sub(MAX_LISTED_REASONS);
        let mut said: Vec<String> = most
            .into_iter()
            .take(MAX_LISTED_REASONS)
            .map(|(reason, count)| {
                format!(
                    "{} × {}",
                    wording::grouped(count),
                    printable(reason)
                        .chars()
                        .take(MAX_REASON_CHARS)
                        .collect::<String>()
                )
            })
            .collect();
        said.extend((others > 0).then(|| format!("{} more", wording::grouped(others as u64))));
        line(body, format_args!("Reasons: {}", said.join(", ")));
    }
    body.push('\n');
    write_folders(body, folders, true);
}

fn write_folders(body: &mut String, folders: &[Folder], dead_letters: bool) {
    for folder in folders
        .iter()
        .filter(|folder| folder.entries[0].is_dead_letter == dead_letters)
    {
        body.push_str(&folder.text);
        body.push('\n');
    }
}
