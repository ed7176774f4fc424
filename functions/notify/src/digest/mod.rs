use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bytesize::ByteSize;
use object_event::ObjectVersion;
use tick::EventTime;
use wording::count;

use crate::announced::{Announced, printable};

/// Files of one lake partition that a mail lists; the others are counted.
const MAX_LISTED_FILES: usize = 50;
/// Kinds of reasons that a mail lists.
const MAX_LISTED_REASONS: usize = 10;
/// The longest of them, in characters.
const MAX_REASON_CHARS: usize = 60;
/// The size limit of SNS for a message, attributes included:
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Left for the text above and below the partitions, and for names and types of the
/// attributes.
const FRAME_BYTES: usize = 8 * 1024;
/// The length limit of SNS for a subject: the same page.
const MAX_SUBJECT_CHARS: usize = 99;

/// One mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Subject: under 100 printable ASCII characters, as SNS wants it.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// The attributes that subscribers can filter by.
    pub attributes: Vec<Attribute>,
    /// The objects that the body tells of, each once.
    pub objects: Vec<ObjectVersion>,
}

/// A message attribute; an array if the mail has several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    values: BTreeSet<String>,
}

impl Attribute {
    /// Returns the attribute's type for SNS.
    pub fn data_type(&self) -> &'static str {
        if self.values.len() == 1 {
            "String"
        } else {
            "String.Array"
        }
    }

    /// Returns the value, or a JSON array of them.
    pub fn value(&self) -> String {
        match self.values.first() {
            Some(value) if self.values.len() == 1 => value.clone(),
            _ => serde_json::json!(self.values).to_string(),
        }
    }
}

/// The files of one folder, and their text in a mail.
struct Folder {
    prefix: String,
    text: String,
    entries: Vec<Announced>,
}

impl Digest {
    /// Returns the mails that announce these objects, data first; `table` is the table in
    /// their query.
    pub(crate) fn compose(announced: Vec<Announced>, table: &str) -> Vec<Self> {
        let mut folders: BTreeMap<(bool, String, String), Vec<Announced>> = BTreeMap::new();
        for entry in announced {
            let bucket = entry.created.object.bucket.clone();
            let folder = entry.folder().to_owned();
            folders
                .entry((entry.is_dead_letter, bucket, folder))
                .or_default()
                .push(entry);
        }
        let mut mails: Vec<Vec<Folder>> = Vec::new();
        let mut room = 0;
        for ((_, bucket, prefix), entries) in folders {
            let prefix = printable(&prefix);
            let text = folder_text(&entries, &format!("s3://{bucket}/{prefix}"), table);
            // The prefix stands in an attribute, too, in quotes and behind a comma;
            // quotes within it take one more.
            let bytes = text.len() + 2 * prefix.len() + 4;
            let folder = Folder {
                prefix,
                text,
                entries,
            };
            match mails.last_mut() {
                Some(mail) if bytes <= room => mail.push(folder),
                _ => {
                    mails.push(vec![folder]);
                    room = MAX_MESSAGE_BYTES - FRAME_BYTES;
                }
            }
            room = room.saturating_sub(bytes);
        }
        let of = mails.len();
        mails
            .into_iter()
            .enumerate()
            .map(|(place, folders)| Self::of(&folders, (place + 1, of)))
            .collect()
    }

    fn of(folders: &[Folder], (number, of): (usize, usize)) -> Self {
        let all: Vec<&Announced> = folders.iter().flat_map(|folder| &folder.entries).collect();
        let (letters, data): (Vec<&Announced>, Vec<&Announced>) =
            all.iter().partition(|entry| entry.is_dead_letter);
        let mut facts = Vec::new();
        let mut body = String::new();
        if !data.is_empty() {
            facts.push(format!(
                "{}, {}",
                count(data.len() as u64, "new file"),
                ticks(&data)
            ));
            write_data(&mut body, &data, folders);
        }
        if !letters.is_empty() {
            facts.push(rows(&letters).map_or_else(
                || count(letters.len() as u64, "dead-letter file"),
                |rows| count(rows, "dead letter"),
            ));
            write_dead_letters(&mut body, &letters, folders);
        }
        body.push_str("Times are UTC. A file may be announced again after a retry.\n");
        let part = if of == 1 {
            String::new()
        } else {
            format!(" ({number} of {of})")
        };
        let subject = format!("[ticklake]{part} {}", facts.join(", "));
        let attribute = |name, values: &dyn Fn(&Announced) -> String| Attribute {
            name,
            values: all.iter().map(|entry| values(entry)).collect(),
        };
        Self {
            subject: subject.chars().take(MAX_SUBJECT_CHARS).collect(),
            body,
            attributes: vec![
                Attribute {
                    name: "prefix",
                    values: folders.iter().map(|folder| folder.prefix.clone()).collect(),
                },
                attribute("format", &|entry| entry.format().to_owned()),
                attribute("kind", &|entry| {
                    if entry.is_dead_letter {
                        "dead-letter"
                    } else {
                        "data"
                    }
                    .to_owned()
                }),
            ],
            objects: all
                .iter()
                .map(|entry| entry.created.object.clone())
                .collect(),
        }
    }
}

fn write_data(body: &mut String, data: &[&Announced], folders: &[Folder]) {
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

fn write_dead_letters(body: &mut String, letters: &[&Announced], folders: &[Folder]) {
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

fn line(body: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(body, "{text}");
}

/// Rows of all entries, or `None` if one is unknown.
fn rows(entries: &[&Announced]) -> Option<u64> {
    entries.iter().try_fold(0_u64, |sum, entry| {
        Some(sum.saturating_add(entry.metadata.as_ref()?.rows))
    })
}

fn ticks(entries: &[&Announced]) -> String {
    rows(entries).map_or_else(|| "ticks unknown".to_owned(), |rows| count(rows, "tick"))
}

fn size(entries: &[&Announced]) -> String {
    ByteSize::b(
        entries
            .iter()
            .filter_map(|entry| entry.created.size)
            .fold(0, u64::saturating_add),
    )
    .to_string()
}

/// A date alone if the time of day is midnight, as in daily data; seconds otherwise.
fn moment(time: EventTime) -> String {
    let text = time.to_lake_text();
    if text.ends_with("00:00:00.000000") {
        text[..10].to_owned()
    } else {
        text[..19].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use lake_layout::ObjectMetadata;
    use object_event::ObjectCreated;

    use super::*;

    fn entry(key: &str, rows: Option<u64>) -> Announced {
        let time = |text| EventTime::parse_csv(text, None).expect("a time");
        let is_data = key.starts_with("ticks/");
        let event_times = is_data.then(|| (time("1986-12-31"), time("2010-01-11 09:30:00")));
        let reasons = if is_data {
            BTreeMap::new()
        } else {
            [
                ("field price".to_owned(), 2),
                ("not a JSON object".to_owned(), 1),
            ]
            .into()
        };
        let object = ObjectVersion {
            bucket: "lake".into(),
            key: key.into(),
            version_id: None,
            etag: None,
        };
        let created = ObjectCreated {
            object,
            size: Some(15_360),
            sequencer: None,
            time: None,
        };
        Announced::new(
            created,
            rows.map(|rows| ObjectMetadata {
                rows,
                event_times,
                reasons,
                attempt: None,
                lost_below: None,
                skipped: 0,
            }),
        )
    }

    fn attributes(digest: &Digest) -> Vec<(&str, &str, String)> {
        digest
            .attributes
            .iter()
            .map(|attribute| (attribute.name, attribute.data_type(), attribute.value()))
            .collect()
    }

    fn mail(digest: &Digest) -> String {
        let attributes: String = attributes(digest)
            .into_iter()
            .map(|(name, data_type, value)| format!("{name} ({data_type}): {value}\n"))
            .collect();
        format!("Subject: {}\n{attributes}\n{}", digest.subject, digest.body)
    }

    fn bytes(digest: &Digest) -> usize {
        let attributes = digest.attributes.iter().map(|attribute| {
            attribute.name.len() + attribute.data_type().len() + attribute.value().len()
        });
        digest.subject.len() + digest.body.len() + attributes.sum::<usize>()
    }

    #[test]
    fn a_mail_says_what_arrived_where_and_how_to_query_it() {
        let digests = Digest::compose(
            vec![
                entry(
                    "ticks/dt=2026-11-21/hr=05/ticks-0-00000000000000000000-00000000000000001422.parquet",
                    Some(1423),
                ),
                entry(
                    "ticks/dt=2026-11-21/hr=05/ticks-0-00000000000000001423-00000000000000005692.parquet",
                    Some(4270),
                ),
                entry(
                    "dead-letter/dt=2026-11-21/hr=05/ticks-0-00000000000000001423-00000000000000005692.json.gz",
                    Some(3),
                ),
            ],
            "ticklake.ticks",
        );
        assert_eq!(digests.len(), 1);
        insta::assert_snapshot!(mail(&digests[0]));
    }

    #[test]
    fn attributes_of_one_value_are_no_arrays() {
        let digest = &Digest::compose(
            vec![entry("ticks/dt=2026-11-21/hr=05/a.csv.gz", Some(1))],
            "t.t",
        )[0];
        let wanted = [
            ("prefix", "ticks/dt=2026-11-21/hr=05/"),
            ("format", "csv"),
            ("kind", "data"),
        ];
        assert_eq!(
            attributes(digest),
            wanted.map(|(name, value)| (name, "String", value.to_owned()))
        );
    }

    #[test]
    fn an_object_that_could_not_be_looked_up_is_still_listed() {
        let digest = &Digest::compose(vec![entry("ticks/foreign name ü.txt", None)], "t.t")[0];
        assert_eq!(digest.subject, "[ticklake] 1 new file, ticks unknown");
        assert!(
            digest
                .body
                .contains("  foreign name ü.txt    rows unknown    15.0 KiB\n"),
            "{}",
            digest.body
        );
    }

    #[test]
    fn a_key_cannot_write_lines_of_its_own() {
        let digest = &Digest::compose(
            vec![
                entry("ticks/a\ns3://b/\u{1}", Some(u64::MAX)),
                entry("ticks/b", Some(u64::MAX)),
            ],
            "t.t",
        )[0];
        assert!(digest.body.contains("\n  \\u{1}    "), "{}", digest.body);
        assert!(
            digest.body.contains("ticks/a\\ns3://b/") && !digest.body.contains("\ns3://b/"),
            "{}",
            digest.body
        );
        assert!(
            digest.subject.len() < 100
                && digest
                    .subject
                    .bytes()
                    .all(|byte| (b' '..=b'~').contains(&byte)),
            "{}",
            digest.subject
        );
    }

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

    #[test]
    fn mails_are_split_before_sns_refuses_them() {
        let key = |n: u64| {
            format!(
                "ticks/dt=2026-11-21/hr={:02}/{}\u{1}{n}",
                n % 24,
                "\u{1f600}".repeat(230)
            )
        };
        let digests = Digest::compose(
            (0..2400).map(|n| entry(&key(n), Some(u64::MAX))).collect(),
            "t.t",
        );
        let objects: BTreeSet<&ObjectVersion> =
            digests.iter().flat_map(|digest| &digest.objects).collect();
        assert_eq!(
            (
                objects.len(),
                digests
                    .iter()
                    .map(|digest| digest.objects.len())
                    .sum::<usize>()
            ),
            (2400, 2400)
        );
        assert!((2..10).contains(&digests.len()), "{}", digests.len());
        for (place, digest) in digests.iter().enumerate() {
            assert!(bytes(digest) < 256 * 1024, "{}", bytes(digest));
            assert!(
                digest.subject.len() < 100
                    && digest
                        .subject
                        .contains(&format!("({} of {})", place + 1, digests.len()))
            );
        }
    }
}
