use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytesize::ByteSize;
use object_event::ObjectCreated;
use tick::EventTime;
use wording::count;

use crate::announced::Announced;

/// Most objects in one mail. A line takes up to 1,100 bytes (S3 keys end at 1,024) in a body of up to 256 KiB:
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>.
const OBJECTS: usize = 200;

/// One mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Subject: under 100 printable ASCII characters, as SNS wants it.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// The objects that the body lists, each once.
    pub objects: Vec<ObjectCreated>,
}

impl Digest {
    /// Returns the mails that list these objects, in the order of their keys; `table` is what a query names.
    pub(crate) fn compose(mut announced: Vec<Announced>, table: &str) -> Vec<Self> {
        announced.sort_by(|a, b| (a.is_dead_letter(), &a.object.key).cmp(&(b.is_dead_letter(), &b.object.key)));
        announced.chunks(OBJECTS).map(|chunk| Self::of(chunk, table)).collect()
    }

    fn of(announced: &[Announced], table: &str) -> Self {
        let (letters, data): (Vec<&Announced>, Vec<&Announced>) = announced.iter().partition(|entry| entry.is_dead_letter());
        let mut facts = Vec::new();
        if !data.is_empty() {
            facts.push(format!("{}, {}", count(data.len() as u64, "new file"), ticks(&data)));
        }
        if !letters.is_empty() {
            facts.push(rows(&letters).map_or_else(|| count(letters.len() as u64, "dead-letter file"), |rows| count(rows, "dead letter")));
        }
        let mut body = String::new();
        if !data.is_empty() {
            write_data(&mut body, &data, table);
        }
        if !letters.is_empty() {
            write_dead_letters(&mut body, &letters);
        }
        body.push_str("Times are UTC. A file may be announced again after a retry.\n");
        Self {
            subject: format!("[ticklake] {}", facts.join(", ")),
            body,
            objects: announced.iter().map(|entry| entry.object.clone()).collect(),
        }
    }
}

fn write_data(body: &mut String, data: &[&Announced], table: &str) {
    line(body, format_args!("{} in ticks/, {}, {}", count(data.len() as u64, "new file"), ticks(data), size(data)));
    let times = data.iter().filter_map(|entry| entry.metadata.as_ref()?.event_times);
    if let Some((first, last)) = times.reduce(|(first, last), (from, to)| (first.min(from), last.max(to))) {
        line(body, format_args!("Ticks from {} to {} (UTC)", moment(first), moment(last)));
    }
    for (folder, entries) in by_folder(data) {
        let title = entries[0].lake_partition().map_or_else(|| folder.to_owned(), |partition| partition.to_string());
        line(body, format_args!("\n{title}    {}    {}    {}", count(entries.len() as u64, "file"), ticks(&entries), size(&entries)));
        write_files(body, &entries);
        if let Some(partition) = entries[0].lake_partition() {
            let (dt, hr) = (partition.dt(), partition.hr());
            line(body, format_args!("Query them:  SELECT * FROM {table} WHERE dt = '{dt}' AND hr = '{hr}'"));
        }
        line(body, format_args!("s3://{}/{folder}/", entries[0].object.bucket));
    }
    body.push('\n');
}

fn write_dead_letters(body: &mut String, letters: &[&Announced]) {
    let records = rows(letters).map_or_else(|| count(letters.len() as u64, "file"), |rows| count(rows, "record"));
    line(body, format_args!("Warning: not usable as ticks, kept in dead-letter/ with the reason: {records}"));
    for (folder, entries) in by_folder(letters) {
        write_files(body, &entries);
        line(body, format_args!("s3://{}/{folder}/", entries[0].object.bucket));
    }
    body.push('\n');
}

fn by_folder<'a>(entries: &[&'a Announced]) -> BTreeMap<&'a str, Vec<&'a Announced>> {
    let mut folders: BTreeMap<&str, Vec<&Announced>> = BTreeMap::new();
    for entry in entries {
        folders.entry(entry.folder()).or_default().push(entry);
    }
    folders
}

fn write_files(body: &mut String, entries: &[&Announced]) {
    for entry in entries {
        let rows = match &entry.metadata {
            Some(metadata) if entry.is_dead_letter() => count(metadata.rows, "record"),
            Some(metadata) => count(metadata.rows, "tick"),
            None => "rows unknown".to_owned(),
        };
        line(body, format_args!("  {}    {rows}    {}", entry.name(), entry.object.size.map_or("size unknown".into(), kib)));
    }
}

fn line(body: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(body, "{text}");
}

/// Rows of all entries, or `None` where one is unknown.
fn rows(entries: &[&Announced]) -> Option<u64> {
    entries.iter().map(|entry| Some(entry.metadata.as_ref()?.rows)).sum()
}

fn ticks(entries: &[&Announced]) -> String {
    rows(entries).map_or_else(|| "ticks unknown".to_owned(), |rows| count(rows, "tick"))
}

fn size(entries: &[&Announced]) -> String {
    kib(entries.iter().filter_map(|entry| entry.object.size).sum())
}

fn kib(bytes: u64) -> String {
    ByteSize::b(bytes).to_string()
}

/// A date alone where the time of day is midnight, as daily data has it; seconds otherwise.
fn moment(time: EventTime) -> String {
    let text = time.to_lake_text();
    if text.ends_with("00:00:00.000000") { text[..10].to_owned() } else { text[..19].to_owned() }
}

#[cfg(test)]
mod tests {
    use lake::ObjectMetadata;

    use super::*;

    fn entry(key: &str, rows: Option<u64>) -> Announced {
        let time = |text| EventTime::parse_csv(text, None).expect("a time");
        let event_times = key.starts_with("ticks/").then(|| (time("1986-12-31"), time("2010-01-11 09:30:00")));
        Announced {
            object: ObjectCreated { bucket: "lake".into(), key: key.into(), size: Some(15_360), version_id: None },
            metadata: rows.map(|rows| ObjectMetadata { rows, event_times, attempt: None, lost_below: None }),
        }
    }

    #[test]
    fn a_mail_says_what_arrived_where_and_how_to_query_it() {
        let digests = Digest::compose(
            vec![
                entry("ticks/dt=2026-11-21/hr=05/ticks-0-00000000000000001423-00000000000000005692.parquet", Some(4270)),
                entry("ticks/dt=2026-11-21/hr=05/ticks-0-00000000000000000000-00000000000000001422.parquet", Some(1423)),
                entry("dead-letter/dt=2026-11-21/hr=05/ticks-0-00000000000000001423-00000000000000005692.json.gz", Some(1)),
            ],
            "ticklake.ticks",
        );
        assert_eq!(digests.len(), 1);
        assert_eq!(digests[0].subject, "[ticklake] 2 new files, 5,693 ticks, 1 dead letter");
        assert_eq!(
            digests[0].body,
            "2 new files in ticks/, 5,693 ticks, 30.0 KiB\n\
             Ticks from 1986-12-31 to 2010-01-11 09:30:00 (UTC)\n\
             \n\
             dt=2026-11-21/hr=05    2 files    5,693 ticks    30.0 KiB\n  \
               ticks-0-00000000000000000000-00000000000000001422.parquet    1,423 ticks    15.0 KiB\n  \
               ticks-0-00000000000000001423-00000000000000005692.parquet    4,270 ticks    15.0 KiB\n\
             Query them:  SELECT * FROM ticklake.ticks WHERE dt = '2026-11-21' AND hr = '05'\n\
             s3://lake/ticks/dt=2026-11-21/hr=05/\n\
             \n\
             Warning: not usable as ticks, kept in dead-letter/ with the reason: 1 record\n  \
               ticks-0-00000000000000001423-00000000000000005692.json.gz    1 record    15.0 KiB\n\
             s3://lake/dead-letter/dt=2026-11-21/hr=05/\n\
             \n\
             Times are UTC. A file may be announced again after a retry.\n"
        );
    }

    #[test]
    fn an_object_that_could_not_be_looked_up_is_still_listed() {
        let digest = &Digest::compose(vec![entry("ticks/foreign name ü.txt", None)], "t.t")[0];
        assert_eq!(digest.subject, "[ticklake] 1 new file, ticks unknown");
        assert!(digest.body.contains("  foreign name ü.txt    rows unknown    15.0 KiB\n"), "{}", digest.body);
    }

    #[test]
    fn many_objects_give_several_mails_that_sns_accepts() {
        let key = |n: u64| format!("ticks/dt=2026-11-21/hr=05/{}-{n}", "x".repeat(950));
        let digests = Digest::compose((0..450).map(|n| entry(&key(n), Some(u64::MAX >> 20))).collect(), "t.t");
        assert_eq!(digests.iter().map(|digest| digest.objects.len()).collect::<Vec<_>>(), [200, 200, 50]);
        for digest in digests {
            assert!(digest.body.len() < 256 * 1024 && digest.subject.len() < 100 && digest.subject.is_ascii());
        }
    }
}
