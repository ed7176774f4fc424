use std::collections::{BTreeMap, BTreeSet};

use curation::RegisterKey;
use lake_layout::ObjectKey;
use metrics::counter;
use object_event::{Event, EventError, Ignored, Message, ObjectCreated, ObjectVersion};
use tracing::warn;

use crate::hours::outcome_key;

/// The objects that mails announce. Of the registers of curated hours these are the
/// outcomes alone.
const ANNOUNCED_PREFIXES: [&str; 3] = [ObjectKey::DATA, ObjectKey::DEAD_LETTERS, RegisterKey::ROOT];

/// The source of a message, and so how it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MessageSource {
    /// Its place in the invocation: the response says whether it failed.
    Invocation(usize),
    /// Received by the function itself: deleted with this receipt handle once its objects
    /// are announced.
    Queue(String),
}

/// The objects to be announced, each once, with the messages that brought it: S3,
/// EventBridge and SQS all may deliver again.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    objects: BTreeMap<ObjectVersion, (ObjectCreated, BTreeSet<MessageSource>)>,
    /// Messages received from the queue that ask for nothing.
    empty: Vec<MessageSource>,
    /// Objects that more than one message brought.
    pub(crate) repeats: u64,
    /// Objects and events that were passed over.
    pub(crate) ignored: Vec<Ignored>,
}

impl Arrivals {
    /// Reads a message.
    pub(crate) fn read(text: &str) -> Result<Event, EventError> {
        function::panic_if_asked(text);
        let mut event = Event::decode(text, &ANNOUNCED_PREFIXES)?;
        let is_announced = |created: &mut ObjectCreated| {
            let key = created.object.key.as_str();
            !key.starts_with(RegisterKey::ROOT) || outcome_key(key).is_some()
        };
        let others = event
            .created
            .extract_if(.., |created| !is_announced(created));
        event.ignored.extend(others.map(|_| Ignored::OutsideLake));
        Ok(event)
    }

    /// Adds the objects of a message. A message that cannot be read is counted, and not
    /// acknowledged.
    ///
    /// # Errors
    /// The message cannot be read; says why.
    pub(crate) fn add<'a>(
        &mut self,
        source: MessageSource,
        message: &'a Message<Event>,
    ) -> Result<(), &'a EventError> {
        let event = message.content.as_ref().inspect_err(|reason| {
            counter!("BadMessages").increment(1);
            warn!(message = message.id, %reason, "not an event");
        })?;
        self.ignored.extend(event.ignored.iter().cloned());
        if event.created.is_empty() {
            self.empty.push(source);
            return Ok(());
        }
        for created in &event.created {
            let entry = self.objects.entry(created.object.clone());
            let (_, sources) = entry.or_insert_with(|| (created.clone(), BTreeSet::new()));
            self.repeats += u64::from(!sources.is_empty());
            sources.insert(source.clone());
        }
        Ok(())
    }

    /// Returns the objects, in the order of their keys, those of one key in the order in
    /// which they were created.
    pub(crate) fn objects(&self) -> Vec<ObjectCreated> {
        let mut objects: Vec<ObjectCreated> = self
            .objects
            .values()
            .map(|(created, _)| created.clone())
            .collect();
        objects.sort_by(|a, b| (&a.object.key, &a.sequencer).cmp(&(&b.object.key, &b.sequencer)));
        objects
    }

    /// Returns about how many bytes of mail the objects take.
    pub(crate) fn bytes(&self) -> usize {
        self.objects
            .keys()
            .map(|object| object.key.len() + 60)
            .sum()
    }

    /// Returns the number of objects.
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Returns the messages that brought these objects.
    pub(crate) fn sources<'a>(
        &'a self,
        objects: impl IntoIterator<Item = &'a ObjectVersion>,
    ) -> impl Iterator<Item = &'a MessageSource> {
        objects
            .into_iter()
            .filter_map(|object| self.objects.get(object))
            .flat_map(|(_, sources)| sources)
    }

    /// Returns the receipt handles of the queue's messages that none of these sources is:
    /// they are done with.
    pub(crate) fn done<'a>(&'a self, failed: &BTreeMap<&MessageSource, &str>) -> BTreeSet<&'a str> {
        let sources = self
            .objects
            .values()
            .flat_map(|(_, sources)| sources)
            .chain(&self.empty);
        let receipt = |source: &'a MessageSource| match source {
            MessageSource::Queue(receipt) if !failed.contains_key(source) => Some(receipt.as_str()),
            MessageSource::Queue(_) | MessageSource::Invocation(_) => None,
        };
        sources.filter_map(receipt).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(keys: &[&str]) -> Message<Event> {
        let record = |key: &&str| {
            serde_json::json!({"eventTime": "2026-11-21T05:00:00.123Z",
                "eventName": "ObjectCreated:Put", "userIdentity": {}, "responseElements": {},
                "requestParameters": {}, "s3": {"bucket": {"name": "b"},
                "object": {"key": key, "size": 9, "eTag": "e", "sequencer": "0A"}}})
        };
        let body =
            serde_json::json!({"Records": keys.iter().map(record).collect::<Vec<_>>()}).to_string();
        Message::new(None, &body, Arrivals::read)
    }

    #[test]
    fn repeats_are_listed_once_and_acknowledged_with_all_their_messages() {
        let mut batch = Arrivals::default();
        let receipt = |name: &str| MessageSource::Queue(name.to_owned());
        assert!(
            batch
                .add(
                    MessageSource::Invocation(0),
                    &message(&["ticks/a", "ticks/b"])
                )
                .is_ok()
        );
        assert!(batch.add(receipt("r1"), &message(&["ticks/b"])).is_ok());
        assert!(
            batch
                .add(
                    receipt("r2"),
                    &message(&[
                        "ticks/c",
                        "ticks/a",
                        "_manifests/m",
                        "_curated/dt=2026-11-21/hr=05/000000.plan.json",
                        "_curated/dt=2026-11-21/hr=05/000000.outcome.json",
                    ])
                )
                .is_ok()
        );
        assert!(batch.add(receipt("r3"), &message(&[])).is_ok());
        assert!(
            batch
                .add(receipt("r4"), &Message::new(None, "poison", Arrivals::read))
                .is_err()
        );
        let keys: Vec<String> = batch
            .objects()
            .into_iter()
            .map(|created| created.object.key)
            .collect();
        assert_eq!(
            (keys, batch.repeats, batch.ignored.as_slice()),
            (
                vec![
                    "_curated/dt=2026-11-21/hr=05/000000.outcome.json".into(),
                    "ticks/a".into(),
                    "ticks/b".into(),
                    "ticks/c".into()
                ],
                2,
                [Ignored::OutsideLake, Ignored::OutsideLake].as_slice()
            )
        );
        let failed: Vec<ObjectVersion> = batch
            .objects()
            .into_iter()
            .map(|created| created.object)
            .filter(|object| object.key == "ticks/a")
            .collect();
        let sources: BTreeMap<&MessageSource, &str> = batch
            .sources(&failed)
            .map(|source| (source, "why"))
            .collect();
        assert_eq!(
            sources.keys().copied().collect::<Vec<_>>(),
            [&MessageSource::Invocation(0), &receipt("r2")]
        );
        assert_eq!(batch.done(&sources), ["r1", "r3"].into());
    }
}
