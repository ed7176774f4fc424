use std::time::{Duration, SystemTime};

use lake_layout::{LakePartition, ObjectKey};
use object_event::{Event, EventError, ObjectCreated, ObjectVersion};

/// The prefixes that the crawler crawls.
const CRAWLED_PREFIXES: [&str; 1] = [ObjectKey::DATA];

/// The objects for which a message waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Want {
    /// The objects that the catalog must cover; empty if the message names none below
    /// `ticks/`.
    pub(crate) objects: Vec<Wanted>,
    /// The other contents of the message.
    pub(crate) ignored: Vec<object_event::Ignored>,
    /// The time at which SQS got the message, if it came from there.
    pub(crate) sent: Option<SystemTime>,
    /// The number of times that SQS has delivered the message.
    pub(crate) receives: u32,
}

/// An object that the catalog must cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The object's version.
    pub(crate) object: ObjectVersion,
    /// The lake partition in its key, if there is one.
    pub(crate) partition: Option<LakePartition>,
    /// A time at which the object was present.
    pub(crate) created_by: Option<SystemTime>,
}

impl Want {
    /// Reads a message.
    pub(crate) fn read(text: &str) -> Result<Self, EventError> {
        function::panic_if_asked(text);
        let event = Event::decode(text, &CRAWLED_PREFIXES)?;
        Ok(Self {
            objects: event.created.into_iter().map(Wanted::of).collect(),
            ignored: event.ignored,
            sent: None,
            receives: 1,
        })
    }

    /// Adds SQS's attributes of the message. The objects were present when it was sent.
    pub(crate) fn received(mut self, sent: Option<SystemTime>, receives: u32) -> Self {
        self.sent = sent;
        self.receives = receives;
        for object in &mut self.objects {
            object.created_by = object.created_by.into_iter().chain(sent).min();
        }
        self
    }
}

impl Wanted {
    fn of(created: ObjectCreated) -> Self {
        // EventBridge cuts the time to the second.
        let created_by = created
            .time
            .and_then(|time| time.checked_add(Duration::from_secs(1)));
        Self {
            partition: LakePartition::of_key(&created.object.key),
            object: created.object,
            created_by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// With every-file, an object counts as covered by a crawl that began when the object
    /// was present.
    #[test]
    fn an_object_is_present_when_its_message_was_sent_or_a_second_after_its_event() {
        let event = |time: &str| {
            let event = concat!(
                r#"{"source": "aws.s3", "detail-type": "Object Created", TIME "#,
                r#""detail": {"bucket": {"name": "b"}, "object": {"key": "ticks/a"}}}"#,
            );
            Want::read(&event.replace("TIME", time)).expect("an event")
        };
        // 1,795,237,201 s.
        let timed = r#""time": "2026-11-21T05:00:01Z","#;
        for (time, sent, wanted) in [
            (timed, None, at(1_795_237_202)),
            (timed, at(1_795_237_201), at(1_795_237_201)),
            (timed, at(1_795_237_300), at(1_795_237_202)),
            ("", at(1_795_237_300), at(1_795_237_300)),
            ("", None, None),
        ] {
            assert_eq!(
                event(time).received(sent, 1).objects[0].created_by,
                wanted,
                "{time} {sent:?}"
            );
        }
    }
}
