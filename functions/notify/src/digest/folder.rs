use wording::count;

use super::figures::{line, rows, size, ticks};
use crate::announced::{Announced, printable};

/// Files of one lake partition that a mail lists; the others are counted.
const MAX_LISTED_FILES: usize = 50;

/// The files of one folder, and their text in a mail.
pub(super) struct Folder {
    pub(super) prefix: String,
    pub(super) text: String,
    pub(super) entries: Vec<Announced>,
}

impl Folder {
    /// Returns a folder of a bucket with its files, of which there is at least one.
    pub(super) fn new(bucket: &str, prefix: &str, entries: Vec<Announced>, table: &str) -> Self {
        let prefix = printable(prefix);
        Self {
            text: folder_text(&entries, &format!("s3://{bucket}/{prefix}"), table),
            prefix,
            entries,
        }
    }
}

/// Lists the files of a folder. A listed file is indented, above the URL of its folder.
fn folder_text(entries: &[Announced], url: &str, table: &str) -> String {
    let mut text = String::new();
    let all: Vec<&Announced> = entries.iter().collect();
    let files = count(entries.len() as u64, "file");
    let first = &entries[0];
    let rows = if first.is_dead_letter {
        rows(&all).map_or("records unknown".to_owned(), |rows| count(rows, "record"))
    } else {
        ticks(&all)
    };
    let title = first.lake_partition.map_or_else(
        || printable(first.folder()),
        |partition| partition.to_string(),
    );
    line(
        &mut text,
        format_args!("{title}    {files}    {rows}    {}", size(&all)),
    );
    for entry in entries.iter().take(MAX_LISTED_FILES) {
        line(&mut text, format_args!("  {}", entry.line));
    }
    if let Some(more) = entries
        .len()
        .checked_sub(MAX_LISTED_FILES)
        .filter(|more| *more > 0)
    {
        line(
            &mut text,
            format_args!("  … and {}", count(more as u64, "more file")),
        );
    }
    if let Some(partition) = first.lake_partition.filter(|_| !first.is_dead_letter) {
        line(
            &mut text,
            format_args!(
                "Query them:  SELECT * FROM {table} WHERE dt = '{}' AND hr = '{}'",
                partition.dt(),
                partition.hr()
            ),
        );
    }
    line(&mut text, format_args!("{url}"));
    text
}

#[cfg(test)]
mod tests {
    use crate::digest::Digest;
    use crate::digest::test_entry::entry;

    #[test]
    fn of_many_files_in_a_partition_the_first_are_listed_and_the_others_counted() {
        let key = |n: u64| format!("ticks/dt=2026-11-21/hr=05/{n:03}");
        let digests = Digest::compose((0..173).map(|n| entry(&key(n), Some(1))).collect(), "t.t");
        let body = &digests[0].body;
        assert_eq!((digests.len(), digests[0].objects.len()), (1, 173));
        assert!(
            body.contains("dt=2026-11-21/hr=05    173 files    173 ticks"),
            "{body}"
        );
        assert!(
            body.contains("\n  049    1 tick    15.0 KiB\n  … and 123 more files\nQuery them"),
            "{body}"
        );
    }
}
