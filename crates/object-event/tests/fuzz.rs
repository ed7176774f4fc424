//! Throws damaged events at the decoder. None may make it panic, and each object that it
//! returns must be an object of the lake.
//!
//! The corpus is `events/` and `tests/corpus/`. A run has 20,000 events;
//! `FUZZ_SECONDS=600` runs for ten minutes instead. A failure prints `FUZZ_SEED`, which
//! repeats it.
#![allow(clippy::expect_used, reason = "a test")]

use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use object_event::{Event, EventError, Invocation};
use serde_json::Value;

const PREFIXES: [&str; 2] = ["ticks/", "dead-letter/"];
const EVENTS: u64 = 20_000;
/// Texts that decoders often handle badly.
const WORDS: [&str; 22] = [
    "null",
    "\"\"",
    "{}",
    "[]",
    "-1",
    "0",
    "1e400",
    "18446744073709551616",
    "\"%\"",
    "\"%zz\"",
    "\"ticks/%00\"",
    "\"ticks/%F0%9F\"",
    "\"\\ud83d\"",
    "\"\\u0000\"",
    "\"ObjectCreated:\"",
    "\"s3:TestEvent\"",
    "\"Notification\"",
    "\"aws:sqs\"",
    "\"aws:sns\"",
    "\"\\\"{\\\"",
    "\"9999-99-99T99:99:99Z\"",
    "true",
];

fn variable(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|value| value.parse().expect(name))
}

/// The samples, and the messages within them.
fn corpus() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for folder in [root.join("../../events"), root.join("tests/corpus")] {
        for entry in std::fs::read_dir(&folder).expect("a corpus") {
            let path = entry.expect("an entry").path();
            if path.is_file()
                && path
                    .extension()
                    .is_some_and(|extension| extension == "json")
            {
                texts.push(std::fs::read_to_string(&path).expect("a sample"));
            }
        }
    }
    let bodies = texts
        .iter()
        .filter_map(|text| serde_json::from_str::<Value>(text).ok())
        .flat_map(|payload| {
            let records = payload["Records"].as_array().cloned().unwrap_or_default();
            records
                .into_iter()
                .filter_map(|record| record["body"].as_str().map(str::to_owned))
                .take(3)
                .collect::<Vec<_>>()
        });
    let bodies: Vec<String> = bodies.collect();
    assert!(texts.len() > 10 && bodies.len() > 5, "the corpus is gone");
    texts.into_iter().chain(bodies).collect()
}

fn damage(rng: &mut Rng, text: &str, other: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.u8(1..6) {
        let at = rng.usize(0..=bytes.len());
        let end = (at + rng.usize(0..40)).min(bytes.len());
        match rng.u8(0..6) {
            0 => bytes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << rng.u8(0..8)),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..end, rng.choice(WORDS).expect("words").bytes())),
            3 => {
                let from = rng.usize(0..other.len());
                drop(
                    bytes.splice(
                        at..end,
                        other
                            .bytes()
                            .skip(from)
                            .take(rng.usize(0..200))
                            .collect::<Vec<u8>>(),
                    ),
                );
            }
            4 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// Replaces one value of a document, which stays JSON.
fn damage_value(rng: &mut Rng, value: &mut Value) {
    let children: Vec<&mut Value> = match value {
        Value::Object(fields) => fields.values_mut().collect(),
        Value::Array(elements) => elements.iter_mut().collect(),
        _ => Vec::new(),
    };
    let count = children.len();
    if count > 0 && rng.u8(0..5) > 0 {
        let chosen = rng.usize(0..count);
        return damage_value(rng, children.into_iter().nth(chosen).expect("a child"));
    }
    if let Value::String(text) = &*value
        && let Ok(mut inner) = serde_json::from_str::<Value>(text)
    {
        damage_value(rng, &mut inner);
        *value = Value::String(inner.to_string());
        return;
    }
    *value = serde_json::from_str(rng.choice(WORDS).expect("words")).unwrap_or(Value::Null);
}

fn check(text: &str) -> (u64, u64) {
    let payload = serde_json::from_str::<Value>(text).unwrap_or_else(|_| {
        serde_json::json!({
            "Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": text}],
        })
    });
    let Ok(invocation) = Invocation::read(payload, |text| Event::decode(text, &PREFIXES)) else {
        return (0, 1);
    };
    let mut objects = 0;
    let mut errors = 0;
    for message in &invocation.messages {
        match &message.content {
            Ok(event) => {
                for created in &event.created {
                    let key = &created.object.key;
                    let is_hidden = key.split('/').any(|part| part.starts_with(['_', '.']));
                    let is_in_lake = PREFIXES.iter().any(|prefix| key.starts_with(prefix));
                    assert!(
                        is_in_lake && !is_hidden && !key.ends_with('/') && created.size != Some(0),
                        "{created:?}"
                    );
                    objects += 1;
                }
            }
            Err(EventError::Panicked(message)) => panic!("{message}"),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                errors += 1;
            }
        }
    }
    (objects, errors)
}

#[test]
fn no_event_makes_the_decoder_panic() {
    let corpus = corpus();
    let until =
        variable("FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let first = variable("FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut seed = first;
    let mut objects = 0;
    let mut errors = 0;
    while until.map_or(seed.wrapping_sub(first) < EVENTS, |until| {
        Instant::now() < until
    }) {
        let mut rng = Rng::with_seed(seed);
        let sample = &corpus[rng.usize(0..corpus.len())];
        let other = &corpus[rng.usize(0..corpus.len())];
        let text = match serde_json::from_str::<Value>(sample) {
            Ok(mut payload) if rng.bool() => {
                (0..rng.u8(1..4)).for_each(|_| damage_value(&mut rng, &mut payload));
                payload.to_string()
            }
            _ => String::from_utf8_lossy(&damage(&mut rng, sample, other)).into_owned(),
        };
        let (more_objects, more_errors) = std::panic::catch_unwind(|| check(&text))
            .unwrap_or_else(|_| panic!("FUZZ_SEED={seed} makes it panic with: {text}"));
        objects += more_objects;
        errors += more_errors;
        seed = seed.wrapping_add(1);
    }
    println!(
        "{} events from FUZZ_SEED={first} on: {objects} objects, {errors} errors",
        seed.wrapping_sub(first)
    );
    // A run without both whole and damaged events proves nothing.
    assert!(objects > 0 && errors > 0);
}
