use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::s3::S3EventRecord;
use serde::Deserialize;
use serde_json::Value;

/// An object that was created.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectCreated {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, decoded.
    pub key: String,
    /// The object's size in bytes, where the event says it.
    pub size: Option<u64>,
    /// The object's version in a bucket with versions.
    pub version_id: Option<String>,
}

/// What one event says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The objects that were created.
    pub created: Vec<ObjectCreated>,
    /// Why each of the other things in the event was passed over.
    pub ignored: Vec<String>,
}

/// Why a message is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message is not JSON.
    #[error("not JSON: {0}; wanted an S3 notification or an EventBridge event")]
    NotJson(String),
    /// The message is JSON but no event.
    #[error("neither an S3 notification (no \"Records\") nor an EventBridge event (no \"detail\"): {0}")]
    NoEvent(String),
    /// An event has not the form that its sender documents.
    #[error("{what}: {problem}")]
    Malformed {
        /// What the event claims to be.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
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
    version_id: Option<String>,
}

/// Returns what the text of one event says.
///
/// # Errors
/// Says what was expected where the text is no event.
pub fn decode(text: &str) -> Result<Decoded, DecodeError> {
    decode_value(serde_json::from_str(text).map_err(|error| DecodeError::NotJson(error.to_string()))?)
}

pub(crate) fn decode_value(event: Value) -> Result<Decoded, DecodeError> {
    if event.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Decoded {
            ignored: vec!["s3:TestEvent, which S3 sends once when notifications are set up".to_owned()],
            ..Decoded::default()
        });
    }
    if event.get("Records").is_some_and(Value::is_array) {
        return notification(event);
    }
    if event.get("detail").is_some() {
        return event_bridge(event);
    }
    Err(DecodeError::NoEvent(event.to_string().chars().take(120).collect()))
}

fn notification(mut event: Value) -> Result<Decoded, DecodeError> {
    let mut decoded = Decoded::default();
    let records = event["Records"].as_array_mut().map(std::mem::take).unwrap_or_default();
    for record in records {
        let record: S3EventRecord = serde_json::from_value(record)
            .map_err(|error| DecodeError::Malformed { what: "S3 notification", problem: error.to_string() })?;
        let name = record.event_name.unwrap_or_default();
        if !name.starts_with("ObjectCreated:") {
            decoded.ignored.push(format!("S3 event {name:?}"));
            continue;
        }
        let missing = |field: &str| DecodeError::Malformed { what: "S3 notification", problem: format!("no {field}") };
        let key = record.s3.object.key.filter(|key| !key.is_empty()).ok_or_else(|| missing("s3.object.key"))?;
        decoded.created.push(ObjectCreated {
            bucket: record.s3.bucket.name.ok_or_else(|| missing("s3.bucket.name"))?,
            key: form_decode(&key),
            size: record.s3.object.size.and_then(|size| u64::try_from(size).ok()),
            version_id: record.s3.object.version_id.filter(|id| !id.is_empty()),
        });
    }
    Ok(decoded)
}

fn event_bridge(event: Value) -> Result<Decoded, DecodeError> {
    let malformed = |error: serde_json::Error| DecodeError::Malformed { what: "EventBridge event", problem: error.to_string() };
    let event: EventBridgeEvent<Value> = serde_json::from_value(event).map_err(malformed)?;
    if event.source != "aws.s3" || event.detail_type != "Object Created" {
        let ignored = vec![format!("EventBridge event {:?} from {:?}", event.detail_type, event.source)];
        return Ok(Decoded { ignored, ..Decoded::default() });
    }
    let Detail { bucket, object } = serde_json::from_value(event.detail).map_err(malformed)?;
    let created = vec![ObjectCreated { bucket: bucket.name, key: object.key, size: object.size, version_id: object.version_id }];
    Ok(Decoded { created, ..Decoded::default() })
}

/// S3 notifications carry keys as `application/x-www-form-urlencoded` does: `=` as `%3D`, a blank as `+`.
fn form_decode(key: &str) -> String {
    // One name without a value: `=` and `&` are always encoded within a key.
    form_urlencoded::parse(key.replace('=', "%3D").replace('&', "%26").as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn notification_of(key: &str, name: &str) -> String {
        json!({"Records": [{"eventSource": "aws:s3", "eventTime": "2026-11-21T05:00:00.000Z", "eventName": name,
            "userIdentity": {"principalId": "P"}, "requestParameters": {"sourceIPAddress": "10.0.0.1"}, "responseElements": {},
            "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 9, "sequencer": "00"}}}]})
        .to_string()
    }

    #[test]
    fn notification_keys_are_form_encoded() {
        let decoded = decode(&notification_of("ticks/dt%3D2026-11-21/hr%3D05/a+b%2Bc%25.parquet", "ObjectCreated:Put")).expect("decoded");
        assert_eq!(decoded.created[0].key, "ticks/dt=2026-11-21/hr=05/a b+c%.parquet");
        assert_eq!(decoded.created[0].size, Some(9));
    }

    #[test]
    fn event_bridge_keys_are_raw() {
        let event = json!({"source": "aws.s3", "detail-type": "Object Created", "detail":
            {"bucket": {"name": "b"}, "object": {"key": "dt=1/a%3Db+c", "size": 1, "version-id": "v"}, "reason": "PutObject"}});
        let created = decode(&event.to_string()).expect("decoded").created;
        assert_eq!(
            created,
            [ObjectCreated { bucket: "b".into(), key: "dt=1/a%3Db+c".into(), size: Some(1), version_id: Some("v".into()) }]
        );
    }

    #[test]
    fn what_is_not_a_creation_is_ignored_with_a_reason() {
        for (event, reason) in [
            (json!({"Service": "Amazon S3", "Event": "s3:TestEvent"}).to_string(), "s3:TestEvent"),
            (notification_of("k", "ObjectRemoved:Delete"), "S3 event \"ObjectRemoved:Delete\""),
            (
                json!({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}}).to_string(),
                "EventBridge event \"Object Deleted\"",
            ),
        ] {
            let decoded = decode(&event).expect("decoded");
            assert!(decoded.created.is_empty() && decoded.ignored[0].starts_with(reason), "{decoded:?}");
        }
    }

    #[test]
    fn errors_say_what_was_expected() {
        let error = |text: &str| decode(text).expect_err(text).to_string();
        assert!(error("hello").contains("wanted an S3 notification or an EventBridge event"));
        assert!(error("{\"a\":1}").starts_with("neither an S3 notification (no \"Records\") nor an EventBridge event"));
        let no_key = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {}}});
        assert_eq!(error(&no_key.to_string()), "EventBridge event: missing field `key`");
    }

    proptest! {
        #[test]
        fn every_key_survives_the_form_encoding(key in ".{1,60}") {
            let encoded: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
            let decoded = decode(&notification_of(&encoded, "ObjectCreated:Put")).expect("decoded");
            prop_assert_eq!(&decoded.created[0].key, &key);
        }

        #[test]
        fn any_text_gives_an_event_or_an_error(text: String) {
            let _ = decode(&text);
        }
    }
}
