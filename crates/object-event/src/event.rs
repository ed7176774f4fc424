use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::s3::S3EventRecord;
use serde::Deserialize;
use serde_json::Value;

use crate::{Ignored, ObjectCreated, ObjectVersion, Sequencer};

/// The content of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The objects that were created.
    pub created: Vec<ObjectCreated>,
    /// The reason for each ignored part of the event.
    pub ignored: Vec<Ignored>,
}

/// Why a message is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The message is not JSON.
    #[error(
        "not JSON: {0}; wanted an S3 notification or an EventBridge event, \
         on its own or in an SNS notification"
    )]
    NotJson(String),
    /// The message is JSON but not an event.
    #[error(
        "neither an S3 notification (no \"Records\"), an EventBridge event (no \"detail\") \
         nor an SNS notification (no \"Message\"): {0}"
    )]
    NoEvent(String),
    /// An event does not have the form that its sender documents.
    #[error("{kind}: {problem}")]
    Malformed {
        /// The kind of event that it claims to be.
        kind: &'static str,
        /// The deviation from the documented form.
        problem: String,
    },
    /// Reading the message panicked.
    #[error("the message made the function panic: {0}")]
    Panicked(String),
}

/// `detail` of EventBridge's `Object Created`.
#[derive(Deserialize)]
struct Detail {
    bucket: DetailBucket,
    object: DetailObject,
}

#[derive(Deserialize)]
struct DetailBucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DetailObject {
    key: String,
    size: Option<u64>,
    etag: Option<String>,
    version_id: Option<String>,
    sequencer: Option<String>,
}

impl Event {
    /// Returns the event in the text of a message, with the objects below `prefixes`. The
    /// text is an S3 notification or an EventBridge event, on its own or as the message
    /// of an SNS notification.
    ///
    /// # Errors
    /// The text is not an event; the error names the expected form.
    pub fn decode(text: &str, prefixes: &[&str]) -> Result<Self, EventError> {
        let parse = |text: &str| {
            serde_json::from_str::<Value>(text)
                .map_err(|error| EventError::NotJson(error.to_string()))
        };
        let mut event = parse(text)?;
        if let Some(message) = sns_message(&event)? {
            event = parse(message)?;
        }
        let mut decoded = Self::of(event)?;
        let (created, ignored): (Vec<_>, Vec<_>) = decoded
            .created
            .into_iter()
            .map(|created| (created.passed_over(prefixes), created))
            .partition(|(reason, _)| reason.is_none());
        decoded.created = created.into_iter().map(|(_, created)| created).collect();
        decoded
            .ignored
            .extend(ignored.into_iter().filter_map(|(reason, _)| reason));
        Ok(decoded)
    }

    fn of(event: Value) -> Result<Self, EventError> {
        if event["Event"] == "s3:TestEvent" {
            return Ok(Self {
                ignored: vec![Ignored::TestEvent],
                ..Self::default()
            });
        }
        if event["Records"].is_array() {
            return Self::of_notification(event);
        }
        if event.get("detail").is_some() {
            return Self::of_event_bridge(event);
        }
        Err(EventError::NoEvent(
            event.to_string().chars().take(120).collect(),
        ))
    }

    fn of_notification(mut event: Value) -> Result<Self, EventError> {
        let malformed = |problem: String| EventError::Malformed {
            kind: "S3 notification",
            problem,
        };
        let mut decoded = Self::default();
        for record in event["Records"]
            .as_array_mut()
            .map(std::mem::take)
            .unwrap_or_default()
        {
            let name = record["eventName"]
                .as_str()
                .ok_or_else(|| malformed("a record without eventName".to_owned()))?;
            // EventBridge and Lambda write the names with a prefix, records without.
            if !name.trim_start_matches("s3:").starts_with("ObjectCreated:") {
                decoded.ignored.push(Ignored::other(name));
                continue;
            }
            let record: S3EventRecord =
                serde_json::from_value(record).map_err(|error| malformed(error.to_string()))?;
            let object = record.s3.object;
            let key = object
                .key
                .filter(|key| !key.is_empty())
                .ok_or_else(|| malformed("no s3.object.key".to_owned()))?;
            let bucket = record
                .s3
                .bucket
                .name
                .ok_or_else(|| malformed("no s3.bucket.name".to_owned()))?;
            decoded.created.push(ObjectCreated {
                object: ObjectVersion::new(
                    bucket,
                    form_decode(&key),
                    object.version_id,
                    object.e_tag,
                ),
                size: object.size.and_then(|size| u64::try_from(size).ok()),
                sequencer: object.sequencer.as_deref().map(Sequencer::new),
                time: Some(record.event_time.into()),
            });
        }
        Ok(decoded)
    }

    fn of_event_bridge(event: Value) -> Result<Self, EventError> {
        let malformed = |error: serde_json::Error| EventError::Malformed {
            kind: "EventBridge event",
            problem: error.to_string(),
        };
        let event: EventBridgeEvent<Value> = serde_json::from_value(event).map_err(malformed)?;
        if event.source != "aws.s3" || event.detail_type != "Object Created" {
            return Ok(Self {
                ignored: vec![Ignored::other(&event.detail_type)],
                ..Self::default()
            });
        }
        let Detail { bucket, object } = serde_json::from_value(event.detail).map_err(malformed)?;
        let created = ObjectCreated {
            object: ObjectVersion::new(bucket.name, object.key, object.version_id, object.etag),
            size: object.size,
            sequencer: object.sequencer.as_deref().map(Sequencer::new),
            time: event.time.map(Into::into),
        };
        Ok(Self {
            created: vec![created],
            ..Self::default()
        })
    }
}

/// Returns the message of an SNS notification in the form that SNS puts into a queue
/// without raw delivery. Source:
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>.
fn sns_message(event: &Value) -> Result<Option<&str>, EventError> {
    let malformed = |problem: String| {
        Err(EventError::Malformed {
            kind: "SNS message",
            problem,
        })
    };
    let (Some(kind), Some(_)) = (event["Type"].as_str(), event.get("TopicArn")) else {
        return Ok(None);
    };
    if kind != "Notification" {
        return malformed(format!(
            "Type {kind:?}, wanted \"Notification\"; confirm or remove the subscription of {}",
            event["TopicArn"]
        ));
    }
    event["Message"].as_str().map_or_else(
        || malformed("no Message".to_owned()),
        |message| Ok(Some(message)),
    )
}

/// Decodes the key of an S3 notification, which is encoded as
/// `application/x-www-form-urlencoded`: `=` as `%3D`, a blank as `+`.
fn form_decode(key: &str) -> String {
    // One name without a value: `=` and `&` are always encoded within a key.
    form_urlencoded::parse(key.replace('=', "%3D").replace('&', "%26").as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ALL: &[&str] = &[""];

    fn record(key: &str, name: &str) -> Value {
        json!({
            "eventSource": "aws:s3",
            "eventTime": "2026-11-21T05:00:00.123Z",
            "eventName": name,
            "userIdentity": {"principalId": "P"},
            "requestParameters": {"sourceIPAddress": "10.0.0.1"},
            "responseElements": {},
            "s3": {
                "bucket": {"name": "b"},
                "object": {"key": key, "size": 9, "eTag": "e", "sequencer": "0A"},
            },
        })
    }

    fn notification(key: &str, name: &str) -> Value {
        json!({"Records": [record(key, name)]})
    }

    fn event_bridge(key: &str) -> Value {
        json!({
            "source": "aws.s3",
            "detail-type": "Object Created",
            "time": "2026-11-21T05:00:00Z",
            "detail": {
                "bucket": {"name": "b"},
                "object": {"key": key, "size": 9, "etag": "e", "sequencer": "0A"},
                "reason": "PutObject",
            },
        })
    }

    fn in_sns(event: &Value) -> Value {
        json!({
            "Type": "Notification",
            "MessageId": "m",
            "TopicArn": "arn:aws:sns:us-east-1:1:t",
            "Message": event.to_string(),
            "Timestamp": "2026-11-21T05:00:00.000Z",
        })
    }

    fn decode(event: &Value) -> Event {
        Event::decode(&event.to_string(), ALL).expect("an event")
    }

    #[test]
    fn every_envelope_gives_the_same_object() {
        let key = "ticks/dt=2026-11-21/hr=05/a b+c%.parquet";
        let encoded = "ticks/dt%3D2026-11-21/hr%3D05/a+b%2Bc%25.parquet";
        let from_s3 = notification(encoded, "ObjectCreated:Put");
        let from_event_bridge = event_bridge(key);
        let mut seen: Vec<ObjectVersion> = Vec::new();
        for event in [
            &from_s3,
            &from_event_bridge,
            &in_sns(&from_s3),
            &in_sns(&from_event_bridge),
        ] {
            let created = decode(event).created;
            assert_eq!(
                (
                    created.len(),
                    created[0].size,
                    created[0].object.key.as_str()
                ),
                (1, Some(9), key),
                "{event}"
            );
            assert_eq!(created[0].sequencer, Some(Sequencer::new("0A")));
            seen.push(created[0].object.clone());
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
        let time = |event| {
            decode(event).created[0]
                .time
                .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        };
        assert_eq!(
            time(&from_s3),
            Some(Duration::from_millis(1_795_237_200_123))
        );
        assert_eq!(
            time(&from_event_bridge),
            Some(Duration::from_secs(1_795_237_200))
        );
    }

    #[test]
    fn event_bridge_keys_are_raw() {
        for key in ["dt=1/a%3Db+c", "a%2520b", "ü/😀 &=+%"] {
            assert_eq!(decode(&event_bridge(key)).created[0].object.key, key);
        }
    }

    #[test]
    fn versions_tell_objects_of_one_key_apart() {
        let mut versioned = event_bridge("k");
        versioned["detail"]["object"]["version-id"] = json!("v1");
        let object = decode(&versioned).created[0].object.clone();
        assert_eq!(
            (object.version_id.as_deref(), object.etag),
            (Some("v1"), None)
        );
        assert_eq!(
            decode(&event_bridge("k")).created[0].object.etag.as_deref(),
            Some("e")
        );
    }

    #[test]
    fn events_other_than_creations_are_ignored_with_a_reason() {
        let deleted = json!({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}});
        // Fields that only creations have are missing.
        let tagged = json!({"Records": [{"eventName": "ObjectTagging:Put"}]});
        for (event, reason) in [
            (
                json!({"Service": "Amazon S3", "Event": "s3:TestEvent"}),
                Ignored::TestEvent,
            ),
            (
                in_sns(&json!({"Event": "s3:TestEvent"})),
                Ignored::TestEvent,
            ),
            (
                notification("k", "ObjectRemoved:Delete"),
                Ignored::OtherEvent("ObjectRemoved:Delete".into()),
            ),
            (
                notification("k", "ObjectRestore:Completed"),
                Ignored::OtherEvent("ObjectRestore:Completed".into()),
            ),
            (tagged, Ignored::OtherEvent("ObjectTagging:Put".into())),
            (deleted, Ignored::OtherEvent("Object Deleted".into())),
        ] {
            assert_eq!(
                decode(&event),
                Event {
                    created: vec![],
                    ignored: vec![reason]
                }
            );
        }
        let mixed = json!({"Records": [
            record("ticks/a", "ObjectCreated:Put"),
            record("ticks/a", "ObjectRemoved:Delete"),
            record("_manifests/a", "ObjectCreated:Copy"),
            record("ticks/b", "s3:ObjectCreated:CompleteMultipartUpload"),
        ]});
        let decoded = Event::decode(&mixed.to_string(), &["ticks/"]).expect("an event");
        assert_eq!(decoded.created.len(), 2);
        assert_eq!(
            Ignored::summary(&decoded.ignored),
            "1 × event \"ObjectRemoved:Delete\", 1 × object outside the lake"
        );
    }

    #[test]
    fn errors_name_the_expected_form() {
        let error = |text: &str| Event::decode(text, ALL).expect_err(text).to_string();
        assert!(error("hello").contains("wanted an S3 notification or an EventBridge event"));
        assert!(
            error("{\"a\":1}")
                .starts_with("neither an S3 notification (no \"Records\"), an EventBridge event")
        );
        assert_eq!(
            error("{\"Records\":[{}]}"),
            "S3 notification: a record without eventName"
        );
        let no_key = json!({
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": "b"}, "object": {}},
        });
        assert_eq!(
            error(&no_key.to_string()),
            "EventBridge event: missing field `key`"
        );
        let confirmation = json!({
            "Type": "SubscriptionConfirmation",
            "TopicArn": "arn:t",
            "Message": "You have chosen to subscribe",
        });
        assert!(
            error(&confirmation.to_string())
                .contains("confirm or remove the subscription of \"arn:t\"")
        );
    }

    proptest! {
        #[test]
        fn every_key_survives_the_form_encoding(key in "(?s).{1,60}") {
            let encoded: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
            let event = Event::of(notification(&encoded, "ObjectCreated:Put")).expect("an event");
            prop_assert_eq!(&event.created[0].object.key, &key);
        }
    }
}
