mod attribute;
mod body;
mod figures;
mod folder;
mod hours;
mod limits;
#[cfg(test)]
mod test_entry;

use std::collections::BTreeMap;

use object_event::ObjectVersion;
use wording::count;

use crate::announced::Announced;
pub use attribute::Attribute;
use body::{write_data, write_dead_letters};
use figures::{rows, ticks};
use folder::Folder;

/// One mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Subject: under 100 printable ASCII characters, as SNS wants it.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// The attributes that subscribers can filter by.
    pub attributes: Vec<Attribute>,
    /// The objects that the body tells of, or that a newer one among them has replaced, each
    /// once.
    pub objects: Vec<ObjectVersion>,
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
        let folders = folders
            .into_iter()
            .map(|((_, bucket, prefix), entries)| Folder::new(&bucket, &prefix, entries, table));
        let mails = limits::split(folders);
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
            subject: limits::subject(&subject),
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

#[cfg(test)]
mod tests {
    use super::test_entry::entry;
    use super::*;

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
}
