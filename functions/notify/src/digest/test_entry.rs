use std::collections::BTreeMap;

use lake_layout::ObjectMetadata;
use object_event::{ObjectCreated, ObjectVersion};
use tick::EventTime;

use crate::announced::Announced;

/// Returns an object of a mail, with metadata if its number of rows is given.
pub(super) fn entry(key: &str, rows: Option<u64>) -> Announced {
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
