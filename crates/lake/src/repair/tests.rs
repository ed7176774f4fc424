use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::{Batch, Content, Format, Granularity, PartitionBy, Routing, Rules};

const HOW: How = How {
    log_start: 0,
    gives_up: false,
    room: Room {
        for_all: u64::MAX,
        for_one: u64::MAX,
    },
};

/// Records whose lake partitions, dead letters and tombstones are mixed.
fn values(kinds: &[u8]) -> Vec<Vec<u8>> {
    let value = |kind: &u8| match kind {
        0 => b"poison".to_vec(),
        1 => Vec::new(),
        kind => format!(r#"{{"symbol":"A","event_time":"20{kind:02}-01-08T00:00:00Z","price":1}}"#)
            .into_bytes(),
    };
    kinds.iter().map(value).collect()
}

/// Offsets have holes.
fn record(index: usize, values: &[Vec<u8>]) -> Record<'_> {
    Record {
        offset: 7 + index as i64 * 2,
        timestamp_ms: Some(9),
        value: Some(&values[index]),
        ..Record::default()
    }
}

fn sealed(
    values: &[Vec<u8>],
    skip_tombstones: bool,
    format: Format,
) -> (Arc<Manifest>, Vec<Object>) {
    let routing = Routing {
        by: PartitionBy::EventTime,
        granularity: Granularity::Day,
    };
    let mut batch = Batch::new(
        "t",
        1,
        5,
        Rules {
            routing,
            max_record_bytes: 2_000,
            skip_tombstones,
        },
    );
    for index in 0..values.len() {
        batch.push(&record(index, values), Instant::now());
    }
    let (manifest, objects) = batch.seal(format, "id", "attempt").expect("objects");
    // The manifest as another process reads it.
    (
        Arc::new(Manifest::from_json(&manifest.to_json().expect("JSON")).expect("a manifest")),
        objects,
    )
}

fn all(manifest: &Manifest) -> Vec<usize> {
    (0..manifest.objects.len()).collect()
}

/// Returns the offsets of the rows in an object.
fn offsets(object: &Object) -> Vec<i64> {
    let content = Content::decode(object.key.kind(), object.body.clone()).expect("rows");
    content
        .coordinates
        .into_iter()
        .map(|(_, offset)| offset)
        .collect()
}

proptest! {
    #[test]
    fn a_repair_gives_the_objects_that_the_batch_gave(
        kinds in proptest::collection::vec(0u8..6, 1..30),
        skip_tombstones: bool,
        format in 0usize..3,
    ) {
        let values = values(&kinds);
        let (manifest, objects) = sealed(&values, skip_tombstones, Format::ALL[format]);
        let mut repair = Repair::new(Arc::clone(&manifest), &all(&manifest), HOW);
        for index in 0..values.len() {
            repair.push(&record(index, &values)).expect("a record");
        }
        let made = repair.objects().expect("objects");
        let made: Vec<Object> = made.into_iter().map(|(_, object)| object).collect();
        prop_assert_eq!(made, objects);
    }

    /// An object without a row that its manifest gives it would be without it for good.
    #[test]
    fn a_repair_that_was_not_given_every_offset_makes_nothing_unless_an_operator_gave_it_up(
        kinds in proptest::collection::vec(0u8..6, 1..30),
        came in proptest::collection::vec(any::<bool>(), 30),
        log_start in 0i64..70,
    ) {
        let values = values(&kinds);
        let (manifest, _) = sealed(&values, false, Format::Json);
        let is_due = |index: &usize| record(*index, &values).offset >= log_start;
        let made = |gives_up| {
            let how = How { log_start, gives_up, ..HOW };
            let mut repair = Repair::new(Arc::clone(&manifest), &all(&manifest), how);
            for index in (0..values.len()).filter(|index| came[*index]).filter(is_due) {
                repair.push(&record(index, &values))?;
            }
            repair.objects()
        };
        let missing = (0..values.len()).filter(is_due).find(|index| !came[*index]);
        let missing = missing.map(|index| record(index, &values).offset);
        match (made(false), missing) {
            (Ok(objects), None) => prop_assert_eq!(objects.len(), manifest.objects.len()),
            (Err(RepairError::Unread { offset, .. }), Some(missing)) => {
                prop_assert_eq!(offset, missing)
            }
            (made, missing) => prop_assert!(false, "{:?}, missing {missing:?}", made.map(|_| ())),
        }
        for (index, object) in made(true).expect("objects") {
            let due = manifest.objects[index].offsets.from(log_start);
            let found = offsets(&object);
            prop_assert!(found.iter().all(|offset| due.contains(*offset)));
            prop_assert_eq!(found.len() as u64 + object.metadata.skipped, due.count());
            prop_assert_eq!(object.metadata.rows, found.len() as u64);
            let lost_below = (log_start > 5).then_some(log_start.min(manifest.last + 1));
            prop_assert_eq!(object.metadata.lost_below, lost_below);
        }
    }
}

#[test]
fn a_record_that_is_no_tick_any_more_stops_a_repair_unless_an_operator_gave_it_up() {
    let values = values(&[2, 2, 2]);
    let (manifest, _) = sealed(&values, false, Format::Parquet);
    let poison = Record {
        value: Some(b"poison"),
        ..record(1, &values)
    };
    let mut repair = Repair::new(Arc::clone(&manifest), &[0], HOW);
    repair.push(&record(0, &values)).expect("a record");
    let error = repair.push(&poison).expect_err("no tick");
    assert!(
        !error.is_retryable()
            && error
                .to_string()
                .contains("offset 9 was a tick for ticklake/"),
        "{error}"
    );
    let mut repair = Repair::new(
        Arc::clone(&manifest),
        &[0],
        How {
            gives_up: true,
            ..HOW
        },
    );
    for record in [record(0, &values), poison, record(2, &values)] {
        repair.push(&record).expect("a record");
    }
    let objects = repair.objects().expect("objects");
    assert_eq!(
        (offsets(&objects[0].1), objects[0].1.metadata.skipped),
        (vec![7, 11], 1)
    );
}

/// The batch of a consumer with more memory: its rows take many times the room.
#[test]
fn a_batch_that_is_larger_than_the_room_is_repaired_in_passes_within_it() {
    let note = "x".repeat(1_000);
    let value = |number: usize| {
        let year = if number < 12_000 {
            2001
        } else {
            2002 + number % 20
        };
        let time = format!("{year}-01-08T00:00:00Z");
        format!(r#"{{"symbol":"A","event_time":"{time}","price":1,"note":"{note}{number}"}}"#)
            .into_bytes()
    };
    let values: Vec<Vec<u8>> = (0..24_000).map(value).collect();
    for format in Format::ALL {
        let (manifest, objects) = sealed(&values, false, format);
        let room = Room {
            for_all: 6 << 20,
            for_one: 12 << 20,
        };
        let (mut missing, mut passes, mut most) = (all(&manifest), 0, 0);
        while !missing.is_empty() {
            passes += 1;
            let mut repair = Repair::new(Arc::clone(&manifest), &missing, How { room, ..HOW });
            for index in 0..values.len() {
                if repair.is_over() {
                    break;
                }
                repair.push(&record(index, &values)).expect("a record");
                most = most.max(repair.held());
            }
            let made = repair.objects().expect("objects");
            assert!(!made.is_empty(), "{format:?}: a pass made nothing");
            for (index, object) in made {
                assert_eq!(
                    (&object.metadata, offsets(&object)),
                    (&objects[index].metadata, offsets(&objects[index]))
                );
                missing.retain(|of| *of != index);
            }
        }
        println!("{format:?}: {passes} passes, {most} bytes held at most");
        assert!(
            passes > 1 && most <= room.for_all,
            "{format:?}: {passes} passes, {most} bytes"
        );
    }
}

#[test]
fn an_object_that_no_room_is_large_enough_for_is_refused_with_the_remedy() {
    let note = |seed: usize| {
        (0..1_000)
            .map(|at| char::from(b'a' + ((at * at * seed) % 25) as u8))
            .collect::<String>()
    };
    let value = |number| {
        format!(
            r#"{{"symbol":"A","event_time":0,"price":1,"note":"{}{number}"}}"#,
            note(number)
        )
        .into_bytes()
    };
    let values: Vec<Vec<u8>> = (0..20_000).map(value).collect();
    let (manifest, _) = sealed(&values, false, Format::Json);
    let mut repair = Repair::new(
        Arc::clone(&manifest),
        &[0],
        How {
            room: Room {
                for_all: 64 << 10,
                for_one: 128 << 10,
            },
            ..HOW
        },
    );
    let refused = (0..values.len())
        .find_map(|index| repair.push(&record(index, &values)).err())
        .expect("a refusal");
    assert!(
        !refused.is_retryable()
            && refused
                .to_string()
                .contains("set the limit of the consumer that registered it"),
        "{refused}"
    );
}
