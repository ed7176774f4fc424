//! Mails within the limits of SNS:
//! <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>.

use super::folder::Folder;

/// The size limit of SNS for a message, attributes included.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Left for the text above and below the partitions, and for names and types of the
/// attributes.
const FRAME_BYTES: usize = 8 * 1024;
/// The length limit of SNS for a subject.
const MAX_SUBJECT_CHARS: usize = 99;

/// Returns the folders of each mail, in order.
pub(super) fn split(folders: impl Iterator<Item = Folder>) -> Vec<Vec<Folder>> {
    let mut mails: Vec<Vec<Folder>> = Vec::new();
    let mut room = 0;
    for folder in folders {
        // The prefix is in an attribute, too, in quotes and behind a comma; quotes within
        // it take one more.
        let bytes = folder.text.len() + 2 * folder.prefix.len() + 4;
        match mails.last_mut() {
            Some(mail) if bytes <= room => mail.push(folder),
            _ => {
                mails.push(vec![folder]);
                room = MAX_MESSAGE_BYTES - FRAME_BYTES;
            }
        }
        room = room.saturating_sub(bytes);
    }
    mails
}

/// Cuts a subject off at its limit.
pub(super) fn subject(text: &str) -> String {
    text.chars().take(MAX_SUBJECT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use object_event::ObjectVersion;

    use crate::digest::Digest;
    use crate::digest::test_entry::entry;

    fn bytes(digest: &Digest) -> usize {
        let attributes = digest.attributes.iter().map(|attribute| {
            attribute.name.len() + attribute.data_type().len() + attribute.value().len()
        });
        digest.subject.len() + digest.body.len() + attributes.sum::<usize>()
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
