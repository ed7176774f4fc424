use std::ffi::CString;

use rdkafka::bindings::rd_kafka_get_watermark_offsets;
use rdkafka::client::{Client, ClientContext};

/// Returns the partition's log start and the offset behind its last record as the last
/// fetch response told them; no request is made. `None` for what is not known yet.
pub fn cached_watermarks<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: i32,
) -> (Option<i64>, Option<i64>) {
    let Ok(topic) = CString::new(topic) else {
        return (None, None);
    };
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client is alive, as it is borrowed; the topic's text and both integers
    // outlive the call, which only reads the one and writes the others.
    unsafe {
        rd_kafka_get_watermark_offsets(
            client.native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    // librdkafka's marks for "not known" are below zero.
    (
        Some(low).filter(|low| *low >= 0),
        Some(high).filter(|high| *high >= 0),
    )
}
